"""The first of many networks that holds a client's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.addresses import IPV6_NETWORKS, NO_NETWORK
from postgrey_exporter.lists.netaddr import IPV4_SPACE, ONES, Network, read_address, usual_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_MOST_BLOCKS: Final = 50_000
"""Blocks of 256 IPv4 addresses remembered: more than a week of mail has."""
_BLOCK: Final = ONES ^ 0xFF
_LAST_OCTETS: Final = frozenset(map(str, range(256)))
_NOWHERE: Final = -1
_AROUND_IPV4: Final = IPV6_NETWORKS
"""The number of ``::/64``, in which all of IPv4 lies for the lists: ``::198.18.7.7`` is 198.18.7.7."""


class NetworkIndex:
    """Networks by mask and first address, each with its position in the lists; the lowest position wins."""

    def __init__(self, networks: Iterable[tuple[int, Network]]) -> None:
        """Take (position, network) pairs."""
        self._by_mask: dict[int, dict[int, int]] = {}
        for position, network in networks:
            base, mask = network.base()
            bases = self._by_mask.setdefault(mask, {})
            bases[base] = min(position, bases.get(base, position))
        # What can hold IPv4 clients, which are all in ::/96, and what can hold others.
        self._for_ipv4 = self._chosen(lambda base, _: not base & IPV4_SPACE)
        self._for_ipv6 = self._chosen(lambda base, mask: base & IPV4_SPACE or ~mask & IPV4_SPACE)
        self._split_blocks = {base & _BLOCK for mask, bases in self._for_ipv4 if mask & ~_BLOCK for base in bases}
        """The blocks whose addresses don't all lie in the same networks."""
        self._blocks: dict[str, int] = {}
        """By all but the last octet: the position for every address of that block."""

    def _chosen(self, fits: Callable[[int, int], int]) -> list[tuple[int, dict[int, int]]]:
        return [(mask, bases) for mask, bases in self._by_mask.items() if any(fits(base, mask) for base in bases)]

    def __bool__(self) -> bool:
        """Tell whether there are any networks."""
        return bool(self._by_mask)

    def holding(self, client_addresses: Sequence[str]) -> Iterator[int]:
        """Yield which of many addresses some network holds, as indices in their order."""
        known = self._blocks.get
        for index, address in enumerate(client_addresses):
            block, _, last = address.rpartition(".")
            position = known(block) if last in _LAST_OCTETS else None
            if position is None:
                position = self._look_up(address, block)
            if position != _NOWHERE:
                yield index

    def may_hold_some_of(self, network: int) -> bool:
        """Tell whether a client in a network, given by its number, may be held."""
        if network == NO_NETWORK:
            return False
        if network & IPV6_NETWORKS:
            return bool(self._for_ipv6) or (network == _AROUND_IPV4 and bool(self._for_ipv4))
        block = network << 8
        return block in self._split_blocks or any(block & mask in bases for mask, bases in self._for_ipv4)

    def first(self, client_address: str, otherwise: int) -> int:
        """Return the lowest position of the networks that hold an address, or ``otherwise``."""
        if not self._by_mask:
            return otherwise
        block, _, last = client_address.rpartition(".")
        position = self._blocks.get(block) if last in _LAST_OCTETS else None
        if position is None:
            position = self._look_up(client_address, block)
        return otherwise if position == _NOWHERE else position

    def _look_up(self, client_address: str, block: str) -> int:
        address = usual_address(client_address)
        if address is None:
            client = read_address(client_address)
            if client is None:
                return _NOWHERE
            if client.mask != ONES:
                return self._first_around(client)
            address = client.address
        is_ipv4 = not address & IPV4_SPACE
        position = _NOWHERE
        for mask, bases in self._for_ipv4 if is_ipv4 else self._for_ipv6:
            found = bases.get(address & mask, _NOWHERE)
            if found != _NOWHERE and (position == _NOWHERE or found < position):
                position = found
        if is_ipv4 and ":" not in block and address & _BLOCK not in self._split_blocks:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            self._blocks[block] = position
        return position

    def _first_around(self, client: Network) -> int:
        found = (
            position
            for mask, bases in self._by_mask.items()
            for base, position in bases.items()
            if Network(base, mask).holds(client)
        )
        return min(found, default=_NOWHERE)
