"""Rotation by renaming, in every scheme of logrotate's, while the reader runs and while it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sources.file.scene import SECONDS_UNTIL_SETTLED, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources.file.scene import Log, Reader

    Meanwhile = Callable[[], None]


def test_a_growing_log_is_read_on(log: Log, reader: Reader) -> None:
    log.write(3)
    assert len(reader.read()) == 3
    log.write(2)
    assert len(reader.read()) == 2
    assert reader.read() == []


def test_rename_and_create(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.rename()
    log.write(4)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.rotations == 1
    assert reader.lines == log.written


def test_the_old_file_is_read_while_the_writer_has_not_noticed_the_rename(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.write(3)
    reader.read()
    old = log.rename()
    for _ in range(3):
        log.write(1, to=old)
        meanwhile()
        assert len(reader.read(seconds_later=40)) == 1
    log.write(2)
    reader.read()
    log.write(1, to=old)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_the_old_file_grows_although_nothing_in_the_folder_changes(log: Log, reader: Reader) -> None:
    log.write(3)
    old = log.rename()
    log.write(1)
    reader.read()
    reader.restart()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    log.write(1, to=old)
    assert len(reader.read()) == 1


def test_the_log_is_deleted_by_rotation_while_it_is_open(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.path.unlink()
    log.write(1)
    assert len(reader.read()) == 3
    assert counted_once(log, reader)
    assert (reader.status.lost_bytes, reader.status.gaps) == (0, 0)


def test_a_commit_that_failed_does_not_let_go_of_a_deleted_file(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.path.unlink()
    log.write(1)
    list(reader.source.batches(reader.now))
    reader.roll_back()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_compress_at_once(log: Log, reader: Reader, meanwhile: Meanwhile, kind: str) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.compress(log.rename(), kind)
    log.write(4)
    meanwhile()
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_delaycompress(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    for _ in range(4):
        log.write(2)
        reader.read()
        log.write(1)
        if log.named(".1").exists():
            if log.named(".2.gz").exists():
                log.named(".2.gz").rename(log.named(".3.gz"))
            log.compress(log.named(".1"), to=log.named(".2.gz"))
        log.rename()
        meanwhile()
        reader.read()
    assert counted_once(log, reader)
    assert reader.status.rotations == 4
    assert (reader.status.lost_bytes, reader.status.gaps) == (0, 0)


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("-20260301", id="dateext"),
        pytest.param("-20260301-1772323200", id="dateext with seconds"),
        pytest.param(".2026-03-01", id="Python's handlers"),
        pytest.param("-2026030114", id="hourly"),
        pytest.param("-2026-w09", id="week"),
        pytest.param("_2026-03-01T10:00:00Z", id="a time of day"),
        pytest.param(".0", id="from nought"),
        pytest.param("-20260301.gz", id="dateext, compressed"),
        pytest.param("-20260301-1772323200.xz", id="dateext with seconds, compressed"),
        pytest.param("old/mail.log.1", id="olddir"),
        pytest.param("old/mail.log-20260301.bz2", id="olddir, dateext, compressed"),
        pytest.param("old/mail-20260301.log", id="olddir, extension"),
    ],
)
def test_whatever_the_rotated_file_is_called(log: Log, reader: Reader, meanwhile: Meanwhile, ending: str) -> None:
    log.path.with_name("old").mkdir()
    log.write(3)
    reader.read()
    log.write(2)
    *_, last = ending.rpartition(".")
    if last in {"gz", "xz", "bz2"}:
        log.compress(log.rename(".compressing"), last, to=log.named(ending))
    else:
        log.rename(ending)
    log.write(4)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 0


def test_a_file_under_a_name_that_no_rotation_gives_is_found_by_its_content(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.rename(".kept-by-hand")
    log.write(4)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 0


def test_several_rotations_while_stopped(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.compress(log.rename(".5"))
    log.write(2)
    log.compress(log.rename(".4"), "xz")
    log.write(2)
    log.rename(".3")
    log.write(2)
    log.rename(".1")
    log.write(2)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


def test_nocreate_leaves_no_log_for_a_while(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    reader.read()
    log.write(1)
    old = log.rename(create=False)
    log.write(1, to=old)
    meanwhile()
    assert len(reader.read()) == 2
    assert not reader.status.up
    assert reader.status.error == f"{log.path}: no such file"
    log.write(2)
    meanwhile()
    reader.read()
    assert reader.status.up
    assert counted_once(log, reader)


def test_a_log_that_is_away_for_a_while_and_comes_back(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    reader.read()
    log.write(1)
    log.path.rename(log.away)
    reader.read()
    meanwhile()
    reader.read(seconds_later=1000)
    log.away.rename(log.path)
    log.write(1)
    reader.read(seconds_later=1000)
    assert counted_once(log, reader)
    assert (reader.status.rotations, reader.status.gaps) == (0, 0)


def test_a_stale_numbered_file_beside_a_dateext_scheme(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(1, to=log.named(".1"))
    log.write(3)
    reader.read()
    log.write(2)
    log.rename("-20260301")
    log.write(1)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_the_first_start_reads_the_rotated_files_oldest_first(log: Log, reader: Reader) -> None:
    for ending, kind in ((".4", "gz"), (".3", "bz2"), (".2", "xz"), (".1", None)):
        log.write(3)
        rotated = log.rename(ending)
        days_ago = reader.now - 86400 * int(ending[1:])
        log.set_time(rotated, days_ago)
        if kind:
            log.compress(rotated, kind)
    log.write(2)
    reader.read()
    assert reader.lines == log.written


def test_files_from_before_the_window_are_not_read_and_not_taken_for_new_later(log: Log, reader: Reader) -> None:
    log.append(b"from last year\n", log.named(".2"))
    log.set_time(log.named(".2"), reader.now - 300 * 86400)
    log.write(2)
    reader.read()
    log.compress(log.named(".2"), to=log.named(".3.gz"))
    log.set_time(log.named(".3.gz"), reader.now)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)
