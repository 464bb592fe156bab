"""What is known of each sender domain: the one computation that every face renders."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from postgrey_exporter.addresses import network_of
from postgrey_exporter.advice import NOTHING_KNOWN, Advice, Party, advise
from postgrey_exporter.clientnames import is_customer_line
from postgrey_exporter.domains import UNKNOWN, registrable_domain
from postgrey_exporter.messages import Evidence, Message, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.decision import Client
    from postgrey_exporter.lists import Lists


_LIST_NAMES: Final = {"whitelist": "whitelist", "ignore": "ignore file"}


@dataclass(frozen=True, slots=True)
class DomainStanding:
    """How greylisting treated one sender domain inside the window."""

    domain: str
    """The registrable domain, or `domains.UNKNOWN`."""
    new: int
    """Attempts greylisted at first sight of their triplet."""
    early_retry: int
    """Attempts greylisted because they came back too early."""
    clients: int
    networks: int
    """Distinct client networks, /24 or /64: what postgrey greylists as one."""
    unreviewed: int
    """Greylisted attempts from clients that no entry of a list covers."""
    covered_by: Literal["whitelist", "ignore"] | None
    """What covers all of its clients; ``ignore`` when it takes both lists; none when one is left uncovered."""
    evidence: Evidence = field(default_factory=Evidence)
    """What became of its messages."""
    advice: Advice = NOTHING_KNOWN
    """What to do about it."""

    @property
    def greylisted(self) -> int:
        """Attempts greylisted, whatever the reason."""
        return self.new + self.early_retry

    @property
    def to_review(self) -> int:
        """What the threshold is held against: nothing for `domains.UNKNOWN`, which no list can name."""
        return 0 if self.domain == UNKNOWN else self.unreviewed


@dataclass(frozen=True, slots=True)
class NetworkStanding:
    """The same for a network of clients without a usable name."""

    network: str
    new: int
    early_retry: int
    clients: int
    unreviewed: int

    @property
    def greylisted(self) -> int:
        """Attempts greylisted, whatever the reason."""
        return self.new + self.early_retry


@dataclass(frozen=True, slots=True)
class Standings:
    """All sender domains, most greylisted first."""

    domains: tuple[DomainStanding, ...]
    nameless: tuple[NetworkStanding, ...]
    """The networks behind the domain `domains.UNKNOWN`."""

    def unreviewed(self, threshold: int) -> tuple[DomainStanding, ...]:
        """Return the domains that need a decision, most attempts first."""
        chosen = [standing for standing in self.domains if standing.to_review >= threshold]
        return tuple(sorted(chosen, key=lambda standing: (-standing.to_review, standing.domain)))


@dataclass(slots=True)
class _Sum:
    new: int = 0
    early_retry: int = 0
    clients: int = 0
    unreviewed: int = 0
    networks: set[str] = field(default_factory=set)
    covers: Counter[str] = field(default_factory=Counter)
    uncovered: dict[bool, dict[str, int]] = field(default_factory=lambda: {False: {}, True: {}})
    """Attempts by name of clients that no list covers, those of customers' lines apart."""

    def add(self, new: int, early_retry: int, cover: str) -> None:
        self.new += new
        self.early_retry += early_retry
        self.clients += 1
        self.covers[cover] += 1
        if not cover:
            self.unreviewed += new + early_retry


def standings(
    attempts: Iterable[tuple[Client, int, int]],
    messages: Iterable[tuple[str, Message]],
    lists: Lists,
    now: float,
) -> Standings:
    """Compute the standings at a moment.

    ``attempts`` are a client each, once, with how often it was greylisted as new and as an early retry; ``messages``
    are those of each domain.
    """
    domains: dict[str, _Sum] = {}
    nameless: dict[str, _Sum] = {}
    for client, new, early_retry in attempts:
        covered = lists.covers(client.name, client.address)
        cover = covered.list if covered else ""
        domain = registrable_domain(client.name)
        network = network_of(client.address)
        total = domains.setdefault(domain, _Sum())
        total.add(new, early_retry, cover)
        total.networks.add(network)
        if not covered:
            of_kind = total.uncovered[is_customer_line(client.name, client.address)]
            of_kind[client.name] = of_kind.get(client.name, 0) + new + early_retry
        if domain == UNKNOWN:
            nameless.setdefault(network, _Sum()).add(new, early_retry, cover)
    of_messages: defaultdict[str, list[Message]] = defaultdict(list)
    for domain, message in messages:
        of_messages[domain].append(message)
    of_domains = [_domain(name, total, of_messages[name], now) for name, total in domains.items()]
    of_networks = [_network(name, total) for name, total in nameless.items()]
    return Standings(
        tuple(sorted(of_domains, key=lambda standing: (-standing.greylisted, standing.domain))),
        tuple(sorted(of_networks, key=lambda standing: (-standing.greylisted, standing.network))),
    )


def _domain(name: str, total: _Sum, messages: list[Message], now: float) -> DomainStanding:
    covered_by: Literal["whitelist", "ignore"] | None = None
    if not total.covers[""]:
        covered_by = "ignore" if total.covers["ignore"] else "whitelist"
    return DomainStanding(
        domain=name,
        new=total.new,
        early_retry=total.early_retry,
        clients=total.clients,
        networks=len(total.networks),
        unreviewed=total.unreviewed,
        covered_by=covered_by,
        evidence=evidence(messages, now),
        advice=_advice(name, total, messages, now, covered_by),
    )


def _advice(
    name: str, total: _Sum, messages: list[Message], now: float, covered_by: Literal["whitelist", "ignore"] | None
) -> Advice:
    if covered_by is not None:
        return Advice(covered_by, f"all of its clients are on the {_LIST_NAMES[covered_by]} already", None)
    servers, lines = (
        Party(
            names=frozenset(total.uncovered[is_line]),
            attempts=sum(total.uncovered[is_line].values()),
            evidence=evidence([message for message in messages if message.line == is_line], now),
        )
        for is_line in (False, True)
    )
    return advise(name, servers, lines)


def _network(network: str, total: _Sum) -> NetworkStanding:
    return NetworkStanding(network, total.new, total.early_retry, total.clients, total.unreviewed)
