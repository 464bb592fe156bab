from libc.string cimport memcmp


cdef inline bint is_digit(unsigned char char) noexcept nogil:
    return c"0" <= char <= c"9"


cdef inline bint is_hexadecimal(unsigned char char) noexcept nogil:
    return is_digit(char) or c"a" <= (char | 0x20) <= c"f"


cdef inline bint is_alphanumeric(unsigned char char) noexcept nogil:
    return is_digit(char) or c"a" <= (char | 0x20) <= c"z"


cdef inline bint begins(
    const unsigned char *at, const unsigned char *end, const unsigned char *text, size_t size
) noexcept nogil:
    """Tell whether a text begins with another, which is not empty; ``at`` is not behind its end."""
    # Where they differ, the last character mostly tells.
    return <size_t>(end - at) >= size and at[size - 1] == text[size - 1] and memcmp(at, text, size) == 0


cdef inline bint skips(
    const unsigned char **at, const unsigned char *end, const unsigned char *text, size_t size
) noexcept nogil:
    """Go on behind a text where it stands there; tell whether it does."""
    if not begins(at[0], end, text, size):
        return False
    at[0] += size
    return True
