from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from postgrey_exporter.memory.table cimport Rows, Text


cdef enum:
    LONGEST_LABEL = 63


# As in addresses.
cdef uint32_t NO_NETWORK
cdef uint32_t IPV6_NETWORKS


cdef enum:
    # As in hostnames.ClientKind; its bit stands for it in a set of kinds.
    UNCLEAR = 0
    MAIL = 1
    LINE = 2


cdef struct Client:
    # One that was greylisted. The text is its name, a blank, and its address.
    uint64_t number
    uint64_t new
    uint64_t early_retry
    uint32_t text
    uint32_t domain
    uint32_t network
    uint16_t name_size
    uint8_t address_size
    uint8_t kind
    uint8_t verdict


cdef inline const unsigned char *address_of(const Client *client, const unsigned char *text) noexcept nogil:
    return text + client.name_size + 1


cdef inline uint64_t attempts_of(const Client *client) noexcept nogil:
    return client.new + client.early_retry


cdef inline size_t offset_of_domain() noexcept nogil:
    cdef Client one
    return <char *>&one.domain - <char *>&one


cdef uint32_t network_of(const unsigned char *address, size_t size) noexcept nogil
cdef uint64_t network_key(uint32_t network) noexcept nogil
cdef str text_of(const unsigned char *text, size_t size)
cdef int judge(Rows clients, Text texts, object lists, str domain=*) except -1
