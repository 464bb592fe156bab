from postgrey_exporter.parsing.decisions cimport Decisions
from postgrey_exporter.parsing.hashing cimport KeyedHash


cdef enum Kind:
    USUAL
    UNUSUAL
    FOREIGN
    NO_DECISION


cdef enum:
    LONGEST_KEY = 19


cdef class UsualLines:
    cdef bytes _tag
    cdef const unsigned char *_tag_text
    cdef size_t _tag_size
    cdef object _headers
    cdef KeyedHash _keyed
    cdef double _seen_at
    cdef double _dated_by
    cdef double _hour
    cdef unsigned char[LONGEST_KEY] _hour_key
    cdef size_t _hour_key_size
    # The latest line of the block with a usual stamp, and what it has with host name and blank, if that is usual.
    cdef const unsigned char *_header
    cdef size_t _header_size
    cdef size_t _header_stamp
    # Where the lines begin since the latest stamp that are of no usual form: they may bear one.
    cdef const unsigned char *_unclear
    # The moment of a bare message, as the parser has told it; out of date behind a header or what is unclear.
    cdef double _bare_moment
    cdef const unsigned char *_begin
    cdef const unsigned char *_line
    cdef readonly size_t no_decisions
    cdef readonly size_t auto_whitelisted
    cdef readonly bint is_first
    cdef readonly bint is_after_decision

    cdef int _read(self, const unsigned char *line, const unsigned char *end, Decisions decisions) except -1 nogil
    cdef int _read_unstamped(
        self, const unsigned char *line, const unsigned char *end, Decisions decisions
    ) except -1 nogil
    cdef int _decide(
        self, const unsigned char *at, const unsigned char *end, double moment, Decisions decisions
    ) except -1 nogil
    cdef double _moment(self, const unsigned char *stamp, size_t size) except? -1 nogil
    cdef double _learn_hour(self, const unsigned char *stamp, size_t size) except? -1 with gil
