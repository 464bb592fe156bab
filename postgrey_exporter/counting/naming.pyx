"""What a client is by its name, and whether that is made from its address."""

from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcpy

from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, LONGEST_NAME, OCTETS
from postgrey_exporter.memory.system cimport AF_INET, AF_INET6, inet_pton, memmem

from postgrey_exporter.clients.classify import signs
from postgrey_exporter.clients.hostnames import OCTETS_OF_A_LINE, SAYS_ALL, ClientKind, kind_by

cdef enum:
    DIGITS_OF_AN_OCTET = 3
    HALF_SIZE = 8
    GROUPS_OF_A_HALF = 4
    SIGNS = 32

cdef int MOST_OTHER_OCTETS = OCTETS - OCTETS_OF_A_LINE
cdef const unsigned char *HEXADECIMAL = b"0123456789abcdef"


# What a client is by the signs of its name, with and without its address in it.
cdef int[SIGNS][2] KINDS
assert SAYS_ALL < SIGNS
for _says in range(SIGNS):
    for _by_address in range(2):
        KINDS[_says][_by_address] = kind_by(_says, is_by_address=bool(_by_address)).value


def kind_of(str name not None, str address not None):
    return ClientKind(domain_and_kind(name, address)[1])


cdef tuple domain_and_kind(str name, str address):
    """Return a client's registrable domain, or domains.UNKNOWN, and what it is by its name."""
    domain, host, says = signs(name)
    cdef bytes text = host.encode("ascii", "replace")
    cdef bytes packed = address.encode("ascii", "replace")
    return domain, kind_by_name(says, text, len(text), packed, len(packed))


cdef int kind_by_name(
    int says, const unsigned char *host, size_t host_size, const unsigned char *address, size_t address_size
) noexcept nogil:
    """Return what a client is by what its name says, and by whether that is made from its address."""
    # Most names say enough, and the address makes no difference.
    if KINDS[says][False] == KINDS[says][True]:
        return KINDS[says][False]
    return KINDS[says][_has_address(host, host_size, address, address_size)]


cdef bint _has_address(
    const unsigned char *host, size_t host_size, const unsigned char *address, size_t address_size
) noexcept nogil:
    """Tell whether a host name is made from its address: most octets in any order, or all of it in hexadecimal.

    Of an IPv6 address, its network or its interface is enough.
    """
    cdef char[LONGEST_ADDRESS + 1] text
    cdef uint8_t[16] packed
    if host_size == 0 or host_size > LONGEST_NAME or address_size > LONGEST_ADDRESS:
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
    cdef bint[OCTETS] seen
    cdef int octet, value, others = OCTETS
    cdef size_t at = 0, digits
    for octet in range(OCTETS):
        _write_hexadecimal(in_hexadecimal + 2 * octet, packed[octet])
        seen[octet] = False
    if memmem(host, size, in_hexadecimal, sizeof(in_hexadecimal)) != NULL:
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
    cdef unsigned char[LONGEST_NAME] digits
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
