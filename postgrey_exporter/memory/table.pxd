from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from * nogil:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define prefetch(address) __builtin_prefetch(address)
    #else
    #define prefetch(address)
    #endif
    """
    void prefetch(const void *address)


cdef enum:
    FETCHED_AHEAD = 8


cdef int out_of_memory() except -1 with gil


cdef class Rows:
    """Records of one size, one after the other; each begins with zeros."""

    cdef char *_data
    cdef size_t _size
    cdef readonly size_t used
    cdef size_t _room

    cdef inline void *at(self, size_t position) noexcept nogil:
        return self._data + position * self._size

    cdef inline size_t size_bytes(self) noexcept nogil:
        return self._room * self._size

    cdef void *add(self) except NULL nogil
    cdef int fill(self, size_t rows) except -1 nogil
    cdef int reserve(self, size_t rows) except -1 nogil
    cdef int take(self, Rows rows, Positions order, size_t begin, size_t end) except -1 nogil
    cdef void clear(self) noexcept nogil


cdef class Table(Rows):
    """Records that begin with a number of 64 bits by which each is found."""

    cdef uint32_t *_places
    cdef size_t _slots

    cdef inline void fetch(self, uint64_t number) noexcept nogil:
        """Have the memory ready soon that a look-up begins with: waiting for it takes most of its time."""
        if self._slots:
            prefetch(&self._places[number & (self._slots - 1)])

    cdef inline void fetch_record(self, uint64_t number) noexcept nogil:
        """Go on with a `fetch`: have the record ready that is likely to be the one."""
        cdef uint32_t place = self._places[number & (self._slots - 1)] if self._slots else 0
        if place:
            prefetch(self.at(place - 1))

    cdef Py_ssize_t find(self, uint64_t number) noexcept nogil
    cdef Py_ssize_t place(self, uint64_t number) except -1 nogil
    cdef void close(self) noexcept nogil
    cdef int _spread(self) except -1 nogil


cdef class Positions(Rows):
    """Where records stand, in some order."""

    cdef int put(self, size_t position) except -1 nogil
    cdef int group(self, Rows rows, size_t offset, size_t groups) except -1

    cdef inline size_t position(self, size_t at) noexcept nogil:
        return (<uint32_t *>self.at(at))[0]


cdef struct Rank:
    # By what a record is sorted, and where it stands.
    int64_t major
    int64_t minor
    uint32_t position


cdef class Ranks(Rows):
    """Records to be gone through in the order of two numbers."""

    cdef int rank(self, int64_t major, int64_t minor, size_t position) except -1 nogil
    cdef void sort(self) noexcept nogil

    cdef inline const Rank *ranked(self, size_t at) noexcept nogil:
        return <const Rank *>self.at(at)


cdef class Text:
    """Bytes, one text behind the other."""

    cdef unsigned char *_data
    cdef readonly size_t used
    cdef size_t _room

    cdef inline const unsigned char *at(self, size_t position) noexcept nogil:
        return self._data + position

    cdef int reserve(self, size_t size) except -1 nogil
    cdef Py_ssize_t add(self, const unsigned char *text, size_t size) except -1 nogil


cdef inline uint64_t mixed(uint64_t number, uint64_t other) noexcept nogil:
    """Return a number that stands for two, one of which nobody outside can foresee."""
    # The finish of SplitMix64 (Steele, Lea and Flood, 2014).
    number = (number ^ other * 0x9E3779B97F4A7C15ULL) + 0x9E3779B97F4A7C15ULL
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9ULL
    number = (number ^ number >> 27) * 0x94D049BB133111EBULL
    return number ^ number >> 31
