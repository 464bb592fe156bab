"""What is known of each sender domain: the one computation that every face renders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postgrey_exporter.advice import NOTHING_KNOWN, ON_NAMELESS, Advice, advise, covered
from postgrey_exporter.domains import UNKNOWN
from postgrey_exporter.messages import Evidence, evidence
from postgrey_exporter.nameless import Nameless, NetworkStanding
from postgrey_exporter.parties import parties
from postgrey_exporter.places import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.decision import Client
    from postgrey_exporter.facts import ClientAttempts, DomainFacts
    from postgrey_exporter.lists import Cover, ListKind, Lists
    from postgrey_exporter.messages import Message
    from postgrey_exporter.places import Place


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
    covered_by: ListKind | None
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
class Standings:
    """All sender domains, most greylisted first."""

    domains: tuple[DomainStanding, ...]
    nameless: tuple[NetworkStanding, ...]
    """The networks behind the domain `domains.UNKNOWN`, the largest of them; see `nameless.MOST_NETWORKS`."""
    nameless_networks: int
    """How many of these there are in all."""

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
    covers: set[ListKind] = field(default_factory=set)
    """The lists that cover some of the clients."""

    def add(self, one: ClientAttempts, cover: Cover | None) -> None:
        self.new += one.new
        self.early_retry += one.early_retry
        self.clients += 1
        if cover is None:
            self.unreviewed += one.new + one.early_retry
        else:
            self.covers.add(cover.list)

    @property
    def covered_by(self) -> ListKind:
        """What covers the clients, where all are covered; ``ignore`` when it takes both lists."""
        return "ignore" if "ignore" in self.covers else "whitelist"

    def standing(
        self, domain: str, networks: int, known: Evidence, of_uncovered: Evidence, advice: Advice
    ) -> DomainStanding:
        return DomainStanding(
            domain=domain,
            new=self.new,
            early_retry=self.early_retry,
            clients=self.clients,
            networks=networks,
            unreviewed=self.unreviewed,
            covered_by=None if self.unreviewed else self.covered_by,
            evidence=known,
            unreviewed_evidence=of_uncovered,
            advice=advice,
        )


def standings(facts: Iterable[DomainFacts], lists: Lists, now: float) -> Standings:
    """Compute the standings at a moment."""
    domains: list[DomainStanding] = []
    nameless = Nameless()
    for of_domain in facts:
        if of_domain.domain == UNKNOWN:
            domains.append(_unknown(nameless, of_domain, lists, now))
        else:
            domains.append(_domain(of_domain, lists, now))
    return Standings(
        tuple(sorted(domains, key=lambda standing: (-standing.greylisted, standing.domain))),
        nameless.standings(now),
        nameless.networks,
    )


def _domain(facts: DomainFacts, lists: Lists, now: float) -> DomainStanding:
    total = _Sum()
    networks: set[int] = set()
    uncovered: list[tuple[Client, int, Place]] = []
    ignored: set[str] = set()
    for one in facts.attempts:
        place, cover = place_of(one.client), lists.covers(*one.client)
        total.add(one, cover)
        networks.add(place.network)
        if cover is None:
            uncovered.append((one.client, one.new + one.early_retry, place))
        elif cover.list == "ignore":
            ignored.add(one.client.name)
    messages = list(facts.messages)
    known = known_of_uncovered = evidence(messages, now)
    if total.covers:
        without_cover = {place.network for _, _, place in uncovered}
        known_of_uncovered = evidence([one for one in messages if one.network in without_cover], now)
    if uncovered:
        advice = advise(facts.domain, parties(uncovered, messages, now), ignored)
    else:
        advice = covered(total.covered_by)
    return total.standing(facts.domain, len(networks), known, known_of_uncovered, advice)


def _unknown(nameless: Nameless, facts: DomainFacts, lists: Lists, now: float) -> DomainStanding:
    """Add up `domains.UNKNOWN`, of whose many clients and messages none is kept where no list covers any."""
    total = _Sum()
    for one in facts.attempts:
        cover = lists.covers(*one.client)
        nameless.add(one, place_of(one.client), cover)
        total.add(one, cover)
    messages: Iterable[Message] = nameless.sorted_out(facts.messages)
    if total.covers:
        messages = list(messages)
    known = known_of_uncovered = evidence(messages, now)
    if total.covers:
        known_of_uncovered = evidence([one for one in messages if nameless.is_uncovered(one.network)], now)
    advice = ON_NAMELESS if total.unreviewed else covered(total.covered_by)
    return total.standing(UNKNOWN, nameless.networks, known, known_of_uncovered, advice)
