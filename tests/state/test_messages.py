from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.tallies import tally_of

from postgrey_exporter.counting.evidence import Evidence
from postgrey_exporter.decision import GREYLIST, NEW, PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.lists import Lists, read_whitelist
from postgrey_exporter.parsing.hashing import KEY_SIZE
from postgrey_exporter.state.messages import MOST_MESSAGES
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import HOUR, Window

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from postgrey_exporter.state.snapshot import Snapshot

NOW = 500_000.0 * HOUR
DAY = 24 * HOUR
CLIENTS = [Client(f"out{number}.example.com", f"198.51.{number}.1") for number in range(3)]


def greylisted(moment: float, key: int = 1, client: int = 0) -> Decision:
    return Decision(moment, GREYLIST, NEW, CLIENTS[client], None, key)


def passed(moment: float, key: int = 1, client: int = 0, delay: int | None = None) -> Decision:
    return Decision(moment, PASS, TRIPLET_FOUND, CLIENTS[client], delay, key)


def merge(path: Path, *decisions: Decision, now: float = NOW, most_messages: int = MOST_MESSAGES) -> None:
    tally = tally_of(*decisions)
    store = Store(path, window=Window(), max_domains=10, most_messages=most_messages)
    try:
        store.merge("log", tally, {}, Lists(), now)
        store.prune(now)
    finally:
        store.close()


def known(path: Path, now: float = NOW) -> tuple[Evidence, int, Snapshot]:
    reader = StateReader(path)
    try:
        found, networks = reader.evidence(["example.com"], now)["example.com"]
        return found, networks, reader.snapshot()
    finally:
        reader.close()


def test_a_message_is_followed_over_restarts_and_networks(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, greylisted(NOW - 5 * HOUR, client=0))
    merge(state, greylisted(NOW - 3 * HOUR, client=1))
    merge(state, passed(NOW - HOUR, client=1, delay=7200))
    found, networks, snapshot = known(state)
    assert (found.messages, found.moved, found.delivered, found.lost) == (1, 1, 1, 0)
    assert found.delays is not None
    assert (found.delays.median, found.reported and found.reported.median) == (4 * HOUR, 7200)
    assert networks == 2
    assert snapshot.deliveries == ((4.0 * HOUR, 1, 4.0 * HOUR),)


def test_a_delivery_is_counted_once_however_often_the_sender_passes_afterwards(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, greylisted(NOW - 5 * HOUR), passed(NOW - 4 * HOUR, delay=3600))
    merge(state, passed(NOW - 3 * HOUR), passed(NOW - 2 * HOUR))
    assert known(state)[2].deliveries == ((3600.0, 1, 3600.0),)


def test_a_message_that_never_came_back_is_lost_after_the_retry_window(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, greylisted(NOW))
    assert known(state, NOW + 2 * DAY - 1)[0].lost == 0
    assert known(state, NOW + 2 * DAY)[0].lost == 1


def test_messages_leave_with_the_window(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, greylisted(NOW, 1), greylisted(NOW + 2 * HOUR, 2))
    merge(state, now=NOW + 7 * DAY + HOUR)
    assert known(state, NOW + 7 * DAY + HOUR)[0].messages == 1


def test_beyond_the_most_messages_the_oldest_are_given_up_and_counted(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, *(greylisted(NOW - 10 * HOUR + number, key=number) for number in range(5)), most_messages=2)
    found, _, snapshot = known(state)
    assert (found.messages, snapshot.given_up) == (2, 3)
    merge(state, *(greylisted(NOW - 9 * HOUR + number, key=number) for number in (5, 6, 7)), most_messages=2)
    merge(state, passed(NOW, key=7), passed(NOW, key=3), most_messages=2)
    found, _, snapshot = known(state)
    assert (found.messages, found.delivered, snapshot.given_up) == (2, 1, 6)


def test_a_pass_of_a_domain_that_was_never_greylisted_leaves_no_trace(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, passed(NOW))
    assert known(state)[0] == Evidence()


def judge(path: Path, *covered: Client) -> None:
    store = Store(path, window=Window(), max_domains=10)
    try:
        entries = "".join(f"{client.name}\n" for client in covered)
        store.judge(Lists([read_whitelist(entries.encode(), "whitelist")]), entries)
    finally:
        store.close()


