"""Decisions added up in memory: by hour, by client, and since the whitelists changed."""

from __future__ import annotations

from typing import Final

from postgrey_exporter.decision import CLIENT_AWL, EARLY_RETRY, GREYLIST, NEW, PASS, Client, Decision
from postgrey_exporter.parser import Parsed
from postgrey_exporter.tally import Tally
from postgrey_exporter.window import HOUR

POOL: Final = Client("mail.example.com", "192.0.2.1")
BOT: Final = Client("unknown", "198.51.100.1")


def greylisted(hour: float, client: Client = POOL, reason: str = NEW) -> Decision:
    return Decision(hour * HOUR, GREYLIST, reason, client, None)


def tally(*decisions: Decision, lists_changed: float = float("inf")) -> Tally:
    made = Tally(lists_changed=lists_changed)
    made.add(Parsed(list(decisions)))
    return made


def test_greylisted_attempts_are_counted_by_client_hour_and_reason() -> None:
    made = tally(
        greylisted(7), greylisted(7.99), greylisted(7.5, reason=EARLY_RETRY), greylisted(8), greylisted(7, BOT)
    )

    assert made.greylisted == {
        (POOL, 7, NEW): 2,
        (POOL, 7, EARLY_RETRY): 1,
        (POOL, 8, NEW): 1,
        (BOT, 7, NEW): 1,
    }
    assert made.cells == 4 + 5
    assert list(made.by_client()) == [(POOL, 3, 1), (BOT, 1, 0)]


def test_a_pass_is_counted_as_a_decision_only() -> None:
    made = tally(Decision(7 * HOUR, PASS, CLIENT_AWL, POOL, None))

    assert made.greylisted == {}
    assert made.decisions == {(7, PASS, CLIENT_AWL): 1}


def test_decisions_are_counted_by_hour_and_add_up_to_their_totals() -> None:
    made = tally(greylisted(7), greylisted(8), greylisted(8, BOT), greylisted(8, reason=EARLY_RETRY))

    assert made.decisions == {(7, GREYLIST, NEW): 1, (8, GREYLIST, NEW): 2, (8, GREYLIST, EARLY_RETRY): 1}
    assert made.decision_totals() == {(GREYLIST, NEW): 3, (GREYLIST, EARLY_RETRY): 1}


def test_the_first_and_last_events_are_those_of_the_log_in_whatever_order() -> None:
    made = tally(greylisted(8), greylisted(7), greylisted(9), greylisted(8))

    assert (made.first_event, made.last_event) == (7 * HOUR, 9 * HOUR)


def test_without_a_decision_there_is_no_event() -> None:
    assert (tally().first_event, tally().last_event) == (None, None)


def test_lines_are_counted_by_outcome_over_blocks() -> None:
    made = Tally()
    for _ in range(2):
        made.add(Parsed([greylisted(7)], no_decision=2, malformed=3, foreign=4))

    assert made.lines == {"decision": 2, "no_decision": 4, "malformed": 6, "foreign": 8}


def test_only_what_came_after_the_lists_changed_is_held_against_them() -> None:
    made = tally(greylisted(7), greylisted(8), greylisted(8.5), greylisted(9, BOT), lists_changed=8 * HOUR)

    assert made.since_lists_changed == {POOL: 1, BOT: 1}


def test_moments_that_are_not_wanted_count_as_lines_only() -> None:
    made = Tally(wanted=lambda moment: moment >= 8 * HOUR)
    made.add(Parsed([greylisted(7), greylisted(8)]))

    assert made.lines["decision"] == 2
    assert made.decision_totals() == {(GREYLIST, NEW): 1}
    assert made.greylisted == {(POOL, 8, NEW): 1}
    assert made.first_event == 8 * HOUR
