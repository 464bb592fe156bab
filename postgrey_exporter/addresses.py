"""Client addresses: one spelling for each, and the network that postgrey greylists as one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from zlib import crc32

IPV4_PREFIX: Final = 24
IPV6_PREFIX: Final = 64
"""postgrey's defaults for ``--ipv4cidr`` and ``--ipv6cidr``: clients inside one network share their triplets."""


def normalise(text: str) -> str:
    """Return the canonical spelling of an address as a log has it.

    A mask (``17.58.38.56/32``, as postgrey 1.36 writes) and a zone (``fe80::1%eth0``) are cut off, IPv6 is
    compressed and lower-cased, an IPv4-mapped IPv6 address becomes the IPv4 address it stands for.

    Raises `ValueError` when it is no address.
    """
    address: IPv4Address | IPv6Address = ip_address(text.partition("/")[0].partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def network_number(address: str) -> int:
    """Return a number of 32 bits that stands for `network_of` an address; the same in every run."""
    return crc32(network_of(address).encode())


def network_of(address: str) -> str:
    """Return the network of a normalised address in CIDR notation: /24 for IPv4, /64 for IPv6.

    An empty address (the log had none) is its own empty network.
    """
    if not address:
        return ""
    if ":" not in address:
        return address[: address.rindex(".")] + ".0/24"
    return str(ip_network((address, IPV6_PREFIX), strict=False))
