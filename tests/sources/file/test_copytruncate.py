"""copytruncate: the log is copied, then emptied in place, and the writer never notices."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from sources.file.scene import SECONDS_UNTIL_SETTLED, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources.file.scene import Log, Reader

    Meanwhile = Callable[[], None]


def test_copied_and_truncated(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.copy()
    log.truncate()
    meanwhile()
    assert len(reader.read()) == 2
    log.write(1)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert (reader.status.rotations, reader.status.gaps) == (1, 0)


def test_a_log_that_has_outgrown_the_old_offset(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.copy()
    log.truncate()
    log.write(300)
    meanwhile()
    assert len(reader.read()) == 302
    assert counted_once(log, reader)


def test_nothing_is_read_twice_at_any_step_of_it(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(50)
    reader.read()
    log.write(50)
    whole = log.path.read_bytes()
    for size in (0, 10, 1500, 4000, len(whole)):
        log.named(".1").write_bytes(whole[:size])
        meanwhile()
        reader.read()
    log.truncate()
    meanwhile()
    reader.read()
    log.write(50)
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("size", [0, 10, 40, 1500, 4000])
def test_the_first_start_sees_a_copy_that_is_being_made(log: Log, reader: Reader, size: int) -> None:
    log.write(100)
    log.named(".1").write_bytes(log.path.read_bytes()[:size])
    reader.read()
    log.copy()
    log.truncate()
    log.write(1)
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)


def test_the_log_is_not_taken_for_the_copy_that_is_being_made_of_it(log: Log, reader: Reader) -> None:
    """Not even where neither is the file of before, as after the whole folder was copied."""
    log.write(100)
    reader.read()
    log.compress(log.path, to=log.away)
    log.path.write_bytes(gzip.decompress(log.away.read_bytes()))
    log.copy()
    reader.restart()
    reader.read()
    log.truncate()
    log.compress(log.named(".1"))
    reader.restart()
    reader.read()
    log.write(50)
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 0


def test_a_log_of_which_more_was_read_than_known_at_the_look_is_known_by_that(log: Log, reader: Reader) -> None:
    log.append(b"2026-03-01")
    reader.read(seconds_later=30)
    log.append(b"T10:00:00 mx a line\n")
    log.written.append(b"2026-03-01T10:00:00 mx a line")
    log.write(50)
    reader.read_one_block_and_crash()
    log.copy()
    log.truncate()
    log.write(5)
    reader.read()
    assert counted_once(log, reader)


def test_lines_that_came_between_copy_and_truncation_and_were_read(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.write(500)
    reader.read()
    log.copy()
    log.write(2)
    reader.read()
    log.truncate()
    meanwhile()
    reader.read()
    log.write(3)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.lost_bytes == 0


def test_a_copy_of_less_than_a_head_while_lines_came(log: Log, reader: Reader) -> None:
    log.write(5)
    reader.read()
    log.copy()
    log.write(2)
    reader.read()
    log.truncate()
    reader.read()
    reader.restart()
    log.write(3)
    reader.read()
    assert counted_once(log, reader)


def test_lines_that_came_between_copy_and_truncation_and_were_seen_unfinished(log: Log, reader: Reader) -> None:
    log.write(100)
    reader.read()
    log.copy()
    log.append(b"half a line that logrotate loses")
    reader.read()
    log.truncate()
    reader.read()
    log.write(1)
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)
    assert reader.status.lost_bytes == len("half a line that logrotate loses")


def test_copytruncate_with_compression_at_once(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    for number in range(3):
        log.write(100)
        reader.read()
        log.write(100)
        log.compress(log.copy(f"-2026030{number}"), "xz")
        log.truncate()
        log.write(1)
        meanwhile()
        reader.read()
    assert counted_once(log, reader)


def test_several_copies_while_stopped(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    for ending in (".3", ".2", ".1"):
        log.write(2)
        log.copy(ending)
        log.truncate()
    log.write(2)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


def test_a_writer_that_does_not_append_leaves_a_hole(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(300)
    reader.read()
    offset = log.path.stat().st_size
    log.copy()
    log.truncate()
    for _ in range(3):
        with log.path.open("r+b") as file:
            file.seek(offset)
            line = f"2026-03-01T11:00:00 mx line {len(log.written):05}\n".encode()
            offset += file.write(line)
            log.written.append(line.rstrip())
        meanwhile()
        assert len(reader.read()) == 1
    log.compress(log.copy(".2"))
    log.truncate()
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_a_hole_larger_than_a_block(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    with log.path.open("wb") as file:
        file.seek(5_000_000)
        file.write(b"half")
    reader.read()
    meanwhile()
    log.append(b" a line\n")
    log.written.append(b"half a line")
    reader.read()
    log.compress(log.rename())
    log.write(1)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_a_copy_that_was_left_unfinished_is_not_read(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(100)
    log.named(".1").write_bytes(log.path.read_bytes()[:3000])
    log.set_time(log.named(".1"), reader.now - 3600)
    reader.read()
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_emptied_without_a_copy_is_said(
    log: Log, reader: Reader, meanwhile: Meanwhile, caplog: pytest.LogCaptureFixture
) -> None:
    log.write(3)
    reader.read()
    log.truncate()
    meanwhile()
    reader.read()
    log.write(2)
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 1
    assert "before its end was read" in caplog.text
