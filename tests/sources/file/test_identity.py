"""A file is known by its content: neither name nor inode nor a common beginning makes two files one, or one two."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from sources.file.scene import SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Meanwhile = Callable[[], None]

EQUAL = "action=pass, reason=client whitelist, client_name=monitor.example.com, client_address=192.0.2.7"
"""A line without a time, which is written again and again."""


def test_an_inode_that_is_used_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    reader = Reader(log)
    log.write(3)
    reader.read()
    reader.source.close()
    inode = log.path.stat().st_ino
    log.write(2)
    log.compress(log.rename(create=False))
    for attempt in range(1000):
        log.path.touch()
        if log.path.stat().st_ino == inode:
            break
        log.path.rename(log.path.with_name(f"filler{attempt}"))
    else:
        pytest.skip("this file system does not use inodes again soon")
    log.write(300)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("lines", [5, 100])
@pytest.mark.parametrize("same_first_line", [False, True], ids=["all new", "same first line"])
def test_a_log_written_anew_in_its_place_with_the_same_length(
    log: Log, reader: Reader, meanwhile: Meanwhile, *, lines: int, same_first_line: bool
) -> None:
    """Same inode, same length, as after a copy was restored over it: only content tells."""
    log.write(lines)
    reader.read()
    log.copy()
    first = log.written[0] + b"\n"
    log.truncate()
    if same_first_line:
        log.append(first)
        log.written.append(log.written[0])
    log.write(lines - same_first_line)
    meanwhile()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert sorted(reader.lines) == sorted(log.written)
    assert reader.status.gaps == 0


def test_two_logs_of_equal_content_count_both(folder: Path) -> None:
    """As when two instances log the same: each is a source of its own."""
    logs = [Log(folder / "one"), Log(folder / "two")]
    readers = [Reader(log) for log in logs]
    for _ in range(3):
        for log, reader in zip(logs, readers, strict=True):
            log.write(40)
            reader.read()
            log.write(10)
            log.compress(log.rename(f".{len(log.written)}"))
            reader.restart()
            reader.read()
    for log, reader in zip(logs, readers, strict=True):
        assert counted_once(log, reader)


def test_a_log_with_the_inode_that_an_archive_had_when_a_commit_fails(log: Log, reader: Reader) -> None:
    log.write(100)
    archive = log.compress(log.rename(create=False))
    reader.read()
    reader.restart()
    moved = archive.with_name("moved")
    shutil.copy(archive, moved)
    log.written += [b"2026-03-01T10:00:00 mx another line %05d" % number for number in range(200)]
    archive.write_bytes(b"".join(line + b"\n" for line in log.written[100:]))
    archive.rename(log.path)
    moved.rename(archive)
    list(reader.source.batches(reader.now))
    reader.roll_back()
    reader.read()
    assert counted_once(log, reader)


def test_the_inode_of_the_log_in_another_rotated_file(log: Log, reader: Reader) -> None:
    """As when the old file was compressed, and its inode given to the new one's copy."""
    log.write(100)
    reader.read()
    log.write(2)
    old = log.path.read_bytes()
    log.path.unlink()
    log.named(".2.gz").write_bytes(gzip.compress(old))
    log.path.write_bytes(b"")
    log.write(100)
    log.rename(".1")
    log.write(1)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_archives_that_begin_alike(log: Log, reader: Reader, meanwhile: Meanwhile, kind: str) -> None:
    """Their first lines are equal for longer than a head, and what comes then is not."""
    alike = f"{EQUAL}\n".encode() * 40
    for ending in (".3", ".2", ".1"):
        log.append(alike)
        log.written += [EQUAL.encode()] * 40
        log.write(3)
        reader.read()
        log.write(2)
        log.compress(log.rename(ending), kind)
        meanwhile()
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    log.append(alike)
    log.written += [EQUAL.encode()] * 40
    reader.read()
    meanwhile()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert sorted(reader.lines) == sorted(log.written)


def test_archives_that_begin_alike_are_all_history_at_the_first_start(log: Log, reader: Reader) -> None:
    alike = f"{EQUAL}\n".encode() * 40
    for ending in (".3", ".2", ".1"):
        log.append(alike)
        log.written += [EQUAL.encode()] * 40
        log.write(3)
        log.compress(log.rename(ending))
    log.append(alike)
    log.written += [EQUAL.encode()] * 40
    log.write(1)
    for path in log.path.parent.iterdir():
        log.set_time(path, reader.now - 3600)
    reader.read()
    reader.restart()
    reader.read()
    assert sorted(reader.lines) == sorted(log.written)


