from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from postgrey_exporter.memory.table cimport Rows, Text


cdef enum Verdict:
    # In the order of decision.DECISION_LABELS.
    NEW = 0
    EARLY_RETRY = 1
    TRIPLET_FOUND = 2
    CLIENT_WHITELIST = 3
    RECIPIENT_WHITELIST = 4
    CLIENT_AWL = 5
    OTHER_REASON = 6
    VERDICTS = 7


cdef enum:
    MOST_SECONDS = 0x7FFFFFFF


cdef struct Line:
    # See decision.Decision. The text is the client's name, a blank, and its address.
    double time
    uint64_t client
    uint64_t message
    uint32_t text
    int32_t delay
    uint32_t times
    uint16_t name_size
    uint8_t address_size
    uint8_t verdict


cdef class Decisions:
    cdef Rows rows
    cdef Text texts
    cdef readonly object lines
    cdef readonly set oddities
    cdef public object carry
    cdef readonly size_t future

    cdef Line *add_line(self, const unsigned char *text, size_t name_size, size_t address_size) except NULL nogil
