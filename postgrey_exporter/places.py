"""Where a client belongs: what its name and its address say, worked out once for each."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.addresses import network_number
from postgrey_exporter.clientnames import ClientKind, kind_in_domain
from postgrey_exporter.domains import registrable_domain

if TYPE_CHECKING:
    from postgrey_exporter.decision import Client


class Place(NamedTuple):
    """What a client is counted by."""

    domain: str
    """Its registrable domain, or `domains.UNKNOWN`."""
    network: int
    """A number that stands for its network, see `addresses.network_number`."""
    kind: ClientKind
    """What its name says of it."""


@lru_cache(maxsize=8_192)
def place_of(client: Client) -> Place:
    """Return where a client belongs."""
    name, address = client
    domain = registrable_domain(name)
    return Place(domain, network_number(address), kind_in_domain(name, address, domain))
