"""Decisions added up in memory, compiled, come to what they come to one by one in plain Python."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreement import assert_agree, reference_of, told_of_facts
from support.tallies import SECRET, add, tally_of

from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.counting.seen import Seen
from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.decision import CLIENT_AWL, DECISION_LABELS, EARLY_RETRY, GREYLIST, NEW, PASS, Client, Decision
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sample import week
from postgrey_exporter.summary import unnamed as nameless
from postgrey_exporter.summary.domain import standings
from postgrey_exporter.window import HOUR, hour_of

USUALLY: Final = settings().max_examples
POOL: Final = Client("mail.example.com", "192.0.2.1")
BOT: Final = Client("unknown", "198.51.100.1")
NOW: Final = 1_800_000_000.0
NO_LISTS: Final = Lists()


def greylisted(hour: float, client: Client = POOL, reason: str = NEW, key: int = 0) -> Decision:
    return Decision(hour * HOUR, GREYLIST, reason, client, None, key)


def counts(tally: Tally) -> dict[tuple[str, str], int]:
    return {label: count for label, count in tally.decision_totals().items() if count}


def test_greylisted_attempts_are_counted_by_client_hour_and_reason() -> None:
    made = tally_of(
        greylisted(7), greylisted(7.99), greylisted(7.5, reason=EARLY_RETRY), greylisted(8), greylisted(7, BOT)
    )

    pool, bot = (made.keyed.number(f"{client.name} {client.address}".encode()) for client in (POOL, BOT))
    assert set(made.attempt_rows(0)) == {(7, pool, 2, 1), (8, pool, 1, 0), (7, bot, 1, 0)}
    assert list(made.clients()) == [(POOL, 3, 1), (BOT, 1, 0)]


def test_a_pass_is_counted_as_a_decision_only() -> None:
    made = tally_of(Decision(7 * HOUR, PASS, CLIENT_AWL, POOL, None))

    assert (list(made.clients()), list(made.attempt_rows(0)), list(made.facts())) == ([], [], [])
    assert made.decision_hours() == [(7, PASS, CLIENT_AWL, 1)]


def test_decisions_are_counted_by_hour_and_add_up_to_their_totals() -> None:
    made = tally_of(greylisted(7), greylisted(8), greylisted(8, BOT), greylisted(8, reason=EARLY_RETRY))

    assert made.decision_hours() == [(7, GREYLIST, NEW, 1), (8, GREYLIST, EARLY_RETRY, 1), (8, GREYLIST, NEW, 2)]
    assert counts(made) == {(GREYLIST, NEW): 3, (GREYLIST, EARLY_RETRY): 1}
    assert list(made.decision_totals()) == list(DECISION_LABELS)


def test_the_first_and_last_events_are_those_of_the_log_in_whatever_order() -> None:
    made = tally_of(greylisted(8), greylisted(7), greylisted(9), greylisted(8))

    assert (made.first_event, made.last_event) == (7 * HOUR, 9 * HOUR)


def test_without_a_decision_there_is_no_event() -> None:
    assert (tally_of().first_event, tally_of().last_event) == (None, None)


def test_only_what_came_after_the_lists_changed_is_held_against_them() -> None:
    made = tally_of(
        greylisted(7), greylisted(8), greylisted(8.5), greylisted(9, BOT), greylisted(9), lists_changed=8 * HOUR
    )
    made.judge(Lists([read_whitelist(b"192.0.2.1\n", "whitelist")]))

    assert made.domain_changes(0) == {"example.com": (4, 0, 2, 0, 9), "unknown": (1, 0, 0, 1, 9)}


@pytest.mark.parametrize(
    ("bounds", "hours"),
    [
        pytest.param({"since": 8 * HOUR}, [8, 9], id="since"),
        pytest.param({"until": 8 * HOUR}, [7], id="until"),
        pytest.param({"since": 8 * HOUR, "until": 9 * HOUR}, [8], id="both"),
        pytest.param({"since": 10 * HOUR}, [], id="nothing"),
    ],
)
def test_moments_out_of_bounds_leave_no_trace(bounds: dict[str, float], hours: list[int]) -> None:
    made = tally_of(greylisted(7), greylisted(8), greylisted(9), **bounds)

    assert [row[0] for row in made.decision_hours()] == [row[0] for row in made.attempt_rows(0)] == hours
    assert made.decisions == len(hours)
    assert made.first_event == (hours[0] * HOUR if hours else None)


def test_a_tally_tells_when_it_grows() -> None:
    made = tally_of()
    before = made.size_bytes
    for number in range(1000):
        add(made, greylisted(7, Client(f"mx{number}.example.com", "192.0.2.1"), key=number))

    assert made.size_bytes - before > 1000 * (len("mx0.example.com 192.0.2.1") + 8)


def test_a_client_with_a_name_longer_than_postgrey_keeps_is_refused() -> None:
    longest = Client("\ufffd" * 512, "192.0.2.1")

    assert list(tally_of(greylisted(7, longest)).clients()) == [(longest, 1, 0)]
    with pytest.raises(ValueError, match="postgrey has no client called"):
        tally_of(greylisted(7, longest._replace(name="\ufffd" * 513)))


def test_domains_that_were_met_are_told_with_unknown_always_among_them() -> None:
    assert tally_of().domains == ["unknown"]
    passed = Decision(NOW, PASS, CLIENT_AWL, Client("mx.example.net", "192.0.2.2"), None)
    assert tally_of(greylisted(7), passed, greylisted(8)).domains == ["unknown", "example.com", "example.net"]


# --- against the reference

CLIENTS: Final = [
    Client(name, address)
    for name, address in (
        ("mail1.example.com", "192.0.2.1"),
        ("mail1.example.com", "192.0.2.2"),
        ("mta-2.out.example.com", "198.51.100.7"),
        ("mta-3.out.example.com", "2001:db8::7"),
        ("host.example.com", "192.0.2.3"),
        ("dsl-198-18-0-9.dyn.example.com", "198.18.0.9"),
        ("h198-18-1-9.example.com", "198.18.1.9"),
        ("a.b.example.co.uk", "203.0.113.1"),
        ("mx.example.co.uk", ""),
        ("co.uk", "203.0.113.9"),
        ("caf\N{REPLACEMENT CHARACTER}.example.com", "192.0.2.77"),
        ("unknown", "192.0.2.1"),
        ("unknown", "192.0.2.9"),
        ("unknown", "198.51.100.99"),
        ("unknown", "2001:db8:0:1::1"),
        ("unknown", ""),
    )
]
LISTS: Final = Lists(
    [read_whitelist(b"/^mta-[0-9]+\\.out/\n192.0.2.9\n203.0.113.0/24\n", "whitelist")],
    [read_ignore(b"dyn.example.com\nhost.example.com\n", "ignore")],
)
# Steps of 1/4096 s lie within the millisecond in which two begins are one moment.
MOMENTS: Final = st.one_of(
    st.integers(0, 40).map(lambda steps: NOW - 3 * 86400 + steps / 4096),
    st.integers(0, 9 * 24 * 4).map(lambda quarters: NOW - quarters * 900.0),
    st.floats(NOW - 9 * 86400, NOW),
)
DECISIONS: Final = st.builds(
    lambda moment, label, client, delay, key: Decision(moment, label[0], label[1], client, delay, key),
    MOMENTS,
    st.sampled_from([(GREYLIST, NEW), (GREYLIST, NEW), (GREYLIST, EARLY_RETRY), *DECISION_LABELS]),
    st.sampled_from(CLIENTS),
    st.sampled_from([None, 0, 300, 2_147_483_647]),
    st.sampled_from([0, 1, -1, (1 << 63) - 1, -1 << 63]),
)
LOGS: Final = st.lists(DECISIONS, max_size=40)
LISTS_OR_NONE: Final = st.sampled_from([NO_LISTS, LISTS])


@settings(max_examples=3 * USUALLY)
@given(log=LOGS, lists=LISTS_OR_NONE, first_hour=st.sampled_from([0, hour_of(NOW) - 72]))
def test_a_tally_tells_what_its_decisions_come_to(log: list[Decision], lists: Lists, first_hour: int) -> None:
    tally = tally_of(*log)

    assert_agree(tally, reference_of(tally, log), lists, NOW, first_hour)


@given(log=LOGS, lists=LISTS_OR_NONE, since=st.none() | MOMENTS)
def test_a_tally_for_a_report_tells_what_one_for_the_state_does(
    log: list[Decision], lists: Lists, since: float | None
) -> None:
    report, state = Tally(KeyedHash(SECRET), since=since), tally_of(*log, since=since)
    add(report, *log)

    for one, other in zip(report.facts(), state.facts(), strict=True):
        assert one.domain == other.domain
        assert told_of_facts(one, lists, NOW) == told_of_facts(other, lists, NOW)
    assert (counts(report), list(report.clients())) == (counts(state), list(state.clients()))
    assert (report.decisions, report.domains) == (state.decisions, state.domains)
    assert (report.first_event, report.last_event) == (state.first_event, state.last_event)


@given(log=LOGS, lists=LISTS_OR_NONE, since=st.none() | MOMENTS, until=st.none() | MOMENTS, changed=MOMENTS)
def test_a_tally_within_bounds_tells_what_its_decisions_come_to(
    log: list[Decision], lists: Lists, since: float | None, until: float | None, changed: float
) -> None:
    options = {"since": since, "until": until, "lists_changed": changed}
    tally = tally_of(*log, **options)

    assert_agree(tally, reference_of(tally, log, **options), lists, NOW)


@settings(max_examples=3 * USUALLY)
@given(parts=st.lists(st.lists(DECISIONS, max_size=12), max_size=5), lists=LISTS_OR_NONE)
def test_a_tally_that_settles_in_between_tells_what_its_parts_come_to(
    parts: list[list[Decision]], lists: Lists
) -> None:
    tally = tally_of()
    reference = reference_of(tally, [])
    for part in parts:
        for decision in part:
            add(tally, decision)
            reference.add(decision)
        tally.settle()
        reference.settle()

    assert_agree(tally, reference, lists, NOW)


@dataclass
class Kept:
    """What a state keeps of messages: the rows that tallies give it, by domain, key and begin."""

    seen: Seen | None
    rows: dict[tuple[int, int, float], tuple[Any, ...]] = field(default_factory=dict)
    deliveries: list[float] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def merge(self, tally: Increment) -> None:
        for domain in tally.domain_changes(0):
            self.ids.setdefault(domain, len(self.ids) + 1)
        for number, key, story in list(tally.story_rows(self.ids, self.seen)):
            for place, row in sorted(self.rows.items()):
                if place[:2] == (number, key):
                    tally.remember(story, *row)
        tally.settle()
        if self.seen is not None:
            tally.note_seen(self.ids, self.seen)
        self.deliveries.extend(tally.deliveries(self.ids))
        self.rows.update({row[:3]: row[2:] for row in tally.message_rows(self.ids, 0.0)})


@settings(max_examples=3 * USUALLY)
@given(log=LOGS, cuts=st.sets(st.integers(0, 40)), seen=st.builds(Seen) | st.none())
def test_tallies_that_remember_what_is_kept_go_on_where_the_last_one_ended(
    log: list[Decision], cuts: set[int], seen: Seen | None
) -> None:
    log.sort(key=lambda decision: decision.time)
    kept = Kept(seen)
    reference = reference_of(tally_of(), [])
    for begin, end in pairwise([0, *sorted(cuts), len(log)]):
        part = log[begin:end]
        kept.merge(tally_of(*part))
        for decision in part:
            reference.add(decision)
        reference.settle()

    assert [(*place[:2], *row) for place, row in sorted(kept.rows.items())] == sorted(
        reference.message_rows(kept.ids, 0.0)
    )
    assert sorted(kept.deliveries) == sorted(reference.deliveries(kept.ids))


@given(log=LOGS, lists=LISTS_OR_NONE)
def test_facts_that_were_kept_tell_the_same_as_those_that_were_counted(log: list[Decision], lists: Lists) -> None:
    counted = {}
    kept = {}
    for facts in reference_of(tally_of(), log).facts():
        made = DomainFacts(facts.domain)
        for client, (new, early_retry) in facts.clients.items():
            made.add_client(*client, new, early_retry)
        for message in facts.messages:
            made.add_message(*message)
        kept[facts.domain] = standings([made], lists, NOW)
    for one in tally_of(*log).facts():
        counted[one.domain] = standings([one], lists, NOW)

    assert kept == counted


@pytest.fixture(scope="module")
def sample() -> bytes:
    return "".join(week(NOW)).encode()


@pytest.mark.parametrize("lists", [pytest.param(NO_LISTS, id="no-lists"), pytest.param(LISTS, id="lists")])
@pytest.mark.parametrize("since", [pytest.param(None, id="week"), pytest.param(NOW - 3 * 86400, id="three-days")])
def test_a_week_of_a_real_postgrey_is_counted_as_its_decisions_are(
    sample: bytes, lists: Lists, since: float | None
) -> None:
    parser = Parser(secret=SECRET)
    tally = Increment(parser.keyed, since=since)
    lines = sample.splitlines(keepends=True)
    for at in range(0, len(lines), 1000):
        tally.add(parser.read(b"".join(lines[at : at + 1000]), NOW))
        tally.settle()

    assert len(list(tally.facts())) > 10
    assert_agree(tally, reference_of(tally, parser.parse(sample, NOW).decisions, since=since), lists, NOW)


def test_of_twenty_thousand_clients_each_is_found_again() -> None:
    tally = tally_of()
    clients = [Client(f"h{number}.example.com", f"198.18.{number >> 8}.{number & 255}") for number in range(20_000)]
    log = [greylisted(7 + number % 3, client, key=number) for client, number in product(clients, range(3))]
    for decision in log:
        add(tally, decision)

    assert_agree(tally, reference_of(tally, log), NO_LISTS, NOW)


def test_of_networks_without_a_name_the_largest_are_told_of(sample: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser(secret=SECRET)
    tally = Tally(parser.keyed)
    tally.add(parser.read(sample, NOW))
    every = standings(tally.facts(), NO_LISTS, NOW)
    monkeypatch.setattr(nameless, "MOST_NETWORKS", 3)
    few = standings(tally.facts(), NO_LISTS, NOW)

    assert (few.nameless, few.nameless_networks) == (every.nameless[:3], len(every.nameless))
    assert len(every.nameless) > 3


def test_a_number_that_sqlite_can_not_keep_is_never_made() -> None:
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE client (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g)")
        tally = tally_of(*(greylisted(7, Client(f"mx{number}.example.com", "192.0.2.1")) for number in range(64)))
        db.executemany(
            "INSERT INTO client VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tally.client_rows({"example.com": 1}, 0, 0)
        )
        assert db.execute("SELECT count(*), min(id) < 0, max(id) > 0 FROM client").fetchone() == (64, 1, 1)
    db.close()


def test_a_closed_tally_still_tells_and_takes_no_more() -> None:
    made = tally_of(greylisted(7))
    made.close()

    assert [facts.domain for facts in made.facts()] == ["example.com"]
    assert list(made.clients()) == [(POOL, 1, 0)]
    for attempt in (
        lambda: made.add(Decisions()),
        lambda: list(made.story_rows({})),
        lambda: list(made.message_rows({}, 0.0)),
        lambda: made.note_seen({}, Seen()),
        lambda: made.remember(0, 0.0, 0.0, 0, False, None, None, False),
    ):
        with pytest.raises(ValueError, match="the tally is closed"):
            attempt()


def test_a_message_is_remembered_of_a_story_that_there_is() -> None:
    with pytest.raises(IndexError, match="there is no story 1"):
        tally_of(greylisted(7)).remember(1, 0.0, 0.0, 0, False, None, None, False)
