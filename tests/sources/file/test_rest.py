"""A log to which nothing happens costs nothing: no reading is due before its files change."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.sources.file.scanner import REST_SECONDS
from sources.file.scene import SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOON = 5.0
"""Seconds after which a change is older than the clock's tick."""


def come_to_rest(reader: Reader) -> None:
    """Read until it is known that nothing is waited for: what was opened by one reading is known to the next."""
    for _ in range(2):
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert not reader.source.is_due(reader.now)


@pytest.fixture
def at_rest(log: Log, reader: Reader) -> Reader:
    """Return a reader that has read a log and its rotated files, one of which is open still."""
    log.write(3)
    log.rename()
    log.write(3)
    come_to_rest(reader)
    return reader


def grow(log: Log) -> None:
    log.write(1)


def grow_by_a_part_of_a_line(log: Log) -> None:
    log.append(b"2026-03-01")


def grow_after_rotation(log: Log) -> None:
    log.write(1, to=log.named(".1"))


def rename(log: Log) -> None:
    log.rename(".0")


def rename_and_create_nothing(log: Log) -> None:
    log.rename(".0", create=False)


def copy(log: Log) -> None:
    log.copy(".0")


def truncate(log: Log) -> None:
    log.truncate()


def write_anew_in_the_same_size(log: Log) -> None:
    about = log.path.stat()
    log.path.write_bytes(bytes(reversed(log.path.read_bytes())))
    os.utime(log.path, ns=(about.st_atime_ns, about.st_mtime_ns))


def compress(log: Log) -> None:
    log.compress(log.named(".1"))


def delete_a_rotated_file(log: Log) -> None:
    log.named(".1").unlink()


def delete(log: Log) -> None:
    log.path.unlink()


@pytest.mark.parametrize(
    "change",
    [
        grow,
        grow_by_a_part_of_a_line,
        grow_after_rotation,
        rename,
        rename_and_create_nothing,
        copy,
        truncate,
        write_anew_in_the_same_size,
        compress,
        delete_a_rotated_file,
        delete,
    ],
)
def test_a_reading_is_due_after_any_change(log: Log, at_rest: Reader, change: Callable[[Log], None]) -> None:
    change(log)
    assert at_rest.source.is_due(at_rest.now)


def test_a_reading_is_due_after_another_log_was_linked(folder: Path, log: Log) -> None:
    log.write(3)
    other = shutil.copytree(log.path.parent, folder / "other")
    link = folder / "link" / "mail.log"
    link.parent.mkdir()
    link.symlink_to(log.path)
    reader = Reader(Log(link.parent))
    come_to_rest(reader)
    link.unlink()
    link.symlink_to(other / log.path.name)
    assert reader.source.is_due(reader.now)


def test_rotated_files_beside_a_linked_log_are_noticed(folder: Path, log: Log) -> None:
    log.write(3)
    link = folder / "link" / "mail.log"
    link.parent.mkdir()
    link.symlink_to(log.path)
    reader = Reader(Log(link.parent))
    come_to_rest(reader)
    log.write(2, to=log.named(".1"))
    assert reader.source.is_due(reader.now)


def test_a_reading_is_due_while_a_rotated_file_may_still_be_written_to(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read(seconds_later=SOON)
    log.rename()
    for _ in range(3):
        reader.read(seconds_later=SOON)
        assert reader.source.is_due(reader.now + SOON)
    log.write(1)
    come_to_rest(reader)
    assert counted_once(log, reader)


def test_a_reading_is_due_while_the_log_is_missing(reader: Reader) -> None:
    reader.read(seconds_later=SOON)
    assert reader.source.is_due(reader.now)


def test_a_reading_is_due_while_a_change_is_too_new_to_show_the_next_one(log: Log, reader: Reader) -> None:
    log.write(3)
    os.utime(log.path.parent, (0, 0))
    reader.now = log.path.stat().st_ctime + 0.5
    reader.read()
    reader.read()
    assert reader.source.is_due(reader.now)


def test_a_reading_is_due_while_the_log_is_no_log(log: Log, reader: Reader) -> None:
    log.append(gzip.compress(b"a line\n"))
    reader.read(seconds_later=SOON)
    reader.read(seconds_later=SOON)
    assert not reader.status.up
    assert reader.source.is_due(reader.now)


def test_a_reading_is_due_after_it_was_undone(at_rest: Reader) -> None:
    at_rest.roll_back()
    assert at_rest.source.is_due(at_rest.now)


def test_the_files_are_looked_at_every_ten_minutes(at_rest: Reader) -> None:
    assert not at_rest.source.is_due(at_rest.now + REST_SECONDS - SECONDS_UNTIL_SETTLED)
    assert at_rest.source.is_due(at_rest.now + REST_SECONDS)
    assert at_rest.source.is_due(at_rest.now - REST_SECONDS)


def test_what_may_have_changed_unseen_is_looked_at_after_a_minute(log: Log, at_rest: Reader) -> None:
    """Since the last look the log changed and did not grow: its permissions, perhaps, or its owner."""
    log.path.chmod(0o640)
    at_rest.read(seconds_later=SOON)
    assert not at_rest.source.is_due(at_rest.now)
    assert at_rest.source.is_due(at_rest.now + SECONDS_UNTIL_SETTLED)
    at_rest.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert not at_rest.source.is_due(at_rest.now + SECONDS_UNTIL_SETTLED)


@pytest.mark.parametrize("content", [b"\x1f\x8b, and then no archive", b""], ids=["damaged", "empty"])
def test_a_rotated_file_that_may_be_on_its_way_is_looked_at_after_a_minute(
    log: Log, reader: Reader, content: bytes
) -> None:
    log.write(3)
    log.append(content, to=log.named(".1.gz"))
    log.set_time(log.named(".1.gz"), reader.now + 2 * SECONDS_UNTIL_SETTLED)
    come_to_rest(reader)
    assert not reader.status.unreadable
    assert reader.source.is_due(reader.now + SECONDS_UNTIL_SETTLED)


def test_a_rotated_file_that_can_not_be_read_is_tried_every_minute(log: Log, reader: Reader) -> None:
    log.write(3)
    log.append(b"\x1f\x8b, and then no archive", to=log.named(".1.gz"))
    come_to_rest(reader)
    assert reader.status.unreadable
    assert not reader.source.is_due(reader.now + SOON)
    assert reader.source.is_due(reader.now + SECONDS_UNTIL_SETTLED)
