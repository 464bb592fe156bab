"""Where a review stands: its domains, worst first, what was decided of each, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from postgrey_exporter.clients.domains import registrable_domain
from postgrey_exporter.lists import Lists, read_whitelist

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.decision import Client
    from postgrey_exporter.lists.edit import Edit
    from postgrey_exporter.summary.domain import DomainStanding

Act: TypeAlias = Literal["whitelist", "ignore"]


class ClientAttempts(NamedTuple):
    """How often a client was greylisted."""

    client: Client
    attempts: int


@dataclass(frozen=True, slots=True)
class Item:
    """One domain to decide on."""

    standing: DomainStanding
    clients: tuple[ClientAttempts, ...]
    """Its clients that no list covers, most attempts first."""

    @property
    def domain(self) -> str:
        """The registrable domain."""
        return self.standing.domain


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of a list."""

    act: Act
    entry: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Reach:
    """Which clients an entry would cover, of those that no list covers."""

    clients: int
    """Clients of the domain that is looked at."""
    attempts: int
    """How often these were greylisted."""
    others: tuple[str, ...]
    """The other domains that it has clients of."""


class Review:
    """A walk through the items; it knows what was decided, not how it is carried out."""

    def __init__(self, items: Sequence[Item], threshold: int) -> None:
        """Begin with the first item; ``threshold`` are the attempts on no list from which on it needs a decision."""
        self.items = tuple(items)
        self.position = 0
        self._threshold = threshold
        self._skipped: set[int] = set()
        self._changes: list[tuple[int, Decision]] = []

    @property
    def current(self) -> Item | None:
        """The item to decide on; ``None`` behind the last one."""
        return self.items[self.position] if self.position < len(self.items) else None

    @property
    def changes(self) -> list[Decision]:
        """What was changed for the current item, oldest first."""
        return [decision for position, decision in self._changes if position == self.position]

    @property
    def is_skipped(self) -> bool:
        """Whether the current item was skipped."""
        return self.position in self._skipped

    @property
    def rest(self) -> list[ClientAttempts]:
        """The clients of the current item that no list covers after the changes."""
        item = self.current
        if item is None:
            return []
        # An ignored domain means what it would mean on the whitelist: itself, and all names under it.
        gone = {one for change in self.changes for one in covered(change.entry, item.clients)}
        return [one for one in item.clients if one not in gone]

    @property
    def is_settled(self) -> bool:
        """Whether the current item needs no further decision: what is left is below the threshold."""
        return bool(self.changes) and sum(one.attempts for one in self.rest) < self._threshold

    def change(self, decision: Decision) -> None:
        """Note a change of a list for the current item, and go on where it settles it."""
        self._skipped.discard(self.position)
        self._changes.append((self.position, decision))
        if self.is_settled:
            self._go_on()

    def skip(self) -> None:
        """Leave the current item as it is, and go on."""
        if not self.changes:
            self._skipped.add(self.position)
        self._go_on()

    def go_back(self) -> bool:
        """Go to the item before; tell whether there is one."""
        if self.position == 0:
            return False
        self.position -= 1
        return True

    @property
    def last_change(self) -> tuple[Item, Decision] | None:
        """The latest change that was not taken back."""
        if not self._changes:
            return None
        position, decision = self._changes[-1]
        return self.items[position], decision

    def take_back(self) -> None:
        """Forget the latest change, and go to its item."""
        self.position, _ = self._changes.pop()

    def changed(self, act: Act) -> list[tuple[Item, Decision]]:
        """Return the changes of a kind, in the order of the items."""
        found = sorted(self._changes, key=lambda change: change[0])
        return [(self.items[position], decision) for position, decision in found if decision.act == act]

    @property
    def skipped(self) -> int:
        """How many items were skipped."""
        return len(self._skipped)

    @property
    def undecided(self) -> int:
        """How many items there is no decision on."""
        return len(self.items) - len(self._skipped | {position for position, _ in self._changes})

    def _go_on(self) -> None:
        self.position = min(self.position + 1, len(self.items))


def uncovered(attempts: Iterable[tuple[Client, int, int]], lists: Lists) -> list[ClientAttempts]:
    """Return the clients that no list covers, of all domains, most attempts first."""
    clients = [
        ClientAttempts(client, new + early_retry)
        for client, new, early_retry in attempts
        if lists.covers(client.name, client.address) is None
    ]
    return sorted(clients, key=lambda one: (-one.attempts, one.client))


def items(standings: Sequence[DomainStanding], clients: Iterable[ClientAttempts]) -> list[Item]:
    """Return the items of some domains, in their order, each with its clients of those that no list covers."""
    by_domain: dict[str, list[ClientAttempts]] = {standing.domain: [] for standing in standings}
    for one in clients:
        own = by_domain.get(registrable_domain(one.client.name))
        if own is not None:
            own.append(one)
    return [Item(standing, tuple(by_domain[standing.domain])) for standing in standings]


def covered(entry: str, clients: Sequence[ClientAttempts]) -> list[ClientAttempts]:
    """Return the clients that a whitelist entry covers, as postgrey and `explain` see it."""
    lists = Lists([read_whitelist(entry.encode("utf-8", "surrogateescape"), "")])
    return [one for one in clients if lists.covers(one.client.name, one.client.address)]


def reach(entry: str, item: Item, everyone: Sequence[ClientAttempts]) -> Reach:
    """Return what a whitelist entry would cover of an item's clients, and of everyone else's."""
    own = covered(entry, item.clients)
    others = {registrable_domain(one.client.name) for one in covered(entry, everyone)} - {item.domain}
    return Reach(len(own), sum(one.attempts for one in own), tuple(sorted(others)))
