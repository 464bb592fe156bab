"""What simulated senders are made of: hosts with addresses that nobody else has, moments, and mails."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from sample.world import DAY, HOUR, Host, Message, Origin

from simulation.names import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WEEK: Final = 7 * DAY

T = TypeVar("T")

Kind = Literal[
    "pool",
    "slow pool",
    "pool and customers",
    "server",
    "slow server",
    "newsletter",
    "slow newsletter",
    "hoster",
    "bots",
    "botnet",
    "snowshoe",
    "bots and servers",
]

_MAILBOXES: Final = tuple(
    f"{word}@example.org" for word in ("billing", "hr", "info", "it", "jobs", "office", "orders", "press", "web")
)
_BY_DAY: Final = (1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 9, 7, 8, 9, 8, 7, 6, 4, 3, 3, 2, 2, 1)
_V4_NETWORKS: Final = 512


@dataclass(frozen=True, slots=True)
class Sender:
    """One domain of the simulated week, with what is true of it."""

    domain: str
    kind: Kind
    right: Literal["whitelist", "ignore", "look"]
    """What an informed postmaster would do."""
    mails: tuple[Message, ...]
    is_named_clearly: bool = True
    """Whether the clients' names tell what they are; if not, a look is right as well."""
    pool: frozenset[Host] = frozenset()
    """Servers that the proposed line has to cover, each that was greylisted."""
    bots: frozenset[Host] = frozenset()
    """Clients that no proposed line may cover, greylisted or not."""

    @property
    def is_spam(self) -> bool:
        """Whether nothing that it sends is wanted, so that it must never be advised for the whitelist."""
        return bool(self.bots) and not self.pool


class Cast:
    """Draws everything from one seed. All IPv4 addresses are those set aside for benchmarks."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._taken: set[str] = set()
        self._v6_networks = 0

    def shuffled(self, names: Sequence[T]) -> list[T]:
        return self.rng.sample(names, len(names))

    def hosts(self, template: str, networks: int, each: int, *, v6: bool = False) -> tuple[Host, ...]:
        """Return ``each`` hosts in each of ``networks`` networks, /24 or /64, named by a template."""
        places = [self._v6_network() for _ in range(networks)] if v6 else self._v4_networks(networks)
        return tuple(
            Host(filled(template, self.rng, place, number, address), address)
            for place, network in enumerate(places)
            for number in range(each)
            for address in [self._address(network)]
        )

    def moment(self, *, by_day: bool, end: float = WEEK) -> float:
        """Return a moment of the week; by day means at the hours when people send mail."""
        while True:
            moment = self.rng.random() * end
            if not by_day or self.rng.random() * max(_BY_DAY) < _BY_DAY[int(moment % DAY // HOUR)]:
                return moment

    def mailboxes(self, count: int) -> tuple[str, ...]:
        return tuple(self.rng.sample(_MAILBOXES, count))

    def mails(self, count: int, origins: Sequence[Origin], sender: Callable[[int], str]) -> Iterator[Message]:
        """Yield mails, each of one of ``origins`` and to one mailbox or two; ``sender`` gets the mail's number."""
        for number in range(count):
            recipients = self.mailboxes(2 if self.rng.random() < 1 / 8 else 1)
            yield Message(self.moment(by_day=True), self.rng.choice(origins), sender(number), recipients)

    def spam(self, bot: Host, pauses: tuple[float, ...], patience: float, sender: str | None = None) -> Message:
        """Return one mail of a bot."""
        sender = sender or f"{self.rng.choice(('news', 'winner', 'parcel', 'admin'))}{self.rng.randrange(10**4)}@"
        if sender.endswith("@"):
            sender += f"{self.rng.choice(('deals', 'prizes', 'parcels', 'pills', 'loans'))}.example"
        origin = Origin((bot,), pauses=pauses, patience=patience)
        return Message(self.moment(by_day=False), origin, sender, self.mailboxes(1))

    def _v4_networks(self, count: int) -> list[str]:
        return [f"198.{18 + number // 256}.{number % 256}." for number in self.rng.sample(range(_V4_NETWORKS), count)]

    def _v6_network(self) -> str:
        self._v6_networks += 1
        return f"2001:db8:{self._v6_networks:x}:{self.rng.randrange(16):x}::"

    def _address(self, network: str) -> str:
        while True:
            number = self.rng.randrange(2, 255)
            address = f"{network}{number:x}" if ":" in network else f"{network}{number}"
            if address not in self._taken:
                self._taken.add(address)
                return address
