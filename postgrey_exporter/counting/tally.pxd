from libc.stdint cimport uint8_t, uint32_t, uint64_t

from postgrey_exporter.counting.client cimport Client
from postgrey_exporter.parsing.decisions cimport VERDICTS, Decisions, Line
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.counting.message cimport Message, Stories
from postgrey_exporter.counting.placing cimport Placing
from postgrey_exporter.memory.table cimport Table, Text


cdef struct Noted:
    # A decision, what was found out of its client, and the number of the message's story. Where it was greylisted,
    # there is a position of the client.
    const Line *line
    uint64_t story
    uint32_t client
    uint32_t domain
    uint32_t network
    uint8_t passed
    uint8_t is_line


cdef enum:
    # Decisions that are looked up together: so many as the processor can wait for at once, and more.
    SOME = 32


cdef class Tally:
    cdef readonly KeyedHash keyed
    cdef readonly object lines
    cdef readonly size_t decisions
    cdef readonly size_t future
    cdef uint64_t[<int>VERDICTS] _counts
    cdef double _since
    cdef double _until
    cdef double _first
    cdef double _last
    cdef bint _is_closed
    cdef Table _clients
    cdef Text _texts
    cdef Placing _placing
    cdef Stories _stories

    cdef inline Client *_client_at(self, size_t position) noexcept nogil:
        return <Client *>self._clients.at(position)

    cdef inline Message *_message_at(self, size_t position) noexcept nogil:
        return <Message *>self._stories.messages.at(position)

    cdef int _note_more(self, const Noted *noted, size_t count) except -1 nogil
    cdef size_t _size_bytes(self) noexcept
    cdef int _check_is_open(self) except -1
    cdef str _name(self, const Client *client)
    cdef str _address(self, const Client *client)
    cdef int _note_some(self, Decisions decisions, size_t begin, size_t end) except -1 nogil
    cdef int _note_client(self, const Line *line, const unsigned char *text, Noted *noted) except -1 nogil
    cdef int _note_attempt(self, const Noted *noted) except -1 nogil
    cdef Py_ssize_t _client(self, const Line *line, const unsigned char *text) except -1 nogil
