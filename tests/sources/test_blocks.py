"""Lines at the edges of what is read: unfinished, overlong, not ended, without content."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal.isal_zlib import crc32

from postgrey_exporter.sources.blocks import BLOCK_SIZE, LineReader, whole_lines
from postgrey_exporter.sources.compression import looks_binary
from sources.file.scene import SECONDS_UNTIL_SETTLED, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources.file.scene import Log, Reader

    Meanwhile = Callable[[], None]


def test_a_half_written_line_waits_for_its_end(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(2)
    log.append(b"half a")
    assert len(reader.read()) == 2
    meanwhile()
    assert reader.read(seconds_later=SECONDS_UNTIL_SETTLED) == []
    assert reader.status.unread_bytes == len("half a")
    log.append(b" line\n")
    meanwhile()
    assert reader.read() == [b"half a line"]
    assert reader.status.unread_bytes == 0


def test_a_line_begun_before_the_rename_is_finished_after_it(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(2)
    log.append(b"half a")
    reader.read()
    old = log.rename()
    meanwhile()
    reader.read()
    log.append(b" line\n", to=old)
    meanwhile()
    assert reader.read() == [b"half a line"]
    log.write(1)
    reader.read()
    meanwhile()
    assert reader.read() == []


def test_one_byte_of_a_line_does_not_make_a_file_known(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(3)
    log.rename(".5")
    log.append(b"2")
    reader.read()
    old = log.rename()
    log.append(b"026-03-01T10:00:00 mx a line\n", to=old)
    log.written.append(b"2026-03-01T10:00:00 mx a line")
    log.write(3, to=old)
    log.compress(old, to=log.named(".2.gz"))
    log.rename()
    log.write(12)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    log.write(1)
    reader.read()
    reader.restart()
    reader.read()
    assert counted_once(log, reader)


def test_a_scrap_of_a_line_does_not_go_on_in_the_next_line_that_begins_alike(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.append(b"202")
    log.written.append(b"202")
    archive = log.compress(log.copy())
    log.truncate()
    log.set_time(archive, reader.now - 3600)
    reader.read()
    log.write(1)
    log.set_time(archive, reader.now - 1800)
    meanwhile()
    reader.read()
    archive.unlink()
    log.copy(".3")
    log.truncate()
    log.write(1)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_a_scrap_that_was_compressed_while_it_was_open_is_not_the_next_log_that_begins_alike(
    log: Log, reader: Reader
) -> None:
    log.write(3)
    log.rename(".9")
    log.append(b"2026-03-01")
    log.written.append(b"2026-03-01")
    reader.read()
    log.compress(log.rename(".2"))
    log.write(20)
    log.rename(".1")
    log.write(20)
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    log.write(1)
    reader.restart()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)


def test_a_scrap_in_front_of_a_log_that_is_written_anew_is_no_loss(log: Log, reader: Reader) -> None:
    """The new log is shorter than the old one was and begins like it, and the old one is whole in an archive."""
    log.write(100_000)
    log.compress(log.rename())
    log.append(b"2026-03-01")
    reader.read_one_block_and_crash()
    log.append(b"T10:00:00 mx a line\n")
    log.written.append(b"2026-03-01T10:00:00 mx a line")
    log.write(50)
    reader.read_one_block_and_crash()
    log.compress(log.copy(".2"))
    log.truncate()
    log.write(3)
    reader.read()
    log.rename()
    log.write(1)
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)
    assert (reader.status.gaps, reader.status.lost_bytes) == (0, 0)


def test_a_line_that_is_never_finished_is_counted_once_when_the_log_goes_on(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.write(2)
    log.append(b"half a")
    log.written.append(b"half a")
    reader.read()
    log.rename()
    log.write(1)
    for _ in range(4):
        meanwhile()
        reader.read()
    log.compress(log.named(".1"), to=log.named(".2.gz"))
    log.rename()
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


def test_a_line_that_is_never_finished_is_counted_once_when_compressed_at_once(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.write(2)
    log.append(b"half a")
    log.written.append(b"half a")
    reader.read()
    log.compress(log.rename())
    for _ in range(3):
        log.write(1)
        meanwhile()
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)


def test_a_line_that_is_never_finished_is_counted_once_after_copytruncate(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.write(2)
    log.append(b"half a")
    log.written.append(b"half a")
    reader.read()
    log.copy()
    log.truncate()
    for _ in range(3):
        log.write(1)
        meanwhile()
        reader.read()
    assert counted_once(log, reader)


def test_empty_files_are_nothing(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.path.touch()
    log.named(".1").touch()
    log.named(".2.gz").touch()
    assert reader.read() == []
    assert reader.status.up
    assert reader.status.unreadable == ()
    log.write(2)
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.parametrize("size", [BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 10 << 20], ids=str)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "archive"])
def test_an_overlong_line_counts_as_one(log: Log, reader: Reader, size: int, *, compressed: bool) -> None:
    log.write(2)
    log.append(b"x" * size + b"\n")
    log.write(2)
    if compressed:
        log.compress(log.rename())
    reader.read()
    lengths = [len(line) for line in reader.lines]
    assert lengths[:2] + lengths[3:] == [33] * 4
    assert min(size, BLOCK_SIZE) <= lengths[2] < 2 * BLOCK_SIZE


def test_an_overlong_line_waits_for_its_end(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.append(b"x" * (3 << 20))
    assert reader.read() == []
    meanwhile()
    log.append(b"x" * (3 << 20))
    assert reader.read() == []
    log.append(b"x\n")
    log.write(1)
    meanwhile()
    assert [len(line) for line in reader.read()] == [BLOCK_SIZE, 33]


def test_an_overlong_line_that_is_never_finished_takes_no_memory_and_counts_once(
    log: Log, reader: Reader, meanwhile: Meanwhile
) -> None:
    log.append(b"x" * (3 << 20))
    reader.read()
    log.rename()
    log.write(1)
    for _ in range(3):
        meanwhile()
        reader.read()
    assert sorted(len(line) for line in reader.lines) == [33, BLOCK_SIZE]


def test_carriage_returns_and_broken_bytes_pass_unchanged(log: Log, reader: Reader) -> None:
    log.append(b"one\r\n\xff\xfe\xe9\n\n\x00\x01two\n")
    assert reader.read() == [b"one\r", b"\xff\xfe\xe9", b"", b"\x01two"]


@given(
    content=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\0", b"defgh"]), max_size=60).map(b"".join),
    size=st.integers(min_value=1, max_value=8),
)
def test_a_block_stands_for_the_bytes_up_to_it(content: bytes, size: int) -> None:
    reader = LineReader(io.BytesIO(content), size=size)
    blocks = []
    for block in reader:
        blocks.append(block)
        assert block.endswith(b"\n")
        assert reader.checksum == crc32(content[: reader.consumed])
        assert reader.consumed == len(content) or content[: reader.consumed].endswith((b"\n", b"\0"))
        # Reading on from here gives the rest, as after a restart.
        rest = whole_lines(io.BytesIO(content[reader.consumed :]), size)
        expected = [line for line in content.split(b"\n") if line.strip(b"\0")]
        got = b"".join([*blocks, *rest]).split(b"\n")
        assert len([line for line in got if line]) == len(expected)


@pytest.mark.parametrize("seed", range(20))
def test_what_shred_has_overwritten_is_no_log(seed: int) -> None:
    assert looks_binary(random.Random(seed).randbytes(1024))
    assert looks_binary(random.Random(seed).randbytes(1024).replace(b"\0", b""))
