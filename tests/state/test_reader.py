"""What the state holds at one moment, read beside its writer."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from support.tallies import tally_of

from postgrey_exporter.decision import EARLY_RETRY, GREYLIST, NEW, Client
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.snapshot import Snapshot
from state.test_store import LOG, NAMELESS, NO_LISTS, NOW, POOL, POOL_ELSEWHERE, SERVER, greylisted, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.state.store import Store

EMPTY: Final = Snapshot(
    decisions={},
    domains=(),
    unreviewed={},
    unreviewed_not_shown=0,
    labels=0,
    folded=0,
    lines={},
    last_events={},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "state.sqlite3")) as store:
        yield store


@pytest.fixture
def reader(store: Store) -> Iterator[StateReader]:
    with closing(StateReader(store.path)) as reader:
        yield reader


def test_a_new_state_holds_nothing(reader: StateReader) -> None:
    assert reader.snapshot() == EMPTY
    assert list(reader.clients(0)) == []
    assert reader.decisions(0) == {}
    assert reader.lines() == {}
    assert reader.looked_at() is None


def test_clients_are_added_up_over_the_hours_asked_for(store: Store, reader: StateReader) -> None:
    for hour, reason in ((998, NEW), (999, EARLY_RETRY), (1000, NEW)):
        store.merge(LOG, greylisted(POOL, POOL, hour=hour, reason=reason), {}, NO_LISTS, NOW)
    store.merge(LOG, greylisted(SERVER, hour=998), {}, NO_LISTS, NOW)

    assert sorted(reader.clients(0)) == [(POOL, 4, 2), (SERVER, 1, 0)]
    assert list(reader.clients(999)) == [(POOL, 2, 2)]
    assert sorted(reader.clients(998, 998)) == [(POOL, 2, 0), (SERVER, 1, 0)]
    assert list(reader.clients(1001)) == []


def test_decisions_are_added_up_over_the_hours_asked_for(store: Store, reader: StateReader) -> None:
    for hour in (998, 999, 1000):
        store.merge(LOG, greylisted(POOL, hour=hour), {}, NO_LISTS, NOW)

    assert reader.decisions(0) == {(GREYLIST, NEW): 3}
    assert reader.decisions(999) == {(GREYLIST, NEW): 2}
    assert reader.decisions(999, 999) == {(GREYLIST, NEW): 1}


def test_lines_are_added_up_over_the_sources(store: Store, reader: StateReader) -> None:
    tally = tally_of()
    tally.lines.update(no_decision=1, malformed=2, foreign=100)
    for source in (LOG, "/var/log/other.log"):
        store.merge(source, tally, {}, NO_LISTS, NOW)

    assert reader.lines() == {"no_decision": 2, "malformed": 4, "foreign": 200}


def test_the_unreviewed_shown_are_the_largest_and_those_longest_known_among_equals(store: Store) -> None:
    for clients in ([SERVER, NAMELESS, NAMELESS], [POOL, SERVER, NAMELESS], [POOL_ELSEWHERE]):
        store.merge(LOG, greylisted(*clients), {}, NO_LISTS, NOW)

    with closing(StateReader(store.path, max_domains=1)) as reader:
        kept = reader.snapshot()

    assert kept.unreviewed == {"example.net": 2}
    assert kept.unreviewed_not_shown == 1


def test_the_unreviewed_are_told_most_first_and_by_name(store: Store, reader: StateReader) -> None:
    for clients in ([Client("mx.example.org", "192.0.2.9")], [SERVER, SERVER], [POOL, POOL]):
        store.merge(LOG, greylisted(*clients), {}, NO_LISTS, NOW)

    assert list(reader.unreviewed_domains().items()) == [("example.com", 2), ("example.net", 2), ("example.org", 1)]


def test_a_snapshot_is_taken_in_any_thread(reader: StateReader) -> None:
    taken: list[Snapshot] = []
    thread = threading.Thread(target=lambda: taken.append(reader.snapshot()))
    thread.start()
    thread.join()

    assert taken == [EMPTY]


def test_a_snapshot_never_mixes_two_commits(store: Store, reader: StateReader) -> None:
    def write() -> None:
        for _ in range(30):
            store.merge(LOG, greylisted(POOL, SERVER), {}, NO_LISTS, NOW)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        kept = [reader.snapshot()]
        while writer.is_alive():
            kept.append(reader.snapshot())
    finally:
        writer.join()

    totals = [one.decisions.get((GREYLIST, NEW), 0) for one in kept]
    assert [sum(counter.new for counter in one.domains) for one in kept] == totals
    assert [sum(one.unreviewed.values()) for one in kept] == totals
    assert [one.lines.get((LOG, "decision"), 0) for one in kept] == totals
    assert len(set(totals)) > 1
