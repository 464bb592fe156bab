"""Client addresses: one spelling for each, and the network that postgrey greylists as one."""

from __future__ import annotations

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

    A mask (``17.58.38.56/32``, as postgrey 1.36 writes) and a zone (``fe80::1%eth0``) are cut off, and IPv6 is
    compressed and lower-cased. An IPv4-mapped IPv6 address is one of IPv6, as it is for postgrey.

    Raises `ValueError` when it is no address.
    """
    bare = text.partition("/")[0].partition("%")[0]
    family = AF_INET6 if ":" in bare else AF_INET
    try:
        # These take a tenth of the time of ipaddress.
        return inet_ntop(family, inet_pton(family, bare))
    except OSError as error:
        raise ValueError(f"{text!r} is no address") from error


def network_of(address: str) -> str:
    """Return the network of a normalised address in CIDR notation: /24 for IPv4, /64 for IPv6.

    An empty address (the log had none) is its own empty network.
    """
    if not address:
        return ""
    if ":" not in address:
        return address[: address.rindex(".")] + ".0/24"
    return inet_ntop(AF_INET6, inet_pton(AF_INET6, address)[:_IPV6_NETWORK_SIZE].ljust(16, b"\0")) + f"/{IPV6_PREFIX}"
