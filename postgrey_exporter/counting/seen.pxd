from libc.stdint cimport uint64_t, uint8_t

from postgrey_exporter.memory.table cimport Rows


cdef class Seen:
    cdef Rows _room
    cdef uint8_t *_bits

    cdef void add(self, uint64_t number) noexcept nogil
    cdef bint may_hold(self, uint64_t number) noexcept nogil
