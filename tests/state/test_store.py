"""The state moves from one consistent state to the next: counts and position together, or neither."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.tallies import SECRET, add, tally_of

from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.decision import EARLY_RETRY, GREYLIST, NEW, PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.state.connection import StateError, StateLockedError
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.snapshot import DomainCounter
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import HOUR, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from postgrey_exporter.state.snapshot import Snapshot

LOG: Final = "/var/log/mail.log"
NOW: Final = 1000.5 * HOUR
WINDOW: Final = Window(24)
POOL: Final = Client("a.example.com", "192.0.2.1")
POOL_ELSEWHERE: Final = Client("b.example.com", "198.51.100.1")
SERVER: Final = Client("mail.example.net", "203.0.113.1")
NAMELESS: Final = Client("unknown", "198.18.0.1")


NO_LISTS: Final = Lists()


def whitelisting(*clients: Client) -> Lists:
    return Lists([read_whitelist("".join(f"{client.name}\n" for client in clients).encode(), "whitelist")])


def greylisted(*clients: Client, hour: float = 1000, reason: str = NEW) -> Increment:
    tally = tally_of(*(Decision(hour * HOUR, GREYLIST, reason, client, None) for client in clients))
    tally.lines.update(decision=len(clients), foreign=1)
    return tally


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


def opened(path: Path, max_domains: int = 100) -> Store:
    return Store(path, window=WINDOW, max_domains=max_domains)


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(opened(path)) as store:
        yield store


def snapshot(path: Path, max_domains: int = 100) -> Snapshot:
    with closing(StateReader(path, max_domains=max_domains)) as reader:
        return reader.snapshot()


def schema(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return sorted(statement for (statement,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


# --- what is kept


def test_what_was_merged_is_read_again(store: Store, path: Path) -> None:
    tally = greylisted(POOL, POOL, SERVER, NAMELESS)
    add(tally, Decision(1000.25 * HOUR, GREYLIST, EARLY_RETRY, POOL_ELSEWHERE, None))
    add(tally, Decision(1000.5 * HOUR, PASS, TRIPLET_FOUND, SERVER, 1800))
    tally.lines.update(decision=2, no_decision=3, malformed=2)

    store.merge(LOG, tally, {"offset": 7}, NO_LISTS, NOW)

    kept = snapshot(path)
    assert store.position(LOG) == {"offset": 7}
    assert kept.decisions == {(GREYLIST, NEW): 4, (GREYLIST, EARLY_RETRY): 1, (PASS, TRIPLET_FOUND): 1}
    assert kept.domains == (
        DomainCounter("example.com", 2, 1, 0),
        DomainCounter("example.net", 1, 0, 0),
        DomainCounter("unknown", 1, 0, 0),
    )
    assert kept.unreviewed == {"example.com": 3, "example.net": 1}
    assert kept.lines == {
        (LOG, "decision"): 6,
        (LOG, "no_decision"): 3,
        (LOG, "foreign"): 1,
        (LOG, "malformed"): 2,
    }
    assert kept.last_events == {LOG: 1000.5 * HOUR}
    assert (kept.labels, kept.folded, kept.unreviewed_not_shown) == (2, 0, 0)


def test_tallies_add_up_over_sources_and_restarts(path: Path) -> None:
    for source in (LOG, "/var/log/other.log", LOG):
        with closing(opened(path)) as store:
            store.merge(source, greylisted(POOL), {"of": source}, NO_LISTS, NOW)

    kept = snapshot(path)
    assert kept.decisions == {(GREYLIST, NEW): 3}
    assert kept.domains == (DomainCounter("example.com", 3, 0, 0),)
    assert kept.unreviewed == {"example.com": 3}
    assert kept.lines[LOG, "decision"] == 2
    assert kept.lines["/var/log/other.log", "decision"] == 1


def test_a_source_never_read_has_no_position(store: Store) -> None:
    assert store.position(LOG) is None


def test_the_latest_event_stays_the_latest(store: Store, path: Path) -> None:
    for hour in (999, 1000, 998):
        store.merge(LOG, greylisted(POOL, hour=hour), {}, NO_LISTS, NOW)
    store.merge(LOG, tally_of(), {}, NO_LISTS, NOW)

    assert snapshot(path).last_events == {LOG: 1000 * HOUR}


def test_a_source_without_a_decision_has_no_latest_event(store: Store, path: Path) -> None:
    store.merge(LOG, tally_of(), {}, NO_LISTS, NOW)

    assert snapshot(path).last_events == {}


def test_the_size_counts_the_write_ahead_log(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)

    assert store.size_bytes() == path.stat().st_size + path.with_name("state.sqlite3-wal").stat().st_size


# --- the window and the verdicts


def test_what_is_older_than_the_window_counts_in_the_totals_only(store: Store, path: Path) -> None:
    store.merge("other", tally_of(Decision(NOW, PASS, TRIPLET_FOUND, SERVER, None)), {}, NO_LISTS, NOW)
    store.merge(LOG, greylisted(POOL, hour=975), {}, NO_LISTS, NOW)

    assert snapshot(path).decisions == {(GREYLIST, NEW): 1, (PASS, TRIPLET_FOUND): 1}
    assert snapshot(path).domains == (DomainCounter("example.com", 1, 0, 0),)
    assert snapshot(path).unreviewed == {}
    with closing(StateReader(path)) as reader:
        assert list(reader.clients(0)) == []
        assert reader.decisions(0) == {(PASS, TRIPLET_FOUND): 1}


def test_the_window_holds_its_full_hours_and_the_running_one(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL, hour=976), {}, NO_LISTS, NOW)
    store.merge(LOG, greylisted(POOL, hour=1000.4), {}, NO_LISTS, NOW)

    store.prune(1000.99 * HOUR)
    assert snapshot(path).unreviewed == {"example.com": 2}
    store.prune(1001 * HOUR)
    assert snapshot(path).unreviewed == {"example.com": 1}
    store.prune(1025 * HOUR)
    assert snapshot(path).unreviewed == {}
    assert snapshot(path).domains == (DomainCounter("example.com", 2, 0, 0),)


def test_a_stamp_ahead_of_the_clock_counts_at_once(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL, hour=1003), {}, NO_LISTS, NOW)

    assert snapshot(path).unreviewed == {"example.com": 1}


def test_a_covered_client_leaves_the_unreviewed_and_only_that_one(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL, POOL, POOL_ELSEWHERE), {}, NO_LISTS, NOW)

    store.judge(whitelisting(POOL), "second")

    assert snapshot(path).unreviewed == {"example.com": 1}
    store.merge(LOG, greylisted(POOL, POOL_ELSEWHERE), {}, whitelisting(POOL), NOW)
    assert snapshot(path).unreviewed == {"example.com": 2}


def test_a_covered_client_takes_nothing_with_it_when_its_attempts_leave_the_window(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL, POOL, hour=980), {}, whitelisting(POOL), NOW)
    store.merge(LOG, greylisted(POOL_ELSEWHERE, hour=1000), {}, whitelisting(POOL), NOW)
    assert snapshot(path).unreviewed == {"example.com": 1}

    store.prune(1010 * HOUR)

    assert snapshot(path).unreviewed == {"example.com": 1}


def test_a_client_that_is_uncovered_again_comes_back(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL, SERVER), {}, whitelisting(POOL, SERVER), NOW)
    assert snapshot(path).unreviewed == {}

    store.judge(whitelisting(SERVER), "second")

    assert snapshot(path).unreviewed == {"example.com": 1}


def test_an_ignored_client_is_covered_and_held_against_no_whitelist(store: Store, path: Path) -> None:
    tally = tally_of(Decision(NOW, GREYLIST, NEW, POOL, None), lists_changed=0)

    store.merge(LOG, tally, {}, Lists([], [read_ignore(b"example.com\n", "ignore")]), NOW)

    assert snapshot(path).unreviewed == {}
    assert snapshot(path).domains == (DomainCounter("example.com", 1, 0, 0),)


def test_what_the_whitelist_covered_and_was_greylisted_all_the_same_is_counted(store: Store, path: Path) -> None:
    tally = tally_of(lists_changed=1000 * HOUR)
    for hour, client in product((999, 1000.1, 1000.2), (POOL, SERVER)):
        add(tally, Decision(hour * HOUR, GREYLIST, NEW, client, None))

    store.merge(LOG, tally, {}, whitelisting(POOL), NOW)

    assert snapshot(path).domains == (DomainCounter("example.com", 3, 0, 2), DomainCounter("example.net", 3, 0, 0))


def test_clients_that_an_older_state_had_no_domain_for_move_to_theirs(path: Path) -> None:
    local = [Client(f"mx{number}.corp.local", f"192.0.2.{number}") for number in range(3)]
    with closing(opened(path)) as store:
        store.merge(LOG, greylisted(NAMELESS, *local, *local), {}, whitelisting(local[0]), NOW)
        store.judge(whitelisting(local[0]), "lists")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE client SET domain = (SELECT id FROM domain WHERE name = 'unknown')")
        db.execute("UPDATE domain SET unreviewed = 5, new = 7 WHERE name = 'unknown'")
        db.execute("DELETE FROM domain WHERE name = 'corp.local'")
        db.execute("PRAGMA user_version = 2")

    with closing(opened(path)) as store:
        assert not store.is_current(NOW, "lists")
        store.judge(whitelisting(local[0]), "lists")
        moved = snapshot(path)
        store.prune(NOW + 30 * HOUR)
        later = snapshot(path)

    assert moved.unreviewed == {"corp.local": 4}
    assert [(one.domain, one.new) for one in moved.domains] == [("corp.local", 0), ("unknown", 7)]
    assert later.unreviewed == {}
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name, unreviewed FROM domain ORDER BY name").fetchall() == [
            ("corp.local", 0),
            ("unknown", 0),
        ]


def test_the_same_lists_judge_once_also_after_a_restart(path: Path) -> None:
    judged: list[tuple[str, str]] = []

    class Noting(Lists):
        def verdicts(self, clients: Iterable[tuple[str, str]]) -> Iterator[int]:
            judged.extend(known := list(clients))
            return super().verdicts(known)

    noting = Noting()
    with closing(opened(path)) as store:
        store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
        store.judge(noting, "first")
        store.judge(noting, "first")
    with closing(opened(path)) as store:
        store.judge(noting, "first")
        assert judged == [POOL]
        store.judge(noting, "second")
    assert judged == [POOL, POOL]


MANY: Final = 12_000


@pytest.mark.parametrize(
    ("entry", "covers"),
    [
        pytest.param("/./", lambda _: True, id="all"),
        pytest.param("/^[0-9]*[13579]\\./", lambda number: number % 2 == 1, id="each other one"),
        pytest.param("/^[0-9]*7\\./", lambda number: number % 10 == 7, id="a tenth"),
        pytest.param("/^7\\./", lambda number: number == 7, id="one"),
    ],
)
def test_many_clients_are_judged_anew_and_back(
    store: Store, path: Path, entry: str, covers: Callable[[int], bool]
) -> None:
    clients = [Client(f"{number}.example.{'com' if number % 3 else 'net'}", "192.0.2.1") for number in range(MANY)]
    store.merge(LOG, greylisted(*clients), {}, NO_LISTS, NOW)
    before, structure = snapshot(path).unreviewed, schema(path)
    store.judge(Lists([read_whitelist(f"{entry}\n".encode(), "whitelist")]), "covering")
    left = Counter(clients[number].name.split(".", 1)[1] for number in range(MANY) if not covers(number))
    assert snapshot(path).unreviewed == left
    with closing(sqlite3.connect(path)) as db:
        verdicts = {
            int(name.split(".")[0]): verdict for name, verdict in db.execute("SELECT name, verdict FROM client")
        }
    assert {number for number, verdict in verdicts.items() if verdict} == set(filter(covers, range(MANY)))
    store.judge(NO_LISTS, "none")
    assert snapshot(path).unreviewed == before
    assert schema(path) == structure


# --- labels


DOMAINS: Final = ("example.com", "example.net", "example.org", "google.com", "outlook.com")
FIRST, SECOND, THIRD, FOURTH, FIFTH = (Client(f"mx.{domain}", "192.0.2.1") for domain in DOMAINS)


def labels(path: Path) -> set[str]:
    return {counter.domain for counter in snapshot(path).domains}


def test_domains_beyond_the_limit_are_counted_as_other(path: Path) -> None:
    with closing(opened(path, max_domains=2)) as store:
        store.merge(LOG, greylisted(NAMELESS, FIRST, SECOND, THIRD, THIRD, FOURTH), {}, NO_LISTS, NOW)
        store.merge(LOG, greylisted(THIRD, SECOND), {}, NO_LISTS, NOW)

    kept = snapshot(path, max_domains=2)
    assert kept.domains == (
        DomainCounter("example.com", 1, 0, 0),
        DomainCounter("example.net", 2, 0, 0),
        DomainCounter("other", 4, 0, 0),
        DomainCounter("unknown", 1, 0, 0),
    )
    assert (kept.labels, kept.folded) == (2, 2)


def test_whatever_is_counted_of_a_domain_is_counted_as_other_without_a_label(path: Path) -> None:
    before = Decision(1000 * HOUR, GREYLIST, NEW, SECOND, None)
    tally = tally_of(before, *[Decision(NOW, GREYLIST, EARLY_RETRY, SECOND, None)] * 2, lists_changed=NOW - 1)
    with closing(opened(path, max_domains=1)) as store:
        store.merge(LOG, greylisted(FIRST), {}, NO_LISTS, NOW)
        store.merge(LOG, tally, {}, whitelisting(SECOND), NOW)
        store.merge(LOG, greylisted(THIRD, hour=0), {}, NO_LISTS, NOW)

    assert snapshot(path).domains == (DomainCounter("example.com", 1, 0, 0), DomainCounter("other", 2, 2, 2))


def test_the_unreviewed_domains_are_judged_whether_they_have_a_label_or_not(path: Path) -> None:
    with closing(opened(path, max_domains=2)) as store:
        store.merge(LOG, greylisted(FIRST, SECOND, THIRD, THIRD, THIRD, FOURTH, FOURTH, FIFTH), {}, NO_LISTS, NOW)

    kept = snapshot(path, max_domains=2)
    assert kept.unreviewed == {"example.org": 3, "google.com": 2}
    assert kept.unreviewed_not_shown == 3


def test_a_label_survives_a_restart(path: Path) -> None:
    for client in (FIRST, SECOND):
        with closing(opened(path, max_domains=1)) as store:
            store.merge(LOG, greylisted(client), {}, NO_LISTS, NOW)

    assert labels(path) == {"example.com", "other"}


def test_a_domain_silent_for_a_whole_window_gives_its_place_to_the_next(path: Path) -> None:
    with closing(opened(path, max_domains=1)) as store:
        store.merge(LOG, greylisted(FIRST, hour=1000), {}, NO_LISTS, NOW)
        store.merge(LOG, greylisted(SECOND, hour=1024), {}, NO_LISTS, 1024.5 * HOUR)
        assert labels(path) == {"example.com", "other"}

        store.merge(LOG, greylisted(SECOND, hour=1025), {}, NO_LISTS, 1025.5 * HOUR)

    assert snapshot(path).domains == (DomainCounter("example.net", 1, 0, 0), DomainCounter("other", 1, 0, 0))


def test_a_domain_that_speaks_up_again_in_the_same_merge_keeps_its_place(path: Path) -> None:
    with closing(opened(path, max_domains=2)) as store:
        store.merge(LOG, greylisted(THIRD, hour=900), {}, NO_LISTS, 900 * HOUR)
        store.merge(LOG, greylisted(SECOND, hour=950), {}, NO_LISTS, 950 * HOUR)
        store.merge(LOG, greylisted(FIRST, SECOND, FOURTH, hour=1000), {}, NO_LISTS, NOW)

    assert snapshot(path).domains == (
        DomainCounter("example.com", 1, 0, 0),
        DomainCounter("example.net", 2, 0, 0),
        DomainCounter("other", 1, 0, 0),
    )


def test_the_longest_silent_domain_gives_its_place_first(path: Path) -> None:
    with closing(opened(path, max_domains=2)) as store:
        store.merge(LOG, greylisted(SECOND, hour=1000), {}, NO_LISTS, NOW)
        store.merge(LOG, greylisted(FIRST, hour=1001), {}, NO_LISTS, NOW)
        store.merge(LOG, greylisted(THIRD, hour=1100), {}, NO_LISTS, 1100 * HOUR)

    assert labels(path) == {"example.com", "example.org"}


def test_a_silent_domain_keeps_its_counter_as_long_as_there_is_room(path: Path) -> None:
    with closing(opened(path, max_domains=2)) as store:
        store.merge(LOG, greylisted(FIRST, hour=1000), {}, NO_LISTS, NOW)
        store.merge(LOG, greylisted(SECOND, hour=2000), {}, NO_LISTS, 2000 * HOUR)
        store.merge(LOG, greylisted(FIRST, hour=2000), {}, NO_LISTS, 2000 * HOUR)

    assert snapshot(path).domains == (DomainCounter("example.com", 2, 0, 0), DomainCounter("example.net", 1, 0, 0))


def test_a_lower_limit_takes_the_labels_of_the_longest_silent(path: Path) -> None:
    with closing(opened(path, max_domains=3)) as store:
        for client, hour in ((FIRST, 998), (SECOND, 1000), (THIRD, 999)):
            store.merge(LOG, greylisted(client, hour=hour), {}, NO_LISTS, NOW)
    with closing(opened(path, max_domains=1)) as store:
        assert labels(path) == {"example.net"}
        assert snapshot(path).unreviewed == {"example.com": 1, "example.net": 1, "example.org": 1}
        assert snapshot(path).folded == 2
        store.merge(LOG, greylisted(FIRST), {}, NO_LISTS, NOW)
    assert labels(path) == {"example.net", "other"}


def test_a_higher_limit_gives_labels_to_those_who_come_again(path: Path) -> None:
    for max_domains in (1, 2):
        with closing(opened(path, max_domains=max_domains)) as store:
            store.merge(LOG, greylisted(FIRST, SECOND), {}, NO_LISTS, NOW)

    assert snapshot(path).domains == (
        DomainCounter("example.com", 2, 0, 0),
        DomainCounter("example.net", 1, 0, 0),
        DomainCounter("other", 1, 0, 0),
    )


# --- all or nothing


class BoomError(Exception):
    pass


class ExplodingIncrement(Increment):
    """Raises when all its counts are written, and its messages are not."""

    def message_rows(self, domain_ids: Mapping[str, int], first_moment: float) -> Iterator[Any]:  # noqa: ARG002
        raise BoomError


class ExplodingLists(Lists):
    def verdicts(self, clients: Iterable[tuple[str, str]]) -> Iterator[int]:
        raise BoomError(clients)


def test_an_error_in_the_middle_of_a_merge_leaves_everything_as_it_was(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL), {"offset": 1}, NO_LISTS, NOW)
    before = dump(path)

    tally = ExplodingIncrement(KeyedHash(SECRET))
    add(tally, Decision(NOW, GREYLIST, NEW, SERVER, None))
    with pytest.raises(BoomError):
        store.merge(LOG, tally, {"offset": 2}, NO_LISTS, NOW)

    assert dump(path) == before
    store.merge(LOG, greylisted(SERVER), {"offset": 2}, NO_LISTS, NOW)
    assert snapshot(path).decisions == {(GREYLIST, NEW): 2}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("UPDATE ON source", id="position"),
        pytest.param("UPDATE ON source_lines", id="lines"),
        pytest.param("UPDATE ON decision", id="totals"),
        pytest.param("INSERT ON decision_hour", id="hours"),
        pytest.param("UPDATE ON domain", id="known-domain"),
        pytest.param("INSERT ON domain", id="new-domain"),
        pytest.param("INSERT ON client", id="new-client"),
        pytest.param("INSERT ON attempt", id="attempts"),
    ],
)
def test_wherever_a_merge_fails_nothing_of_it_is_kept(store: Store, path: Path, event: str) -> None:
    store.merge(LOG, greylisted(POOL), {"offset": 1}, NO_LISTS, NOW)
    execute(path, f"CREATE TRIGGER boom BEFORE {event} BEGIN SELECT raise(ABORT, 'boom'); END")
    before = dump(path)

    with pytest.raises(StateError, match=r"state\.sqlite3: .*boom"):
        store.merge(LOG, greylisted(POOL, SERVER), {"offset": 2}, NO_LISTS, NOW)

    assert dump(path) == before
    assert store.position(LOG) == {"offset": 1}
    execute(path, "DROP TRIGGER boom")
    store.merge(LOG, greylisted(POOL, SERVER), {"offset": 2}, NO_LISTS, NOW)
    assert snapshot(path).unreviewed == {"example.com": 2, "example.net": 1}


def test_a_pruning_that_fails_leaves_everything_as_it_was(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL), {"offset": 1}, NO_LISTS, NOW)
    execute(path, "CREATE TRIGGER boom BEFORE DELETE ON attempt BEGIN SELECT raise(ABORT, 'boom'); END")
    before = dump(path)

    with pytest.raises(StateError, match="boom"):
        store.merge(LOG, greylisted(POOL, hour=2000), {"offset": 2}, NO_LISTS, 2000 * HOUR)

    assert dump(path) == before


def test_a_judging_that_fails_is_made_up_for_by_the_next(store: Store, path: Path) -> None:
    store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
    before = dump(path)

    with pytest.raises(BoomError):
        store.judge(ExplodingLists(), "second")

    assert dump(path) == before
    store.judge(whitelisting(POOL), "second")
    assert snapshot(path).unreviewed == {}


class FullDisk:
    """A connection on which nothing can be committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(statement, *parameters)


