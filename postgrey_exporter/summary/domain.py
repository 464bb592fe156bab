"""What is known of each sender domain: the one computation that every face renders."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.counting.evidence import Evidence
from postgrey_exporter.summary.advice import NOTHING_KNOWN, Advice, advise, covered
from postgrey_exporter.summary.unnamed import nameless_standings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.counting.evidence import Totals
    from postgrey_exporter.counting.facts import DomainFacts
    from postgrey_exporter.lists import ListKind, Lists
    from postgrey_exporter.summary.unnamed import NetworkStanding


class DomainStanding(NamedTuple):
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
    evidence: Evidence = Evidence()
    """What became of its messages."""
    unreviewed_evidence: Evidence = Evidence()
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


class Standings(NamedTuple):
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


def standings(facts: Iterable[DomainFacts], lists: Lists, now: float, *, propose: bool = True) -> Standings:
    """Compute the standings at a moment; ``propose`` as for `advice.advise`."""
    domains: list[DomainStanding] = []
    nameless: list[NetworkStanding] = []
    nameless_networks = 0
    for of_domain in facts:
        of_domain.judge(lists)
        totals = of_domain.totals()
        domains.append(_standing(of_domain, totals, now, propose=propose))
        if of_domain.domain == UNKNOWN:
            nameless = nameless_standings(of_domain, now)
            nameless_networks = totals.networks
    return Standings(
        tuple(sorted(domains, key=lambda standing: (-standing.greylisted, standing.domain))),
        tuple(nameless),
        nameless_networks,
    )


def _standing(facts: DomainFacts, totals: Totals, now: float, *, propose: bool) -> DomainStanding:
    known = of_uncovered = facts.evidence(now)
    if totals.is_whitelisted or totals.is_ignored:
        of_uncovered = facts.evidence_of_uncovered(now)
    covered_by = totals.covered_by
    if covered_by is None:
        advice = advise(facts.domain, facts.parties(now), facts.ignored_names, propose=propose)
    else:
        advice = covered(covered_by)
    return DomainStanding(
        domain=facts.domain,
        new=totals.new,
        early_retry=totals.early_retry,
        clients=totals.clients,
        networks=totals.networks,
        unreviewed=totals.unreviewed,
        covered_by=covered_by,
        evidence=known,
        unreviewed_evidence=of_uncovered,
        advice=advice,
    )
