"""Addresses and networks as NetAddr::IP reads them, the Perl module that postgrey leaves this to.

Every address is 128 bits wide, an IPv4 address in the last 32 of them with zeros before: so an IPv4 client lies
within ``::/0`` and ``::/96``, and is not the client ``::ffff:192.0.2.1``. The rules are those of `_xnew` and
`within` in NetAddr::IP::Lite and of `ipv6_aton` in NetAddr::IP::InetBase, version 4.079, for whatever postgrey
can hand them.
"""

from __future__ import annotations

import re
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

ONES: Final = (1 << 128) - 1
_BITS: Final = 128
_IPV4_BITS: Final = 32
_OCTETS: Final = 4
IPV4_SPACE: Final = ONES ^ ((1 << _IPV4_BITS) - 1)
"""The mask of ``::/96``, where all IPv4 addresses are."""
_MOST_CIDR_DIGITS: Final = 3
_MOST_DECIMAL_DIGITS: Final = 40
_IPV6_COLONS: Final = 7
_LARGEST_OCTET: Final = 255

_WITH_MASK: Final = re.compile(rb"(\[)?([a-z0-9.:-]+)(?:/|[ \t\n\r\f\v]+)([a-z0-9.:-]+)(?(1)\])")
_DOTTED_QUAD: Final = re.compile(rb"[0-9]+(?:\.[0-9]+){3}")
_IPV4_TAIL: Final = re.compile(rb"(.*:)([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", re.DOTALL)
_NOT_IPV6: Final = re.compile(rb"[^:0-9a-f]|[0-9a-f]{5}|:::|::.*::", re.DOTALL)

_IPV6_WORDS: Final = {b"default": 0, b"any": 0, b"loopback": 1, b"unspecified": 0}
_IPV6_MASK_WORDS: Final = {b"default": 0, b"any": 0, b"loopback": ONES, b"unspecified": ONES, b"host": ONES}


class FatalError(ValueError):
    """NetAddr::IP dies of it, and postgrey with it."""


class UncertainError(ValueError):
    """What becomes of it depends on a name server."""


class Network(NamedTuple):
    """An address with its mask, both 128 bits wide."""

    address: int
    mask: int

    def base(self) -> Network:
        """Return the same network by its first address."""
        return Network(self.address & self.mask, self.mask)

    def holds(self, other: Network) -> bool:
        """Tell whether another network, or single address, lies within this one."""
        return not self.mask or (
            other.mask & self.mask == self.mask and not (other.address ^ self.address) & self.mask
        )


def usual_address(text: str) -> int | None:
    """Return a single address in a notation that Postfix writes; ``None`` for everything else."""
    try:
        return int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text))
    except (OSError, ValueError):
        return None


def read_address(text: str) -> Network | None:
    """Return what postgrey makes of Postfix's ``client_address``; ``None`` for what is no address."""
    address = usual_address(text)
    if address is not None:
        return Network(address, ONES)
    raw = text.encode("utf-8", "replace")
    try:
        return read_ipv4(raw) or read_ipv6(raw)
    except ValueError:
        return None


def read_ipv4(text: bytes, prefix: int | None = None) -> Network | None:
    """Read ``d.d.d.d`` with or without ``/n``; with a prefix length given, also ``d.d.d`` and ``d.d``.

    An octet with a leading zero is octal (``010.0.0.1`` is 8.0.0.1), as the C library's ``inet_aton`` has it.
    ``None`` for what is dropped: octets above 255, prefix lengths above 32.
    """
    may_be_partial = prefix is not None
    dotted, slash, length = text.partition(b"/")
    if slash:
        prefix = int(length) if length.isdigit() and len(length) <= _MOST_CIDR_DIGITS else _BITS
    address = None if b":" in dotted else usual_address(dotted.decode("latin-1"))
    if address is None:
        octets = dotted.split(b".")
        too_few = len(octets) < _OCTETS and not may_be_partial
        if too_few or len(octets) > _OCTETS or not all(octet.isdigit() for octet in octets):
            return None
        address = _ipv4(octets + [b"0"] * (_OCTETS - len(octets)))
    if address is None or (prefix is not None and prefix > _IPV4_BITS):
        return None
    return Network(address, ONES if prefix is None else ONES << (_IPV4_BITS - prefix) & ONES)


