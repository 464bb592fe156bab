cdef extern from "<string.h>" nogil:
    void *memmem(const void *text, size_t size, const void *needle, size_t needle_size)
    void *memrchr(const void *text, int char, size_t size)


cdef extern from "<arpa/inet.h>" nogil:
    int AF_INET
    int AF_INET6
    int inet_pton(int family, const char *text, void *packed)
    const char *inet_ntop(int family, const void *packed, char *text, unsigned int size)
