"""Everything that a tally tells, so that two can be compared: the compiled one and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postgrey_exporter.counting.facts import DomainFacts
    from postgrey_exporter.counting.increment import Increment
    from postgrey_exporter.counting.tally import Tally
    from postgrey_exporter.decision import Decision
    from postgrey_exporter.lists import Lists
    from support.reference import Facts


def assert_agree(tally: Increment, reference: Reference, lists: Lists, now: float, first_hour: int = 0) -> None:
    """Compare what a tally tells with what the reference does; both settle by it."""
    found = told(tally, lists, now, first_hour)
    # The seconds between a party's attempts are added up in any order.
    for what, expected in told(reference, lists, now, first_hour, pause=pytest.approx).items():
        assert found[what] == expected, (what, found[what], expected)


def reference_of(tally: Tally, decisions: Iterable[Decision], **options: Any) -> Reference:
    """Return what decisions come to, with the hash of a tally."""
    reference = Reference(tally.keyed, **options)
    for decision in decisions:
        reference.add(decision)
    return reference


def told(
    tally: Increment | Reference, lists: Lists, now: float, first_hour: int, pause: Callable[[float], Any] = float
) -> dict[str, Any]:
    """Return all that can be asked."""
    facts = {one.domain: told_of_facts(one, lists, now, pause) for one in tally.facts()}
    tally.judge(lists)
    ids = {domain: number for number, domain in enumerate(sorted(tally.domains), start=1)}
    return {
        "facts": facts,
        "decisions": tally.decisions,
        "domains": sorted(tally.domains),
        "first and last": (tally.first_event, tally.last_event),
        "totals": tally.decision_totals(),
        "hours": tally.decision_hours(),
        "clients": sorted(tally.clients()),
        "changes": tally.domain_changes(first_hour),
        "client rows": list(tally.client_rows(ids, first_hour, first_hour)),
        "kept client rows": list(tally.client_rows(ids, first_hour, first_hour - 24)),
        "attempt rows": list(tally.attempt_rows(first_hour)),
        "stories": [row[:2] for row in tally.story_rows(ids)],
        "message rows": sorted(tally.message_rows(ids, first_hour * 3600.0), key=lambda row: row[:3]),
        "deliveries": sorted(tally.deliveries(ids)),
    }


def told_of_facts(
    facts: DomainFacts | Facts, lists: Lists, now: float, pause: Callable[[float], Any] = float
) -> dict[str, Any]:
    """Return all that can be asked of a domain."""
    facts.judge(lists)
    return {
        "totals": facts.totals(),
        "evidence": facts.evidence(now),
        "evidence of uncovered": facts.evidence_of_uncovered(now),
        "parties": [
            (party.attempts, party.networks, pause(party.pause), party.evidence, set(party.names()))
            for party in facts.parties(now)
        ],
        "ignored": facts.ignored_names(),
        "networks": facts.networks(now, 1000),
        "largest networks": facts.networks(now, 1),
    }
