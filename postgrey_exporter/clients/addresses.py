"""Client addresses: one spelling for each, and the network that postgrey greylists as one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

IPV4_PREFIX: Final = 24
IPV6_PREFIX: Final = 64
"""postgrey's defaults for ``--ipv4cidr`` and ``--ipv6cidr``: clients inside one network share their triplets."""
_IPV6_NETWORK_SIZE: Final = IPV6_PREFIX // 8
NO_NETWORK: Final = 1 << 30
"""The number of the network of a client without an address."""
IPV6_NETWORKS: Final = 1 << 31
"""This bit tells the numbers of IPv6 networks from all others; those of IPv4 networks are their three octets."""


def normalise(text: str) -> str:
    """Return the canonical spelling of an address as a log has it.

    A mask (``17.58.38.56/32``, as postgrey 1.36 writes) and a zone (``fe80::1%eth0``) are cut off, IPv6 is
    compressed and lower-cased, an IPv4-mapped IPv6 address becomes the IPv4 address it stands for.

    Raises `ValueError` when it is no address.
    """
    try:
        # The system's functions take a tenth of the time of ipaddress. An address is valid here in one spelling only.
        inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return _respelled(text.partition("/")[0].partition("%")[0])
    return text


def _respelled(bare: str) -> str:
    try:
        spelled = inet_ntop(family := AF_INET6 if ":" in bare else AF_INET, inet_pton(family, bare))
    except (OSError, ValueError):
        spelled = ""
    if spelled and ("." in spelled) != (":" in spelled):
        return spelled
    # No address at all, or one of the IPv6 addresses that hold an IPv4 address and are written in various ways.
    address: IPv4Address | IPv6Address = ip_address(bare)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def network_of(address: str) -> str:
    """Return the network of a normalised address in CIDR notation: /24 for IPv4, /64 for IPv6.

    An empty address (the log had none) is its own empty network.
    """
    if not address:
        return ""
    if ":" not in address:
        return address[: address.rindex(".")] + ".0/24"
    return inet_ntop(AF_INET6, inet_pton(AF_INET6, address)[:_IPV6_NETWORK_SIZE].ljust(16, b"\0")) + f"/{IPV6_PREFIX}"
