from libc.stdint cimport uint8_t, uint32_t, uint64_t

from postgrey_exporter.counting.client cimport Client
from postgrey_exporter.counting.message cimport Message
from postgrey_exporter.memory.table cimport Positions, Rows, Table, Text


cdef enum:
    # A set of kinds of clients, see client.pxd, by their bits.
    OF_ALL = 0
    OF_UNCOVERED = 7
    # Whether messages began at a customer's line or not.
    ANY = -1


cdef struct Network:
    # What is known of one network. 'clients' are positions.
    uint64_t number
    uint64_t new
    uint64_t early_retry
    uint64_t unreviewed
    uint32_t clients
    uint32_t client
    uint32_t uncovered
    uint32_t other_uncovered
    uint32_t place
    uint8_t kinds
    uint8_t is_ignored


cdef class DomainFacts:
    cdef readonly str domain
    cdef Rows clients
    cdef Rows messages
    cdef Text texts
    cdef Table _networks
    cdef tuple _of_all
    cdef double _of_all_at

    cdef inline Client *_client(self, size_t at) noexcept nogil:
        return <Client *>self.clients.at(at)

    cdef inline Message *_message(self, size_t at) noexcept nogil:
        return <Message *>self.messages.at(at)

    cdef inline bint _is_of(self, const Message *message, unsigned int kinds, int lines) noexcept nogil:
        return (kinds == OF_ALL or message.parties & kinds) and (lines == ANY or message.line == lines)

    cdef object _party(self, double now, unsigned int kinds)
    cdef str _address(self, uint32_t position)
    cdef tuple _evidence(self, double now, unsigned int kinds, int lines)
    cdef tuple _sum(self, double now, Positions chosen)
