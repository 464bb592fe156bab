"""What is known of each sender domain: the one computation that every face renders."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from postgrey_exporter.addresses import network_of
from postgrey_exporter.advice import NOTHING_KNOWN, Advice, advise, advise_on_network
from postgrey_exporter.domains import UNKNOWN
from postgrey_exporter.messages import Evidence, Message, evidence
from postgrey_exporter.parties import parties
from postgrey_exporter.places import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.decision import Client
    from postgrey_exporter.lists import Cover, Lists
    from postgrey_exporter.places import Place


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
    unreviewed_evidence: Evidence = field(default_factory=Evidence)
    """What became of those that were first tried from a network with a client that no entry of a list covers."""
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
    evidence: Evidence = field(default_factory=Evidence)
    """What became of the messages that were first tried from it."""
    advice: Advice = NOTHING_KNOWN
    """What to do about it."""

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
    networks: set[int] = field(default_factory=set)
    covers: set[Literal["whitelist", "ignore"]] = field(default_factory=set)
    """The lists that cover some of the clients."""
    uncovered: list[tuple[Client, int, Place]] = field(default_factory=list)
    """Clients that no list covers, with their attempts."""
    ignored: set[str] = field(default_factory=set)
    """Names of clients that the ignore file covers."""

    def add(self, client: Client, place: Place, new: int, early_retry: int, cover: Cover | None) -> None:
        self.new += new
        self.early_retry += early_retry
        self.clients += 1
        self.networks.add(place.network)
        if cover is None:
            self.unreviewed += new + early_retry
            self.uncovered.append((client, new + early_retry, place))
        else:
            self.covers.add(cover.list)
            if cover.list == "ignore":
                self.ignored.add(client.name)

    @property
    def covered_by(self) -> Literal["whitelist", "ignore"] | None:
        """What covers all of the clients; ``ignore`` when it takes both lists."""
        if self.uncovered or not self.covers:
            return None
        return "ignore" if "ignore" in self.covers else "whitelist"


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
    domains: defaultdict[str, _Sum] = defaultdict(_Sum)
    nameless: defaultdict[str, _Sum] = defaultdict(_Sum)
    for client, new, early_retry in attempts:
        cover = lists.covers(client.name, client.address)
        place = place_of(client)
        domains[place.domain].add(client, place, new, early_retry, cover)
        if place.domain == UNKNOWN:
            nameless[network_of(client.address)].add(client, place, new, early_retry, cover)
    of_domain: defaultdict[str, list[Message]] = defaultdict(list)
    for domain, message in messages:
        of_domain[domain].append(message)
    of_network: defaultdict[int, list[Message]] = defaultdict(list)
    for message in of_domain[UNKNOWN]:
        of_network[message.network].append(message)
    of_domains = [_domain(name, total, of_domain[name], now) for name, total in domains.items()]
    of_networks = [_network(name, total, of_network[min(total.networks)], now) for name, total in nameless.items()]
    return Standings(
        tuple(sorted(of_domains, key=lambda standing: (-standing.greylisted, standing.domain))),
        tuple(sorted(of_networks, key=lambda standing: (-standing.greylisted, standing.network))),
    )


def _domain(name: str, total: _Sum, messages: list[Message], now: float) -> DomainStanding:
    covered_by = total.covered_by
    known = evidence(messages, now)
    return DomainStanding(
        domain=name,
        new=total.new,
        early_retry=total.early_retry,
        clients=total.clients,
        networks=len(total.networks),
        unreviewed=total.unreviewed,
        covered_by=covered_by,
        evidence=known,
        unreviewed_evidence=_of_uncovered(total, messages, now) if total.covers else known,
        advice=_done(covered_by)
        if covered_by
        else advise(name, parties(total.uncovered, messages, now), total.ignored),
    )


def _of_uncovered(total: _Sum, messages: list[Message], now: float) -> Evidence:
    networks = {place.network for _, _, place in total.uncovered}
    return evidence([message for message in messages if message.network in networks], now)


def _network(network: str, total: _Sum, messages: list[Message], now: float) -> NetworkStanding:
    covered_by = total.covered_by
    known = evidence(messages, now)
    addresses = {client.address for client, _, _ in total.uncovered}
    return NetworkStanding(
        network=network,
        new=total.new,
        early_retry=total.early_retry,
        clients=total.clients,
        unreviewed=total.unreviewed,
        evidence=known,
        advice=_done(covered_by) if covered_by else advise_on_network(addresses, known),
    )


def _done(covered_by: Literal["whitelist", "ignore"]) -> Advice:
    return Advice(covered_by, f"all of its clients are on the {_LIST_NAMES[covered_by]} already", None)
