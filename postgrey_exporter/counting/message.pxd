from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from postgrey_exporter.memory.table cimport Rows, Table, mixed

cdef struct Attempt:
    # One attempt to deliver a message: an event of its life.
    double time
    uint32_t story
    uint32_t network
    int32_t reported
    uint8_t passed
    uint8_t line


cdef struct Message:
    # See messages.Message; what is not known is NaN, or NO_DELAY.
    double first
    double last
    double accepted
    uint32_t domain
    uint32_t story
    uint32_t network
    # Where the one stands that began before it.
    uint32_t previous
    int32_t reported
    uint8_t moved
    uint8_t line
    # A set of the bits below.
    uint8_t changed
    uint8_t parties


cdef struct Story:
    # All messages with one sender, recipient and domain; 'latest' is the one that began last.
    uint64_t number
    uint64_t key
    uint32_t domain
    uint32_t latest


cdef enum:
    NO_DELAY = -1
    NO_MESSAGE = 0xFFFFFFFF
    CHANGED = 1
    DELIVERED = 2


# For how long a message is open after its last attempt.
cdef double OPEN_SECONDS


cdef inline size_t offset_of_messages_domain() noexcept nogil:
    cdef Message one
    return <char *>&one.domain - <char *>&one


cdef inline uint64_t number_of_story(uint64_t key, uint32_t domain) noexcept nogil:
    return mixed(key, <uint64_t>domain + 1)


cdef Message *add_known(
    Rows messages, double first, double last, uint32_t network, bint moved, accepted, reported, bint line
) except NULL


cdef class Stories:
    cdef Table stories
    cdef Rows messages
    cdef Rows attempts

    cdef inline size_t size_bytes(self) noexcept nogil:
        return self.stories.size_bytes() + self.messages.size_bytes() + self.attempts.size_bytes()

    cdef Py_ssize_t story(self, uint64_t number, uint64_t key, uint32_t domain) except -1 nogil
    cdef int settle(self) except -1
    cdef void follow(self, Message *message, size_t story) noexcept nogil
    cdef void _fetch(self, size_t at) noexcept nogil
    cdef int _replay(self, const Attempt *attempt) except -1 nogil
