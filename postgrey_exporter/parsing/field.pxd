cdef enum:
    LONGEST_NAME = 512
    LONGEST_ADDRESS = 45
    LONGEST_TEXT = 2048
    OCTETS = 4


cdef Py_ssize_t copy_name(const unsigned char **field, const unsigned char *end, unsigned char *name) noexcept nogil
cdef Py_ssize_t copy_address(
    const unsigned char **field, const unsigned char *end, unsigned char *address
) noexcept nogil
cdef Py_ssize_t copy_message_text(
    const unsigned char *at, const unsigned char *end, unsigned char *key
) noexcept nogil
