"""Whether a number was met before: never wrong where it says no, seldom wrong where it says yes (Bloom, 1970)."""

from libc.stdint cimport uint8_t, uint64_t

from postgrey_exporter.memory.table cimport Rows

cdef enum:
    # With half a million numbers one other in three thousand is taken for one of them, with two million one in forty.
    BITS_SIZE = 1 << 21
    PROBES = 4


cdef class Seen:
    def __cinit__(self):
        self._room = Rows(1)
        self._room.fill(BITS_SIZE)
        self._bits = <uint8_t *>self._room.at(0)

    cdef void add(self, uint64_t number) noexcept nogil:
        cdef int _probe
        for _probe in range(PROBES):
            self._bits[(number >> 3) & (BITS_SIZE - 1)] |= 1 << (number & 7)
            number = number >> 13 | number << 51

    cdef bint may_hold(self, uint64_t number) noexcept nogil:
        cdef int _probe
        for _probe in range(PROBES):
            if not self._bits[(number >> 3) & (BITS_SIZE - 1)] & 1 << (number & 7):
                return False
            number = number >> 13 | number << 51
        return True
