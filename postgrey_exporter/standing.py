"""What is known of each sender domain: the one computation that every face renders."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from postgrey_exporter.addresses import network_of
from postgrey_exporter.domains import UNKNOWN, registrable_domain
from postgrey_exporter.messages import NO_EVIDENCE, Evidence, Message, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.decision import Client
    from postgrey_exporter.lists import Lists


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
    evidence: Evidence = NO_EVIDENCE
    """What became of its messages."""

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
        if domain == UNKNOWN:
            nameless.setdefault(network, _Sum()).add(new, early_retry, cover)
    of_messages: defaultdict[str, list[Message]] = defaultdict(list)
    for domain, message in messages:
        of_messages[domain].append(message)
    of_domains = [_domain(name, total, evidence(of_messages[name], now)) for name, total in domains.items()]
    of_networks = [_network(name, total) for name, total in nameless.items()]
    return Standings(
        tuple(sorted(of_domains, key=lambda standing: (-standing.greylisted, standing.domain))),
        tuple(sorted(of_networks, key=lambda standing: (-standing.greylisted, standing.network))),
    )


def _domain(name: str, total: _Sum, known: Evidence) -> DomainStanding:
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
        evidence=known,
    )


def _network(network: str, total: _Sum) -> NetworkStanding:
    return NetworkStanding(network, total.new, total.early_retry, total.clients, total.unreviewed)
