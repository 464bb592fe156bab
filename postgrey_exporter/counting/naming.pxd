cdef bint has_address(
    const unsigned char *host, size_t host_size, const unsigned char *address, size_t address_size
) noexcept nogil