def test_archives_swapped_under_their_names(log: Log, reader: Reader) -> None:
    """A part that was read in part is found in whichever archive has what was read, though both begin alike."""
    alike = f"{EQUAL}\n".encode() * 40
    log.append(alike)
    log.written += [EQUAL.encode()] * 80
    log.write(5)
    reader.read()
    log.write(5)
    log.compress(log.rename(".1"))
    log.append(alike)
    log.write(50)
    log.compress(log.rename(".2"))
    log.named(".1.gz").rename(log.named(".x"))
    log.named(".2.gz").rename(log.named(".1.gz"))
    log.named(".x").rename(log.named(".2.gz"))
    for ending in (".1.gz", ".2.gz"):
        shutil.copy(log.named(ending), log.named(".new"))
        log.named(".new").replace(log.named(ending))
    reader.restart()
    reader.read()
    assert sorted(reader.lines) == sorted(log.written)


def test_archives_that_all_look_new_again(log: Log, reader: Reader) -> None:
    """As after a copy of the folder, and where some of them are very short and begin like all others."""
    for number in range(6):
        log.write(1 if number % 2 else 100)
        archive = log.compress(log.rename(f".{number}"))
        log.set_time(archive, reader.now - 3600)
    log.write(3)
    reader.read()
    for path in log.path.parent.iterdir():
        copy = path.with_name("copy")
        shutil.copy(path, copy)
        copy.replace(path)
        log.set_time(path, reader.now - 1800)
    reader.restart()
    log.write(2)
    reader.read()
    assert counted_once(log, reader)
    assert (reader.status.rotations, reader.status.gaps) == (0, 0)


def test_short_logs_of_equal_lines(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    """Without times in them, the beginning of one is the beginning of the other."""
    for count, ending in ((3, ".4"), (1, ".3"), (5, ".2"), (2, ".1")):
        log.append(f"{EQUAL}\n".encode() * count)
        log.written += [EQUAL.encode()] * count
        meanwhile()
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
        log.append(f"{EQUAL}\n".encode())
        log.written.append(EQUAL.encode())
        rotated = log.rename(ending)
        log.set_time(rotated, reader.now - SECONDS_UNTIL_SETTLED)
    log.append(f"{EQUAL}\n".encode())
    log.written.append(EQUAL.encode())
    meanwhile()
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert sorted(reader.lines) == sorted(log.written)


def test_a_recompressed_archive_is_the_same_part(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(300)
    archive = log.compress(log.rename())
    log.write(1)
    reader.read()
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()), 1))
    meanwhile()
    reader.read()
    plain = archive.with_suffix("")
    plain.write_bytes(gzip.decompress(archive.read_bytes()))
    archive.unlink()
    meanwhile()
    reader.read()
    log.compress(plain, "xz")
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 0


def test_the_log_under_two_names(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    os.link(log.path, log.named(".1"))
    reader.read()
    log.write(2)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_a_link_that_is_led_to_a_new_file_each_day(folder: Path) -> None:
    log = Log(folder / "real", "mail-20260301.log")
    link = folder / "mail.log"
    link.symlink_to(log.path)
    reader = Reader(log)
    reader.path = link
    reader.restart()
    for day in range(2, 5):
        log.write(3)
        reader.read()
        log.write(1)
        log.path = log.path.with_name(f"mail-2026030{day}.log")
        log.write(2)
        link.unlink()
        link.symlink_to(log.path)
        reader.restart()
        reader.read()
    assert counted_once(log, reader)


def test_a_link_to_a_log_that_is_rotated_where_it_lies(folder: Path) -> None:
    log = Log(folder / "real")
    link = folder / "mail.log"
    link.symlink_to(log.path)
    reader = Reader(log)
    reader.path = link
    reader.restart()
    log.write(3)
    reader.read()
    log.write(1)
    log.compress(log.rename())
    log.write(2)
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("name", ["mail", "mail.log", "maillog"])
def test_another_log_s_files_are_left_alone(folder: Path, name: str) -> None:
    log = Log(folder / "log", name)
    reader = Reader(log)
    log.write(3)
    for other in (
        "mail.err.1",
        "mail.log-errors.1",
        "mail.logs.1",
        "mail-relay.log",
        "maillog2.1.gz",
        "mail.warn-20260301",
    ):
        log.append(b"another log's\n", log.path.with_name(other))
    (folder / "log" / "sub").mkdir()
    log.append(b"another server's\n", folder / "log" / "sub" / name)
    log.append(b"another server's\n", folder / "log" / "sub" / f"{name}.1")
    if name == "mail":
        log.append(b"another log's\n", log.path.with_name("mail.log.1"))
    reader.read()
    assert counted_once(log, reader)


def test_two_logs_side_by_side(folder: Path) -> None:
    logs = [Log(folder / "log", "mail.log"), Log(folder / "log", "mail")]
    readers = [Reader(log) for log in logs]
    for _ in range(3):
        for log, reader in zip(logs, readers, strict=True):
            log.write(3, text=log.path.name + " line {}")
            reader.read()
            log.write(2, text=log.path.name + " line {}")
            if log.named(".1").exists():
                log.compress(log.named(".1"), to=log.named(".2.gz"))
            log.rename()
            reader.read()
    for log, reader in zip(logs, readers, strict=True):
        log.write(1, text=log.path.name + " line {}")
        reader.read()
        assert counted_once(log, reader)
