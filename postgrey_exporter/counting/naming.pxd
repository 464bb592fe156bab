cdef int kind_by_name(
    int says, const unsigned char *host, size_t host_size, const unsigned char *address, size_t address_size
) noexcept nogil
cdef tuple domain_and_kind(str name, str address)