def read_ipv6(text: bytes) -> Network | None:
    """Read a line with two or more colons: an address, alone or with a mask after a slash or blanks.

    What NetAddr::IP accepts beyond the usual is accepted here: masks in full (``/ffff:ffff::``,
    ``/255.255.0.0``), as a decimal number or as a word (``any``), an address in brackets amid other text.
    ``None`` for what is dropped in silence. Raises `FatalError` or `UncertainError`.
    """
    text = text.lower()
    with_mask = _WITH_MASK.fullmatch(text)
    if not with_mask:
        bare = _in_brackets(text)
        address = _IPV6_WORDS[bare] if bare in _IPV6_WORDS else _ipv6(bare)
        return None if address is None else Network(address, ONES)
    mask = _mask(with_mask[3])
    if mask is None or not _is_contiguous(mask):
        return None
    address = _ipv6(with_mask[2]) if b":" in with_mask[2] else _ipv4_padded(with_mask[2])
    return None if address is None else Network(address, mask)


def _in_brackets(text: bytes) -> bytes:
    """Return what the first pair of brackets encloses, or all of the text where there is none."""
    opening = text.find(b"[")
    while opening >= 0:
        closing = text.find(b"]", opening)
        if closing < 0:
            break
        if closing > opening + 1:
            return text[opening + 1 : closing]
        opening = text.find(b"[", closing)
    return text


def _mask(text: bytes) -> int | None:
    if text.isdigit():
        if len(text) > _MOST_DECIMAL_DIGITS:
            raise FatalError
        number = int(text)
        if len(text) <= _MOST_CIDR_DIGITS and number <= _BITS:
            return ONES ^ (ONES >> number)
        return number & ONES
    if _DOTTED_QUAD.fullmatch(text):
        dotted = _ipv4(text.split(b"."))
        return None if dotted is None else IPV4_SPACE | dotted
    return _IPV6_MASK_WORDS[text] if text in _IPV6_MASK_WORDS else _ipv6(text)


def _is_contiguous(mask: int) -> bool:
    return not (mask ^ ONES) & ((mask ^ ONES) + 1)


def _ipv4(octets: list[bytes]) -> int | None:
    """Put four octets together; ``None`` where one is above 255 or has a leading zero and is not octal."""
    address = 0
    for octet in octets:
        if len(octet) > _MOST_DECIMAL_DIGITS or int(octet) > _LARGEST_OCTET:
            return None
        try:
            number = int(octet, 8) if len(octet) > 1 and octet.startswith(b"0") else int(octet)
        except ValueError:
            return None
        address = address << 8 | number
    return address


def _ipv4_padded(text: bytes) -> int | None:
    """Read the address part of ``10.1 ffff::``, where the missing octets are zeros."""
    octets = text.split(b".")
    if len(octets) > _OCTETS or not all(octet.isdigit() for octet in octets):
        raise UncertainError
    if len(octets) == 1:
        if len(text) > _MOST_DECIMAL_DIGITS or int(text) > _LARGEST_OCTET:
            raise UncertainError
        octets = [b"%d" % int(text)]
    return _ipv4(octets + [b"0"] * (_OCTETS - len(octets)))


def _ipv6(text: bytes) -> int | None:
    """Read the hexadecimal notation; `ipv6_aton` of NetAddr::IP::InetBase, which takes one ``:`` too many."""
    mixed = _IPV4_TAIL.fullmatch(text)
    if mixed:
        first, second, third, fourth = (int(octet) for octet in mixed.groups()[1:])
        if max(first, second, third, fourth) > _LARGEST_OCTET:
            return None
        text = b"%s%x:%x" % (mixed[1], first << 8 | second, third << 8 | fourth)
    if not text or text == b"0" or _NOT_IPV6.search(text):
        return None
    colons = text.count(b":")
    if colons < _IPV6_COLONS and b"::" not in text:
        return None
    if colons > _IPV6_COLONS:
        if text.startswith(b"::"):
            text = text[1:]
        elif text.endswith(b"::"):
            text = text[:-1]
        if text.count(b":") > _IPV6_COLONS:
            return None
    text = text.replace(b"::", b"::" + b":" * (_IPV6_COLONS - text.count(b":")), 1)
    address = 0
    for field in text.split(b":"):
        address = address << 16 | int(field or b"0", 16)
    return address
