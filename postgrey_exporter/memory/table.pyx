"""Records in memory without an object for each: what a million clients and messages are kept in.

The numbers by which records are found are keyed hashes, so nobody outside can make them fall on one slot. A record
moves when another one is added to its table: what is kept of it is its position.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(__GLIBC__)
    #include <malloc.h>
    #define keep_apart(size) (mallopt(M_MMAP_THRESHOLD, (size)) && mallopt(M_TRIM_THRESHOLD, 2 * (size)))
    #define give_back() malloc_trim(0)
    #else
    #define keep_apart(size) 1
    #define give_back() 0
    #endif
    """
    int keep_apart(int size)
    int give_back()

cdef enum:
    LARGE = 4 << 20
    FIRST_ROWS = 4
    FIRST_TEXT = 4096
    MOST_ROWS = 0xFFFFFFFE
    MOST_TEXT = 0xFFFFFFFF


def keep_large_apart():
    keep_apart(LARGE)


def give_back_free():
    give_back()


cdef int out_of_memory() except -1 with gil:
    raise MemoryError


cdef class Rows:
    def __cinit__(self, size_t size=0):
        self._size = size

    def __dealloc__(self):
        free(self._data)

    cdef void *add(self) except NULL nogil:
        if self.used == self._room:
            # Half as much again: doubling would take three times the memory while it is moved.
            self.reserve(self._room + self._room // 2 + 1 if self._room else FIRST_ROWS)
        self.used += 1
        return memset(self.at(self.used - 1), 0, self._size)

    cdef int reserve(self, size_t rows) except -1 nogil:
        """Have room for so many records, which are no fewer than there are."""
        cdef void *moved = NULL if rows > MOST_ROWS else realloc(self._data, rows * self._size)
        if moved == NULL:
            out_of_memory()
        self._data = <char *>moved
        self._room = rows
        return 0

    cdef int fill(self, size_t rows) except -1 nogil:
        """Have so many records, all of zeros, and none of those that there were."""
        Rows.clear(self)
        self._data = <char *>calloc(rows + 1, self._size)
        if self._data == NULL:
            out_of_memory()
        self.used = self._room = rows
        return 0

    cdef int take(self, Rows rows, Positions order, size_t begin, size_t end) except -1 nogil:
        """Have copies of a stretch of others, in an order, and none of those that there were."""
        cdef size_t at
        self.fill(end - begin)
        for at in range(begin, end):
            if at + FETCHED_AHEAD < end:
                prefetch(rows.at(order.position(at + FETCHED_AHEAD)))
            memcpy(self.at(at - begin), rows.at(order.position(at)), self._size)
        return 0

    cdef void clear(self) noexcept nogil:
        free(self._data)
        self._data = NULL
        self.used = self._room = 0


cdef class Table(Rows):
    def __dealloc__(self):
        free(self._places)

    cdef Py_ssize_t find(self, uint64_t number) noexcept nogil:
        """Return the position of the record with a number; -1 where there is none."""
        cdef size_t slot
        cdef uint32_t place
        if self._slots == 0:
            return -1
        slot = number & (self._slots - 1)
        while True:
            place = self._places[slot]
            if place == 0:
                return -1
            if (<uint64_t *>self.at(place - 1))[0] == number:
                return place - 1
            slot = (slot + 1) & (self._slots - 1)

    cdef Py_ssize_t place(self, uint64_t number) except -1 nogil:
        """Return the position of the record with a number; it is the last one where it was added just now."""
        cdef size_t slot
        cdef uint32_t place
        # At most three of four slots are in use, so that runs stay short.
        if 4 * self.used >= 3 * self._slots:
            self._spread()
        slot = number & (self._slots - 1)
        while self._places[slot] != 0:
            place = self._places[slot]
            if (<uint64_t *>self.at(place - 1))[0] == number:
                return place - 1
            slot = (slot + 1) & (self._slots - 1)
        (<uint64_t *>self.add())[0] = number
        self._places[slot] = <uint32_t>self.used
        return self.used - 1

    cdef void clear(self) noexcept nogil:
        Rows.clear(self)
        self.close()

    cdef void close(self) noexcept nogil:
        """Give back the memory by which records are found: from now on there are only their positions."""
        free(self._places)
        self._places = NULL
        self._slots = 0

    cdef int _spread(self) except -1 nogil:
        """Have more slots: two for each record at least."""
        cdef uint32_t *places
        cdef size_t position, slot
        cdef size_t slots = 2 * FIRST_ROWS
        while slots < 2 * (self.used + 1):
            slots *= 2
        places = <uint32_t *>calloc(slots, sizeof(uint32_t))
        if places == NULL:
            out_of_memory()
        for position in range(self.used):
            slot = (<uint64_t *>self.at(position))[0] & (slots - 1)
            while places[slot] != 0:
                slot = (slot + 1) & (slots - 1)
            places[slot] = <uint32_t>(position + 1)
        free(self._places)
        self._places = places
        self._slots = slots
        return 0


cdef class Positions(Rows):
    def __cinit__(self):
        self._size = sizeof(uint32_t)

    cdef int put(self, size_t position) except -1 nogil:
        (<uint32_t *>self.add())[0] = <uint32_t>position
        return 0

    cdef int group(self, Rows rows, size_t offset, size_t groups) except -1:
        """Put the positions of all rows in the order of their groups.

        A row's group is the number of 32 bits that stands at an offset in it.
        """
        cdef Positions ends = Positions()
        cdef uint32_t *end
        cdef size_t at
        ends.fill(groups + 1)
        self.fill(rows.used)
        for at in range(rows.used):
            (<uint32_t *>ends.at((<uint32_t *>(<char *>rows.at(at) + offset))[0] + 1))[0] += 1
        for at in range(groups):
            (<uint32_t *>ends.at(at + 1))[0] += ends.position(at)
        for at in range(rows.used):
            end = <uint32_t *>ends.at((<uint32_t *>(<char *>rows.at(at) + offset))[0])
            (<uint32_t *>self.at(end[0]))[0] = <uint32_t>at
            end[0] += 1
        return 0


cdef class Ranks(Rows):
    def __cinit__(self):
        self._size = sizeof(Rank)

    cdef int rank(self, int64_t major, int64_t minor, size_t position) except -1 nogil:
        cdef Rank *rank = <Rank *>self.add()
        rank.major = major
        rank.minor = minor
        rank.position = <uint32_t>position
        return 0

    cdef void sort(self) noexcept nogil:
        """Sort by the two numbers; records that have both alike by their position."""
        if self.used:
            qsort(self.at(0), self.used, sizeof(Rank), _compare)


cdef int _compare(const void *one, const void *other) noexcept nogil:
    cdef const Rank *a = <const Rank *>one
    cdef const Rank *b = <const Rank *>other
    if a.major != b.major:
        return -1 if a.major < b.major else 1
    if a.minor != b.minor:
        return -1 if a.minor < b.minor else 1
    return (a.position > b.position) - (a.position < b.position)


cdef class Text:
    def __dealloc__(self):
        free(self._data)

    cdef Py_ssize_t add(self, const unsigned char *text, size_t size) except -1 nogil:
        """Append a text; return where it begins."""
        if size > self._room - self.used:
            self.reserve(self._room + self._room // 2 + size if self._room else FIRST_TEXT + size)
        memcpy(self._data + self.used, text, size)
        self.used += size
        return self.used - size

    cdef int reserve(self, size_t size) except -1 nogil:
        """Have room for so many bytes, which are no fewer than there are."""
        # Where a text begins is kept in 32 bits.
        cdef void *moved = NULL if size > MOST_TEXT else realloc(self._data, size)
        if moved == NULL:
            out_of_memory()
        self._data = <unsigned char *>moved
        self._room = size
        return 0
