"""What can be asked of a domain's facts, in whatever order; that the answers are right is for `test_tally`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.reference import network_number

from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.lists import Lists, read_ignore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOW: Final = 1_800_000_000.0


def facts_of(*addresses: str) -> DomainFacts:
    facts = DomainFacts("example.com")
    for number, address in enumerate(addresses):
        facts.add_client("dyn.example.com", address, number, 1)
        facts.add_message(NOW - 60, NOW, network_number(address), False, None, None, False)
    return facts


def test_fewer_networks_can_be_asked_for_after_more() -> None:
    facts = facts_of("192.0.2.1", "198.51.100.1", "203.0.113.1")
    facts.judge(Lists())

    found = [[network.address for network in facts.networks(NOW, most)] for most in (3, 1, 0, 2)]

    assert found == [
        ["203.0.113.1", "198.51.100.1", "192.0.2.1"],
        ["203.0.113.1"],
        [],
        ["203.0.113.1", "198.51.100.1"],
    ]


def test_facts_that_nobody_judged_tell_of_no_network() -> None:
    facts = facts_of("192.0.2.1")

    assert facts.totals().networks == 0
    assert facts.networks(NOW, 9) == []
    assert facts.parties(NOW).mail.attempts == 0


def test_facts_are_judged_anew_by_other_lists() -> None:
    facts = facts_of("192.0.2.1")
    unreviewed = []
    for lists in (Lists(), Lists([], [read_ignore(b"example.com\n", "ignore")]), Lists()):
        facts.judge(lists)
        unreviewed.append(facts.totals().unreviewed)

    assert unreviewed == [1, 0, 1]


@pytest.mark.parametrize(
    ("count", "words"), [pytest.param(3, "longer", id="too-many"), pytest.param(1, "shorter", id="too-few")]
)
def test_each_client_has_one_verdict(count: int, words: str) -> None:
    class Wrong(Lists):
        def verdicts(self, clients: Iterable[tuple[str, str]]) -> Iterator[int]:
            return iter([*super().verdicts(clients), 0][:count])

    facts = facts_of("192.0.2.1", "198.51.100.1")
    with pytest.raises(ValueError, match=words):
        facts.judge(Wrong([], [read_ignore(b"dyn.example.com\n", "ignore")]))
