"""What is kept over a restart: small, still while nothing happens, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from postgrey_exporter.sources.file.folder import Folder
from postgrey_exporter.sources.file.register import FORGET_SECONDS
from sources.file.scene import SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

DAY = 86400.0


def test_nothing_is_committed_while_nothing_is_read(log: Log, reader: Reader) -> None:
    log.write(3)
    log.compress(log.rename())
    log.write(3)
    log.rename(".0")
    log.write(3)
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    commits = reader.commits
    for _ in range(5):
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    reader.restart()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert reader.commits == commits


def test_nothing_is_committed_while_the_log_is_missing(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.path.rename(log.away)
    reader.read(seconds_later=2)
    commits = reader.commits
    for _ in range(5):
        reader.read(seconds_later=2)
    assert reader.commits == commits


def test_the_folder_is_not_looked_at_while_nothing_changes(
    log: Log, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(3)
    reader.read()
    reader.read(seconds_later=5)
    scans = []
    monkeypatch.setattr(Folder, "scan", lambda *_: scans.append(1))
    for _ in range(10):
        log.write(1)
        assert len(reader.read(seconds_later=2)) == 1
    assert scans == []


def test_a_change_within_the_clock_s_tick_of_a_look_is_seen(log: Log, reader: Reader) -> None:
    """A file system's clock stands still for some milliseconds: two changes may leave the same time."""
    log.write(3)
    os.utime(log.path.parent, (reader.now, reader.now))
    reader.read()
    log.write(2, to=log.named(".1"))
    os.utime(log.path.parent, (reader.now, reader.now))
    reader.read()
    assert counted_once(log, reader)


def test_files_that_are_gone_are_forgotten_in_time(log: Log, reader: Reader) -> None:
    sizes = []
    for day in range(30):
        log.write(100)
        reader.read(seconds_later=DAY)
        log.compress(log.rename(f"-2026-{day:02}"))
        if day >= 3:
            log.named(f"-2026-{day - 3:02}.gz").unlink()
        log.write(1)
        reader.read()
        sizes.append(reader.position_size)
    days_kept = 3 + FORGET_SECONDS / DAY + 2
    assert max(sizes) < 300 * days_kept
    assert sizes[-1] <= max(sizes[:15])
    assert counted_once(log, reader)


def test_a_file_that_is_back_after_a_while_is_not_read_again(log: Log, reader: Reader) -> None:
    log.write(100)
    archive = log.compress(log.rename())
    log.write(1)
    reader.read()
    archive.rename(log.away)
    reader.read(seconds_later=DAY)
    reader.restart()
    log.away.rename(log.named(".7.gz"))
    reader.read(seconds_later=3 * DAY)
    assert counted_once(log, reader)


def test_a_clock_that_is_set_back_does_not_stop_the_looking(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    reader.read(seconds_later=DAY)
    log.rename()
    log.write(2)
    reader.read(seconds_later=-DAY)
    assert counted_once(log, reader)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "archives"])
def test_very_many_rotated_files(folder: Path, *, compressed: bool) -> None:
    count = 1000
    log = Log(folder / "log")
    for number in range(count):
        log.write(2)
        rotated = log.rename(f".{number}")
        if compressed:
            rotated = log.compress(rotated)
        log.set_time(rotated, time.time() - 3600)
    log.write(1)
    reader = Reader(log)
    began = time.process_time()
    reader.read()
    first = time.process_time() - began
    assert counted_once(log, reader)
    began = time.process_time()
    reader.restart()
    reader.read()
    log.rename(".9999")
    log.write(1)
    reader.read()
    later = time.process_time() - began
    assert counted_once(log, reader)
    assert first < 10
    assert later < 5
    assert reader.position_size < 200 * count
    assert len(list(Path("/proc/self/fd").iterdir())) < 200
