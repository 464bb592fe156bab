"""The clients without a usable name, network by network: no domain stands for them, and no list can name them.

Whoever makes up senders has a network for each, so what is kept of one is small, and only the largest are told of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.clients.addresses import network_of
from postgrey_exporter.counting.evidence import Evidence
from postgrey_exporter.summary.advice import NOTHING_KNOWN, Advice, advise_on_network, covered

if TYPE_CHECKING:
    from postgrey_exporter.counting.evidence import NetworkFacts
    from postgrey_exporter.counting.facts import DomainFacts

MOST_NETWORKS: Final = 1000
"""Networks that are told of; those with the most attempts."""


class NetworkStanding(NamedTuple):
    """How greylisting treated the clients of one network that have no usable name."""

    network: str
    new: int
    early_retry: int
    clients: int
    unreviewed: int
    """Greylisted attempts from clients that no entry of a list covers."""
    evidence: Evidence = Evidence()
    """What became of the messages that were first tried from it."""
    advice: Advice = NOTHING_KNOWN
    """What to do about it."""

    @property
    def greylisted(self) -> int:
        """Attempts greylisted, whatever the reason."""
        return self.new + self.early_retry


def nameless_standings(facts: DomainFacts, now: float) -> list[NetworkStanding]:
    """Return the largest networks as they stand at a moment, most greylisted first."""
    found = [_standing(network) for network in facts.networks(now, MOST_NETWORKS)]
    return sorted(found, key=lambda standing: (-standing.greylisted, standing.network))


def _standing(facts: NetworkFacts) -> NetworkStanding:
    if facts.unreviewed:
        advice = advise_on_network(set(facts.uncovered), facts.evidence)
    else:
        advice = covered("ignore" if facts.is_ignored else "whitelist")
    return NetworkStanding(
        network=network_of(facts.address),
        new=facts.new,
        early_retry=facts.early_retry,
        clients=facts.clients,
        unreviewed=facts.unreviewed,
        evidence=facts.evidence,
        advice=advice,
    )