def test_what_could_not_be_committed_is_done_again(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
    with monkeypatch.context() as full:
        full.setattr(store._file, "db", FullDisk(store._file.db))  # noqa: SLF001
        with pytest.raises(StateError, match="full"):
            store.judge(whitelisting(POOL), "second")
        with pytest.raises(StateError, match="full"):
            store.prune(2000 * HOUR)
    store.judge(whitelisting(POOL), "second")
    assert snapshot(path).unreviewed == {}
    assert not store.is_current(2000 * HOUR, "second")
    assert store.is_current(NOW, "second")


KILLED: Final = """
import os, signal, sys
from pathlib import Path
from state.test_store import LOG, NO_LISTS, NOW, POOL, ExplodingIncrement, greylisted, opened
from support.tallies import SECRET
from postgrey_exporter.parsing.hashing import KeyedHash
ExplodingIncrement.message_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store = opened(Path(sys.argv[1]))
store.merge(LOG, greylisted(POOL), {"offset": 1}, NO_LISTS, NOW)
store.merge(LOG, ExplodingIncrement(KeyedHash(SECRET)), {"offset": 2}, NO_LISTS, NOW)
"""


def test_a_process_killed_inside_a_merge_leaves_the_last_commit(path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run([sys.executable, "-c", KILLED, path], env=environment, check=False, timeout=60)

    assert ended.returncode == -signal.SIGKILL
    with closing(opened(path)) as store:
        assert store.position(LOG) == {"offset": 1}
        assert snapshot(path).decisions == {(GREYLIST, NEW): 1}


def test_a_state_locked_by_another_program_is_named_and_waited_for(path: Path) -> None:
    store = Store(path, window=WINDOW, max_domains=100, busy_seconds=0.05)
    with closing(store), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match=r"state\.sqlite3: the state is locked by another program"):
            store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
        other.execute("ROLLBACK")

        store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)

    assert snapshot(path).decisions == {(GREYLIST, NEW): 1}


# --- one writer, any number of readers


def test_a_second_writer_is_refused_until_the_first_is_gone(path: Path) -> None:
    with (
        closing(opened(path)),
        pytest.raises(StateLockedError, match="another postgrey-exporter is using this state"),
    ):
        opened(path)
    opened(path).close()


def test_a_reader_sees_commits_while_the_writer_goes_on(store: Store, path: Path) -> None:
    with closing(StateReader(path)) as reader:
        store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
        first = reader.snapshot()
        store.merge(LOG, greylisted(POOL), {}, NO_LISTS, NOW)
        second = reader.snapshot()

    assert [first.decisions[GREYLIST, NEW], second.decisions[GREYLIST, NEW]] == [1, 2]


def test_when_the_sources_were_looked_at_is_kept_every_five_minutes(store: Store, path: Path) -> None:
    moments: list[Any] = []
    with closing(StateReader(path)) as reader:
        moments.append(reader.looked_at())
        for now in (NOW, NOW + 299, NOW + 300, NOW + 1):
            store.note_look(now)
            moments.append(reader.looked_at())

    assert moments == [None, NOW, NOW, NOW + 300, NOW + 300]
