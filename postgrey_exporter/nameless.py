"""The clients without a usable name, network by network: no domain stands for them, and no list can name them.

Whoever makes up senders has a network for each, so what is kept of one is small, and only the largest are told of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from postgrey_exporter.addresses import network_of
from postgrey_exporter.advice import NOTHING_KNOWN, Advice, advise_on_network, covered
from postgrey_exporter.messages import Evidence, Message, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postgrey_exporter.facts import ClientAttempts
    from postgrey_exporter.lists import Cover
    from postgrey_exporter.places import Place

MOST_NETWORKS: Final = 1000
"""Networks that are told of; those with the most attempts."""


@dataclass(frozen=True, slots=True)
class NetworkStanding:
    """How greylisting treated the clients of one network that have no usable name."""

    network: str
    new: int
    early_retry: int
    clients: int
    unreviewed: int
    """Greylisted attempts from clients that no entry of a list covers."""
    evidence: Evidence = field(default_factory=Evidence)
    """What became of the messages that were first tried from it."""
    advice: Advice = NOTHING_KNOWN
    """What to do about it."""

    @property
    def greylisted(self) -> int:
        """Attempts greylisted, whatever the reason."""
        return self.new + self.early_retry


@dataclass(slots=True)
class _Sum:
    address: str
    """That of some client."""
    new: int = 0
    early_retry: int = 0
    clients: int = 0
    unreviewed: int = 0
    uncovered: str = ""
    """An address that no list covers."""
    other_uncovered: str = ""
    """Another one: two of them tell as much as all."""
    is_ignored: bool = False

    @property
    def attempts(self) -> int:
        return self.new + self.early_retry


class Nameless:
    """Adds up the clients without a name."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sums: dict[int, _Sum] = {}
        self._largest: dict[int, list[Message]] = {}

    @property
    def networks(self) -> int:
        """How many networks there are."""
        return len(self._sums)

    def add(self, one: ClientAttempts, place: Place, cover: Cover | None) -> None:
        """Add a client."""
        total = self._sums.get(place.network)
        if total is None:
            total = self._sums[place.network] = _Sum(one.client.address)
        total.new += one.new
        total.early_retry += one.early_retry
        total.clients += 1
        if cover is None:
            total.unreviewed += one.new + one.early_retry
            if total.uncovered:
                total.other_uncovered = one.client.address
            else:
                total.uncovered = one.client.address
        elif cover.list == "ignore":
            total.is_ignored = True

    def is_uncovered(self, network: int) -> bool:
        """Tell whether some client of a network, given by its number, is on no list."""
        total = self._sums.get(network)
        return total is not None and total.unreviewed > 0

    def sorted_out(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Pass messages on, and keep those of the largest networks; to be called when all clients are added."""
        largest = nsmallest(MOST_NETWORKS, self._sums.items(), key=lambda item: (-item[1].attempts, item[1].address))
        self._largest = {number: [] for number, _ in largest}
        for message in messages:
            if message.network in self._largest:
                self._largest[message.network].append(message)
            yield message

    def standings(self, now: float) -> tuple[NetworkStanding, ...]:
        """Return the largest networks as they stand at a moment, most greylisted first."""
        of_all = [_standing(self._sums[number], own, now) for number, own in self._largest.items()]
        return tuple(sorted(of_all, key=lambda standing: (-standing.greylisted, standing.network)))


def _standing(total: _Sum, messages: list[Message], now: float) -> NetworkStanding:
    known = evidence(messages, now)
    if total.unreviewed:
        advice = advise_on_network({total.uncovered, total.other_uncovered or total.uncovered}, known)
    else:
        advice = covered("ignore" if total.is_ignored else "whitelist")
    return NetworkStanding(
        network=network_of(total.address),
        new=total.new,
        early_retry=total.early_retry,
        clients=total.clients,
        unreviewed=total.unreviewed,
        evidence=known,
        advice=advice,
    )
