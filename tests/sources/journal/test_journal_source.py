"""The journal as a source: real files, real journalctl, every entry once."""

from __future__ import annotations

import grp
import io
import json
import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.parts import require

from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.journal.journalctl import PATIENCE_SECONDS, JournalError, NoJournalctlError
from postgrey_exporter.sources.journal.source import JournalSource
from postgrey_exporter.sources.journal.text import journal_lines
from sources.journal.journals import BEGIN, POSTFIX, SERVICE, Journal, decisions, entry, greylisted

if TYPE_CHECKING:
    from postgrey_exporter.sources import Position

WEEK = 7 * 86400.0
NOW = BEGIN + 3600.0


@pytest.fixture(autouse=True)
def _journalctl() -> None:
    require("journalctl", "systemd")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


class Reader:
    """A source with the numbers of the decisions that it has handed out; `restart` is a crash after a commit."""

    def __init__(self, journal: Journal, patience: float = PATIENCE_SECONDS) -> None:
        self._journal = journal
        self._patience = patience
        self.position: Position | None = None
        self.restart()

    def restart(self) -> None:
        self.source = JournalSource(WEEK, tag="postgrey", directory=self._journal.directory, patience=self._patience)
        self.source.resume(json.loads(json.dumps(self.position)))

    def read(self, now: float = NOW) -> list[int]:
        found: list[int] = []
        for batch in self.source.batches(now) if self.source.is_due(now) else ():
            found += [
                int(decision.client.name.split(".")[0].removeprefix("mail"))
                for decision in Parser().parse(batch.lines, batch.seen_at).decisions
            ]
            self.position = self.source.position()
        return found


def test_what_was_appended_is_read_once(journal: Journal) -> None:
    journal.append(decisions(range(10)))
    reader = Reader(journal)
    assert reader.read() == list(range(10))
    assert reader.read() == []
    journal.append(decisions(range(10, 13)))
    assert reader.read() == [10, 11, 12]


def test_the_first_start_reads_the_window_and_nothing_older(journal: Journal) -> None:
    journal.append(decisions(range(10), seconds_apart=3600))
    source = JournalSource(5.5 * 3600, tag="postgrey", directory=journal.directory)
    source.resume(None)
    lines = b"".join(batch.lines for batch in source.batches(BEGIN + 9 * 3600))
    assert lines.count(b"action=greylist") == 6


@pytest.mark.parametrize("crash", [pytest.param(False, id="running"), pytest.param(True, id="stopped")])
def test_rotation_and_vacuum_of_what_was_read_lose_nothing_and_alarm_nobody(journal: Journal, crash: bool) -> None:
    journal.append(decisions(range(5)))
    reader = Reader(journal)
    assert reader.read() == [0, 1, 2, 3, 4]
    journal.rotate()
    journal.append(entry("other", 5, POSTFIX) + decisions(range(6, 9)))
    if crash:
        reader.restart()
    assert reader.read() == [6, 7, 8]
    journal.rotate()
    journal.vacuum(keep=1)
    journal.append(decisions(range(9, 12)))
    if crash:
        reader.restart()
    assert reader.read() == [9, 10, 11]
    assert reader.source.status().gaps == 0


def test_an_entry_after_a_vacuumed_cursor_is_not_passed_over(journal: Journal) -> None:
    """``journalctl --after-cursor`` would: it steps over the first entry that it finds."""
    journal.append(decisions(range(5)))
    reader = Reader(journal)
    reader.read()
    journal.rotate()
    journal.vacuum()
    journal.append(decisions([5]))
    assert reader.read(BEGIN + 4) == [5]


