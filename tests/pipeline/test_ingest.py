"""Reading on: every line once, through errors of the state, interruptions and restarts."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.loglines import FOREIGN, decision
from support.running import NOW, Files, Scripted
from support.tallies import tally_of_log

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.pipeline.ingest import Limits, Watcher
from postgrey_exporter.state.connection import StateError
from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from postgrey_exporter.sources import Batch


class Pausing(Watcher):
    """Calls a function between two blocks."""

    def __init__(self, pause: Callable[[], None]) -> None:
        self.pause = pause  # type: ignore[method-assign]


class Listening(Watcher):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def takes_long(self) -> None:
        self.told.append("long")

    def changes(self, domains: Iterable[str] | None) -> None:
        self.told.append(domains and set(domains) - {UNKNOWN})

    def committed(self) -> None:
        self.told.append("committed")

    def taken(self) -> list[object]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_the_log_has_grown_by_is_counted_once(files: Files) -> None:
    files.append(decision(NOW - 60), FOREIGN)
    with files.ingest() as ingest:
        for _ in range(2):
            ingest.advance(NOW)
        files.append(decision(NOW - 30))
        ingest.advance(NOW)
    with files.ingest() as ingest:
        ingest.advance(NOW)
        files.append(decision(NOW - 10), FOREIGN)
        ingest.advance(NOW)

    assert files.counted() == 3
    lines = files.snapshot().lines
    assert {outcome: count for (_, outcome), count in lines.items() if count} == {"decision": 3, "foreign": 2}


def test_each_source_has_its_own_position(files: Files) -> None:
    sources = Scripted("one", [decision(NOW)]), Scripted("two", [decision(NOW), decision(NOW)])
    with files.ingest(*sources) as ingest:
        ingest.advance(NOW)
        positions = [ingest.store.position(source.name) or {} for source in sources]
        assert [position["blocks"] for position in positions] == [1, 2]
    assert files.counted() == 3


def test_much_is_committed_in_parts(files: Files) -> None:
    limits = Limits(commit_bytes=len(decision(NOW)) * 2)
    seen: list[int] = []
    with files.ingest(Scripted("log", [decision(NOW)] * 5), limits=limits) as ingest:
        ingest.advance(NOW, Pausing(lambda: seen.append(files.counted())))

    assert seen == [0, 2, 2, 4, 4]
    assert files.counted() == 5


def test_many_clients_are_committed_in_parts(files: Files) -> None:
    blocks = [
        "".join(decision(NOW, address=f"198.18.{block}.{number}") for number in range(100, 150))
        for block in range(100, 105)
    ]
    limits = Limits(commit_size_bytes=tally_of_log(blocks[0] + blocks[1], NOW).size_bytes)
    seen: list[int] = []
    with files.ingest(Scripted("log", blocks), limits=limits) as ingest:
        ingest.advance(NOW, Pausing(lambda: seen.append(files.counted())))

    assert seen == [0, 100, 100, 200, 200]
    assert files.counted() == 250


class StopError(Exception):
    pass


def test_an_interruption_keeps_what_is_committed_and_the_rest_for_later(files: Files) -> None:
    blocks = [decision(NOW)] * 5

    def stop_after_three() -> None:
        if source.handed_out == 3:
            raise StopError

    source = Scripted("log", blocks)
    limits = Limits(commit_bytes=len(decision(NOW)) * 2)
    with files.ingest(source, limits=limits) as ingest, pytest.raises(StopError):
        ingest.advance(NOW, Pausing(stop_after_three))

    assert files.counted() == 2
    with files.ingest(Scripted("log", blocks)) as ingest:
        ingest.advance(NOW)
    assert files.counted() == 5


def test_after_an_error_of_the_state_everything_is_tried_again(files: Files) -> None:
    sources = (
        Scripted("other", [decision(NOW)]),
        Scripted("log", [decision(NOW), decision(NOW, "mail.example.net"), decision(NOW)]),
    )
    with files.ingest(*sources, limits=Limits(commit_bytes=1)) as ingest:
        files.execute(
            "CREATE TRIGGER boom BEFORE INSERT ON domain WHEN new.name = 'example.net' "
            "BEGIN SELECT raise(ABORT, 'boom'); END"
        )
        for _ in range(2):
            with pytest.raises(StateError, match="boom"):
                ingest.advance(NOW)
            assert files.counted() == 2
        files.execute("DROP TRIGGER boom")

        ingest.advance(NOW)

    assert files.counted() == 4
    assert files.snapshot().unreviewed == {"example.com": 3, "example.net": 1}


def test_a_log_goes_on_where_it_was_after_an_error_of_the_state(files: Files) -> None:
    files.append(decision(NOW - 60))
    with files.ingest() as ingest:
        ingest.advance(NOW)
        files.append(decision(NOW - 30))
        files.execute("CREATE TRIGGER boom BEFORE UPDATE ON source BEGIN SELECT raise(ABORT, 'boom'); END")
        with pytest.raises(StateError):
            ingest.advance(NOW)
        files.append(decision(NOW - 10))
        files.execute("DROP TRIGGER boom")
        ingest.advance(NOW)

    assert files.counted() == 3


def test_an_edited_list_is_in_force_at_the_next_look(files: Files) -> None:
    files.append(decision(NOW - 60), decision(NOW - 60, "mail.example.net"), decision(NOW - 60, "mail.example.org"))
    with files.ingest() as ingest:
        ingest.advance(NOW)
        assert files.snapshot().unreviewed == {"example.com": 1, "example.net": 1, "example.org": 1}
        files.whitelist.write_text("example.com\n")
        files.ignore.write_text("example.net\n")
        ingest.advance(NOW)
        assert files.snapshot().unreviewed == {"example.org": 1}
        files.whitelist.write_text("")
        ingest.advance(NOW)
    assert files.snapshot().unreviewed == {"example.com": 1, "example.org": 1}


def test_lists_edited_while_the_exporter_was_down_are_in_force_at_its_start(files: Files) -> None:
    files.append(decision(NOW - 60))
    with files.ingest() as ingest:
        ingest.advance(NOW)
    files.whitelist.write_text("example.com\n")
    with files.ingest() as ingest:
        ingest.advance(NOW)

    assert files.snapshot().unreviewed == {}


def test_a_list_that_became_unreadable_keeps_its_content(files: Files) -> None:
    files.whitelist.write_text("example.com\n")
    with files.ingest() as ingest:
        ingest.advance(NOW)
        files.whitelist.unlink()
        files.append(decision(NOW - 60))
        ingest.advance(NOW)

        assert files.snapshot().unreviewed == {}
        assert [status.up for status in ingest.lists.statuses()] == [False, True]


def test_greylistings_after_the_whitelist_changed_are_held_against_it(files: Files) -> None:
    files.whitelist.write_text("example.com\n")
    changed = files.whitelist.stat().st_mtime
    files.append(decision(changed - 5), decision(changed + 5), decision(changed + 5, "mail.example.net"))
    with files.ingest() as ingest:
        ingest.advance(changed + 10)

    assert {one.domain: one.ineffective for one in files.snapshot().domains} == {"example.com": 1, "example.net": 0}


def test_a_source_at_rest_is_left_alone_unless_asked(files: Files) -> None:
    source = Scripted("log", [decision(NOW)], rest_until=NOW + 10)
    with files.ingest(source) as ingest:
        ingest.advance(NOW, asked=False)
        source.blocks.append(decision(NOW))
        ingest.advance(NOW + 5, asked=False)
        assert files.counted() == 1
        ingest.advance(NOW + 5)
        assert files.counted() == 2
        source.blocks.append(decision(NOW))
        ingest.advance(NOW + 10, asked=False)
    assert files.counted() == 3


def test_a_source_that_is_not_due_is_not_read(files: Files) -> None:
    source = Scripted("log", [decision(NOW)])
    source.due_at = NOW + 1
    with files.ingest(source) as ingest:
        ingest.advance(NOW)
        assert files.counted() == 0
        ingest.advance(NOW + 1)
    assert files.counted() == 1


def test_it_is_told_whether_anything_may_have_changed(files: Files) -> None:
    files.append(decision(NOW))
    hour = (time.time() // HOUR + 2) * HOUR
    with files.ingest() as ingest:
        assert [ingest.advance(hour - 1) for _ in range(4)] == [True, True, False, False]
        assert [ingest.advance(hour) for _ in range(2)] == [True, False]
        files.append(decision(NOW))
        assert [ingest.advance(hour) for _ in range(2)] == [True, False]
        files.ignore.write_text("example.net\n")
        assert [ingest.advance(hour) for _ in range(2)] == [True, False]


def test_how_a_source_is_doing_is_known_while_it_is_read(files: Files) -> None:
    unread: list[int] = []
    with files.ingest(Scripted("log", [decision(NOW)] * 3), limits=Limits(commit_bytes=1)) as ingest:
        assert ingest.statuses == {}
        ingest.advance(NOW, Pausing(lambda: unread.append(ingest.statuses["log"].unread_bytes)))

    assert unread == [2, 1, 0]


def test_who_looks_on_is_told_what_each_commit_changes(files: Files) -> None:
    looking = Listening()
    files.append(decision(NOW), decision(NOW, "mx.example.net"), FOREIGN)
    with files.ingest() as ingest:
        ingest.advance(NOW, looking)
        assert looking.taken() == [None, {"example.com", "example.net"}, "committed"]
        ingest.advance(NOW, looking)
        assert looking.taken() == []
        files.ignore.write_text("example.net\n")
        ingest.advance(NOW, looking)
        assert looking.taken() == [None]
        ingest.advance(NOW + 3600, looking)
        assert looking.taken() == [None]


def test_who_looks_on_is_told_beforehand_what_takes_long(files: Files) -> None:
    looking = Listening()
    files.append(decision(NOW), decision(NOW, "mx.example.net"))
    with files.ingest(limits=Limits(quick_clients=1, quick_bytes=2 * len(decision(NOW)) - 1)) as ingest:
        ingest.advance(NOW)
        ingest.advance(NOW + 3600, looking)
        assert looking.taken() == ["long", None]
        files.append(decision(NOW))
        ingest.advance(NOW + 3600, looking)
        files.append(decision(NOW), decision(NOW))
        ingest.advance(NOW + 3600, looking)
        assert looking.taken() == [{"example.com"}, "committed", "long", {"example.com"}, "committed"]


def test_nothing_new_is_no_commit(files: Files) -> None:
    files.append(decision(NOW - 60))
    with files.ingest() as ingest, closing(sqlite3.connect(files.state)) as watcher:
        ingest.advance(NOW)
        before = watcher.execute("PRAGMA data_version").fetchone()
        for seconds in range(10):
            ingest.advance(NOW + seconds)

        assert watcher.execute("PRAGMA data_version").fetchone() == before


def test_the_end_lets_go_of_the_sources(files: Files) -> None:
    source = Scripted("log")
    with files.ingest(source):
        pass

    assert source.closed


# --- memory that runs out


class Hungry(Scripted):
    """A source of which no more than some blocks fit into memory together."""

    def __init__(self, name: str, blocks: Sequence[str], most: int) -> None:
        super().__init__(name, blocks)
        self.most = most
        self.begun: list[int] = []

    def batches(self, now: float) -> Iterator[Batch]:
        self.begun.append(self.handed_out)
        for number, batch in enumerate(super().batches(now)):
            if number == self.most:
                raise MemoryError
            yield batch


def test_where_memory_runs_out_the_steps_become_smaller_and_nothing_is_counted_twice(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = [decision(NOW - 60 + number) for number in range(40)]
    source = Hungry("hungry", blocks, most=10)
    with files.ingest(source, limits=Limits(commit_bytes=32 * len(blocks[0]))) as ingest:
        ingest.advance(NOW)
        assert files.counted() == 40
        assert source.begun[:3] == [0, 0, 0]

        source.blocks.append(decision(NOW))
        source.most = 0
        with pytest.raises(StateError, match="memory does not suffice"):
            ingest.advance(NOW)
        source.most = 100
        ingest.advance(NOW)

    assert files.counted() == 41
    assert [record.getMessage() for record in caplog.records] == [
        "hungry: memory runs out; reading by smaller steps from now on"
    ]
