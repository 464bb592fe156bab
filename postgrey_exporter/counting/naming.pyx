"""Whether a host is named after its address: clientnames.has_address once more, for a million invented names."""

from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcpy

from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, OCTETS
from postgrey_exporter.memory.system cimport AF_INET, AF_INET6, inet_pton, memmem

from postgrey_exporter.clients.hostnames import OCTETS_OF_A_LINE

cdef enum:
    DIGITS_OF_AN_OCTET = 3
    HALF_SIZE = 8
    GROUPS_OF_A_HALF = 4
    LONGEST_HOST = 255

cdef int MOST_OTHER_OCTETS = OCTETS - OCTETS_OF_A_LINE
cdef const unsigned char *HEXADECIMAL = b"0123456789abcdef"


cdef bint has_address(
    const unsigned char *host, size_t host_size, const unsigned char *address, size_t address_size
) noexcept nogil:
    """Tell whether a host name is made from its address: most octets in any order, or all of it in hexadecimal.

    Of an IPv6 address, its network or its interface is enough.
    """
    cdef char[LONGEST_ADDRESS + 1] text
    cdef uint8_t[16] packed
    if host_size == 0 or host_size > LONGEST_HOST or address_size > LONGEST_ADDRESS:
        return False
    memcpy(text, address, address_size)
    text[address_size] = 0
    if memchr(text, c":", address_size) != NULL:
        if inet_pton(AF_INET6, text, packed) != 1:
            return False
        return _has_half(host, host_size, packed) or _has_half(host, host_size, packed + HALF_SIZE)
    return inet_pton(AF_INET, text, packed) == 1 and _has_octets(host, host_size, packed)


cdef bint _has_octets(const unsigned char *host, size_t size, const uint8_t *packed) noexcept nogil:
    cdef unsigned char[2 * OCTETS] in_hexadecimal
    cdef unsigned char[DIGITS_OF_AN_OCTET * OCTETS] run
    cdef bint[OCTETS] seen
    cdef int octet, place, value, others = OCTETS
    cdef size_t at = 0, digits
    for octet in range(OCTETS):
        _write_hexadecimal(in_hexadecimal + 2 * octet, packed[octet])
        for place in range(DIGITS_OF_AN_OCTET):
            value = packed[octet] // (100 if place == 0 else 10 if place == 1 else 1) % 10
            run[DIGITS_OF_AN_OCTET * octet + place] = <unsigned char>(c"0" + value)
        seen[octet] = False
    if memmem(host, size, in_hexadecimal, sizeof(in_hexadecimal)) != NULL:
        return True
    if memmem(host, size, run, sizeof(run)) != NULL:
        return True
    while at < size:
        if not c"0" <= host[at] <= c"9":
            at += 1
            continue
        while at + 1 < size and host[at] == c"0" and c"0" <= host[at + 1] <= c"9":
            at += 1
        value = 0
        digits = 0
        while at < size and c"0" <= host[at] <= c"9":
            value = value * 10 + (host[at] - c"0") if digits < DIGITS_OF_AN_OCTET else 0
            digits += 1
            at += 1
        if digits > DIGITS_OF_AN_OCTET:
            continue
        for octet in range(OCTETS):
            if not seen[octet] and packed[octet] == value:
                seen[octet] = True
                others -= 1
                break
    return others <= MOST_OTHER_OCTETS


cdef bint _has_half(const unsigned char *host, size_t size, const uint8_t *half) noexcept nogil:
    """Tell whether a host has one half of an IPv6 address: all its digits, or its groups with hyphens between."""
    cdef unsigned char[LONGEST_HOST] digits
    cdef unsigned char[2 * HALF_SIZE] full
    cdef unsigned char[5 * GROUPS_OF_A_HALF] short
    cdef size_t at, count = 0, written = 0
    cdef int group, place
    cdef bint begun
    for at in range(size):
        if host[at] != c"-" and host[at] != c".":
            digits[count] = host[at]
            count += 1
    for at in range(HALF_SIZE):
        _write_hexadecimal(full + 2 * at, half[at])
    if memmem(digits, count, full, sizeof(full)) != NULL:
        return True
    for group in range(GROUPS_OF_A_HALF):
        if group:
            short[written] = c"-"
            written += 1
        begun = False
        for place in range(4):
            begun = begun or place == 3 or full[4 * group + place] != c"0"
            if begun:
                short[written] = full[4 * group + place]
                written += 1
    return memmem(host, size, short, written) != NULL


cdef void _write_hexadecimal(unsigned char *text, uint8_t octet) noexcept nogil:
    text[0] = HEXADECIMAL[octet >> 4]
    text[1] = HEXADECIMAL[octet & 15]