def test_entries_that_were_vacuumed_unread_are_a_gap_that_is_said(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append(decisions(range(5)))
    reader = Reader(journal)
    reader.read(BEGIN + 5)
    journal.append(decisions(range(5, 10)))
    journal.rotate()
    journal.vacuum()
    journal.append(decisions(range(10, 15)))
    reader.restart()
    assert reader.read(BEGIN + 20) == [10, 11, 12, 13, 14]
    assert reader.source.status().gaps == 1
    assert "was vacuumed" in caplog.text
    assert "08:53:24" in caplog.text
    assert "08:53:30" in caplog.text
    reader.restart()
    assert reader.source.status().gaps == 1


def test_a_silent_postgrey_in_a_vacuumed_journal_is_no_gap(journal: Journal) -> None:
    journal.append(decisions(range(5)))
    reader = Reader(journal)
    reader.read(BEGIN + 5)
    journal.append(entry("connect", 100, POSTFIX))
    assert reader.read(BEGIN + 200) == []
    journal.rotate()
    journal.vacuum()
    journal.append(entry("connect", 150, POSTFIX) + decisions([300]))
    assert reader.read(BEGIN + 400) == [300]
    assert reader.source.status().gaps == 0


def test_entries_of_one_microsecond_are_told_apart_when_the_cursor_is_gone(journal: Journal) -> None:
    at_once = [entry(greylisted(number), 1) for number in range(4)]
    first, second = journal.directory / "system@a.journal", journal.directory / "system@b.journal"
    journal.append(b"".join(at_once[:2]), to=first)
    reader = Reader(journal)
    before = reader.read()
    journal.append(b"".join(at_once), to=second)
    first.unlink()
    assert sorted(before + reader.read()) == [0, 1, 2, 3]


def test_an_entry_that_journald_moved_to_another_file_is_known_again(journal: Journal) -> None:
    """So it is when the journal in memory is flushed to disk: other file, other numbers, the same entries."""
    in_memory = journal.directory / "runtime.journal"
    journal.append(decisions(range(5)), to=in_memory)
    reader = Reader(journal)
    assert reader.read() == [0, 1, 2, 3, 4]
    in_memory.unlink()
    journal.append(entry("boot", -1, POSTFIX) + decisions(range(7)))
    assert reader.read() == [5, 6]
    assert reader.source.status().gaps == 0


def test_the_position_stands_for_exactly_what_was_handed_out(journal: Journal) -> None:
    journal.append(decisions(range(4000)))
    reader = Reader(journal)
    found: list[int] = []
    while True:
        batch = next(reader.source.batches(NOW), None)  # one batch, then a crash
        if batch is None:
            break
        found += [int(line.split(b"client_name=mail")[1].split(b".")[0]) for line in batch.lines.splitlines()]
        reader.position = reader.source.position()
        reader.restart()
    assert found == list(range(4000))


def test_nothing_is_started_while_nothing_changes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append(decisions(range(3)))
    reader = Reader(journal)
    reader.read()
    monkeypatch.setenv("PATH", os.devnull)
    assert reader.read(NOW + 60) == []
    assert reader.source.status().up
    journal.append(entry("other", 5, POSTFIX))
    reader.read(NOW + 62)
    assert not reader.source.status().up


def test_without_journalctl_the_remedy_is_named(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append(decisions(range(3)))
    reader = Reader(journal)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(NoJournalctlError, match=r"no journalctl on this machine; name the log .* --mail-log"):
        reader.source.check()
    assert reader.read() == []
    assert "no journalctl" in str(reader.source.status().error)
    monkeypatch.setenv("PATH", path)
    assert reader.read() == [0, 1, 2]


def test_without_any_journal_file_the_places_are_named(journal: Journal) -> None:
    reader = Reader(journal)
    reader.source.check()
    assert reader.read() == []
    assert f"no journal files in {journal.directory}" in str(reader.source.status().error)
    journal.append(decisions([1]))
    assert reader.read() == [1]
    assert reader.source.status().up


def a_journalctl(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program of ours in journalctl's place where entries are read; it can call the real one as ``$REAL``."""
    program = folder / "journalctl"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--field=*) exec "$REAL" "$@";; esac\n{script}\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("REAL", require("journalctl", "systemd"))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return program


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param('"$REAL" "$@" | head -c 1500; kill -9 $$', "ended by signal 9", id="killed inside an entry"),
        pytest.param(
            '"$REAL" "$@" | head -c 1500; echo Disk fell off >&2; exit 1', "says: Disk fell off", id="failed"
        ),
        pytest.param("exit 1", "says: nothing", id="failed without a word"),
        pytest.param(
            "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1",
            "group 'systemd-journal'.*usermod",
            id="no permission",
        ),
        pytest.param(
            '"$REAL" "$@" | head -c 0; echo "Hint: You are currently not seeing messages from other users" >&2',
            "group 'systemd-journal'",
            id="own entries only",
        ),
    ],
)
def test_a_journalctl_that_fails_is_tried_again_after_growing_pauses(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: str
) -> None:
    journal.append(decisions(range(6)))
    calls = tmp_path / "calls"
    program = a_journalctl(tmp_path, f"echo >> {calls}\n{script}", monkeypatch)
    reader = Reader(journal)
    found: list[int] = []
    tries: list[int] = []
    for second in range(130):
        found += reader.read(NOW + second)
        if len(tries) < calls.stat().st_size:
            tries.append(second)
        status = reader.source.status()
        assert not status.up
        assert re.search(error, str(status.error))
    assert tries == [0, 2, 6, 14, 30, 62, 122]
    program.unlink()
    found += reader.read(NOW + 200)
    assert found == [0, 1, 2, 3, 4, 5]
    assert reader.source.status().up