def test_evidence_leaves_out_what_was_tried_where_all_clients_are_covered_by_now(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    merge(state, greylisted(NOW - 5 * HOUR, 1, 0), greylisted(NOW - 4 * HOUR, 2, 1), greylisted(NOW - HOUR, 2, 2))
    assert (known(state)[0].messages, known(state)[0].moved, known(state)[1]) == (2, 1, 3)
    judge(state, CLIENTS[1], CLIENTS[2])
    assert (known(state)[0].messages, known(state)[0].moved, known(state)[1]) == (1, 0, 1)
    judge(state)
    assert known(state)[0].messages == 2


def test_the_worst_delay_of_what_moved_leaves_customers_lines_aside(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    lines = [Client(f"dsl-198-18-{number}-1.example.com", f"198.18.{number}.1") for number in range(2)]
    by_lines = [Decision(NOW - (9 - number) * HOUR, GREYLIST, NEW, lines[number], None, 3) for number in range(2)]
    merge(state, *by_lines, Decision(NOW, PASS, TRIPLET_FOUND, lines[0], None, 3))
    merge(state, greylisted(NOW - 8 * HOUR, 1), passed(NOW, 1))
    assert known(state)[0].worst_moved == 0
    merge(state, greylisted(NOW - 4 * HOUR, 2, 1), greylisted(NOW - 3 * HOUR, 2, 2), passed(NOW - HOUR, 2, 1))
    assert known(state)[0].worst_moved == 3 * HOUR
    worst = known(state)[0].delays
    assert worst is not None
    assert worst.most == 9 * HOUR


def test_the_secret_stays_the_same(tmp_path: Path) -> None:
    secrets = []
    for _ in range(2):
        store = Store(tmp_path / "state.sqlite3", window=Window(), max_domains=10)
        secrets.append(store.secret())
        store.close()
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) == KEY_SIZE
    assert (tmp_path / "state.sqlite3").stat().st_mode & 0o777 == 0o600


one = st.builds(
    lambda moment, key, client, accepted: (passed if accepted else greylisted)(moment, key, client),
    st.integers(int(NOW - 6 * DAY), int(NOW)).map(float),
    st.integers(1, 3),
    st.integers(0, 2),
    st.booleans(),
)
# As several hosts log, whose lines stand in any order.
logs = st.lists(one, max_size=15)


@settings(deadline=None, max_examples=40)
@example(log=[greylisted(NOW), passed(NOW), greylisted(NOW), passed(NOW), greylisted(NOW)], one_cut=2, other_cut=4)
@example(log=[greylisted(NOW - DAY), passed(NOW), greylisted(NOW - 2 * DAY, client=1)], one_cut=1, other_cut=2)
@given(logs, st.integers(0, 15), st.integers(0, 15))
def test_the_state_tells_the_same_as_a_report_over_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, log: list[Decision], one_cut: int, other_cut: int
) -> None:
    state = tmp_path_factory.mktemp("state") / "state.sqlite3"
    cuts = sorted((one_cut, other_cut))
    for part in (log[: cuts[0]], log[cuts[0] : cuts[1]], log[cuts[1] :]):
        merge(state, *part)
    whole = tally_of(*log)
    assert known(state)[0] == next((facts.evidence(NOW) for facts in whole.facts()), Evidence())
    # What was delivered is counted when it was, whatever is found out later.
    assert sum(count for _, count, _ in known(state)[2].deliveries) == len(list(whole.deliveries({"example.com": 1})))


def evidence_of(*decisions: Decision) -> Evidence:
    (facts,) = tally_of(*decisions).facts()
    return facts.evidence(NOW)


def test_two_logs_one_behind_the_other_tell_what_they_tell_in_order() -> None:
    """A pool that tries both hosts: what one log has of a message belongs to what the other has."""
    week = [
        (
            greylisted(NOW - day * DAY, client=0),
            greylisted(NOW - day * DAY + HOUR, client=1),
            passed(NOW - day * DAY + 2 * HOUR, client=1),
        )
        for day in (6, 4, 2)
    ]
    in_order = evidence_of(*(one for message in week for one in message))
    one_host = [message[0] for message in week]
    other_host = [one for message in week for one in message[1:]]

    assert (in_order.messages, in_order.moved, in_order.delivered) == (3, 3, 3)
    for logs in ((one_host, other_host), (other_host, one_host)):
        found = evidence_of(*(one for log in logs for one in log))
        assert (found.messages, found.moved, found.delivered, found.lost) == (3, 3, 3, 0)


def test_a_message_is_found_among_those_that_its_sender_sent_since() -> None:
    log = [
        one
        for number in range(100)
        for one in (greylisted(NOW - DAY + 60 * number), passed(NOW - DAY + 60 * number + 20))
    ]
    late = greylisted(NOW - DAY + 600 + 10, client=1)

    assert evidence_of(*log, late).moved == 1
    assert evidence_of(*log, late).messages == 100


def test_of_a_message_far_behind_all_others_no_attempt_is_looked_for_without_end() -> None:
    log = [one for number in range(400) for one in (greylisted(NOW - DAY + number), passed(NOW - DAY + number + 0.5))]

    assert evidence_of(*log, greylisted(NOW - 6 * DAY)).messages == 400
