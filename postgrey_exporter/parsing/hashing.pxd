from libc.stdint cimport uint64_t


cdef class KeyedHash:
    cdef uint64_t _first
    cdef uint64_t _second

    cdef uint64_t of(self, const unsigned char *text, size_t size) noexcept nogil