def test_a_rotation_while_journalctl_starts_hides_nothing(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between journalctl's listing and its opening of a file, that name can come to stand for the next file."""
    journal.append(decisions([0]))
    reader = Reader(journal)
    assert reader.read() == [0]
    journal.append(decisions([1]))
    following = tmp_path / "next.journal"
    journal.append(decisions([2]), to=following)
    a_journalctl(
        tmp_path,
        f"if [ -e {following} ]; then mv {journal.live} {journal.directory}/system@1.journal; "
        f'mv {following} {journal.live}; shift; exec "$REAL" --file={journal.live} -o export; fi\nexec "$REAL" "$@"',
        monkeypatch,
    )
    assert reader.read() == [1, 2]


def test_files_that_never_rest_are_an_error_not_a_loop(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(decisions([0]))
    a_journalctl(tmp_path, f'cp -p {journal.live} {journal.directory}/$$.journal; exec "$REAL" "$@"', monkeypatch)
    reader = Reader(journal)
    assert reader.read() == []
    assert "change faster" in str(reader.source.status().error)


def test_a_journalctl_that_hangs_is_ended(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append(decisions(range(3)))
    pids = tmp_path / "pids"
    program = a_journalctl(tmp_path, f'echo $$ >> {pids}; "$REAL" "$@"; exec tail -f /dev/null', monkeypatch)
    reader = Reader(journal, patience=0.3)
    assert reader.read() == [0, 1, 2]
    assert "has been silent for 0.3 s" in str(reader.source.status().error)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)
    program.unlink()
    journal.append(decisions([3]))
    assert reader.read(NOW + 3) == [3]


def test_a_batch_that_nobody_wants_any_more_ends_the_child(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(decisions(range(3000)))
    pids = tmp_path / "pids"
    a_journalctl(tmp_path, f'echo $$ >> {pids}; exec "$REAL" "$@"', monkeypatch)
    batches = Reader(journal).source.batches(NOW)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: os.truncate(file, 100_000), id="cut short"),
        pytest.param(lambda file: os.truncate(file, 0), id="emptied"),
        pytest.param(lambda file: file.write_bytes(b"\0" * 100_000), id="zeroed"),
    ],
)
def test_a_damaged_file_is_named_and_the_others_are_read(
    journal: Journal, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append(decisions(range(5)))
    broken = journal.rotate()
    journal.append(decisions(range(5, 8)))
    assert callable(damage)
    damage(broken)
    reader = Reader(journal)
    assert reader.read() == [5, 6, 7]
    status = reader.source.status()
    assert status.up
    assert len(status.unreadable) == 1
    assert str(broken) in status.unreadable[0]
    assert caplog.text.count(str(broken)) == 1
    journal.append(decisions([8]))
    assert reader.read() == [8]
    assert caplog.text.count(str(broken)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives up its rights")
def test_no_permission_names_the_group_and_what_was_hidden_is_read_later() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's tmp_path is closed to other accounts
        journal = Journal(Path(folder))
        journal.directory.chmod(0o755)
        journal.append(decisions(range(5)))
        journal.live.chmod(0o640)
        os.chown(journal.live, 0, grp.getgrnam("tty").gr_gid)
        reader = Reader(journal)
        os.seteuid(65534)
        try:
            with pytest.raises(JournalError, match="permission denied; group 'tty' may read it"):
                reader.source.check()
            assert reader.read() == []
            assert "group 'tty' may read it" in str(reader.source.status().error)
        finally:
            os.seteuid(0)
        assert reader.read(NOW + 3) == [0, 1, 2, 3, 4]


def test_users_own_journals_may_be_closed(journal: Journal) -> None:
    journal.append(decisions(range(5)))
    (journal.directory / "user-1000.journal").symlink_to("/dev/mem/x")
    reader = Reader(journal)
    reader.source.check()
    assert reader.read() == [0, 1, 2, 3, 4]


def test_the_name_tells_another_journal_from_the_systems(tmp_path: Path) -> None:
    assert JournalSource(WEEK, tag="postgrey").name == "journal"
    assert JournalSource(WEEK, tag="postgrey", directory=tmp_path).name == f"journal:{tmp_path}"


def test_the_entries_of_each_of_postgreys_units_are_read_as_an_export_of_them_is(journal: Journal) -> None:
    units = ("postgrey.service", "postgrey@mx1.service", "postgrey-mx2.service", "postgreyish.service")
    journal.append(
        b"".join(
            entry(greylisted(number), number, SERVICE | {"SYSLOG_IDENTIFIER": "perl", "_SYSTEMD_UNIT": unit})
            for number, unit in enumerate(units)
        )
    )
    assert Reader(journal).read() == [0, 1, 2]
    exported = subprocess.run(
        [require("journalctl", "systemd"), f"--directory={journal.directory}", "--output=export"],
        check=True,
        capture_output=True,
    ).stdout
    lines = b"".join(journal_lines(io.BufferedReader(io.BytesIO(exported)), "export", "postgrey"))
    assert [decision.time - BEGIN for decision in Parser().parse(lines, NOW).decisions] == [0, 1, 2]
