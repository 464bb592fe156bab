"""What pygtail 0.14 gets wrong (each seen here on itself), and that our subclass and register get it right."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from pygtail import Pygtail

from sources.file.scene import SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


class Peer:
    """pygtail as it is used: a new one for each run, its offset in a file."""

    def __init__(self, log: Log, **options: object) -> None:
        self._log = log
        self._options = options
        self.offset_file = log.path.parent.parent / "offset"
        self.lines: list[str] = []

    def read(self) -> None:
        tail = Pygtail(str(self._log.path), offset_file=str(self.offset_file), **self._options)
        self.lines += [str(line).rstrip("\n") for line in tail]

    def lost(self) -> int:
        return len({line.decode() for line in self._log.written} - set(self.lines))

    def doubled(self) -> int:
        return len(self.lines) - len(set(self.lines))


@pytest.fixture
def peer(log: Log) -> Peer:
    return Peer(log)


def test_one_broken_byte(log: Log, reader: Reader, peer: Peer) -> None:
    log.append(b"from=<\xe9@example.com>\n")
    log.write(1)
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            peer.read()
    assert reader.read() == [b"from=<\xe9@example.com>", log.written[0]]


def test_a_crash_while_the_offset_is_written(log: Log, reader: Reader, peer: Peer) -> None:
    log.write(3)
    peer.read()
    peer.offset_file.write_text("")
    peer.read()
    assert peer.doubled() == 3
    peer.offset_file.write_text("garbage\n")
    with pytest.raises(ValueError, match="garbage"):
        peer.read()
    reader.read()
    reader.restart()
    reader.read()
    assert counted_once(log, reader)
    assert sorted(path.name for path in log.path.parent.iterdir()) == ["mail.log"], "nothing is left beside the log"


def gz(log: Log) -> None:
    log.compress(log.rename())


def xz(log: Log) -> None:
    log.compress(log.rename(), "xz")


def bz2(log: Log) -> None:
    log.compress(log.rename(), "bz2")


def zst(log: Log) -> None:
    log.compress(log.rename(), "zst")


def olddir(log: Log) -> None:
    log.named("old/x").parent.mkdir()
    log.rename("old/mail.log.1")


def rotated_twice(log: Log) -> None:
    log.rename(".2")
    log.write(2)
    log.rename(".1")


def stale_number_beside_dateext(log: Log) -> None:
    log.append(b"a stale line\n", log.named(".1"))
    log.set_time(log.named(".1"), 1.0)
    log.rename("-20260301")


@pytest.mark.parametrize("rotate", [gz, bz2, xz, zst, olddir, rotated_twice, stale_number_beside_dateext])
def test_the_unread_tail_of_a_rotated_log(
    log: Log, reader: Reader, peer: Peer, rotate: Callable[[Log], None]
) -> None:
    log.write(3)
    reader.read()
    peer.read()
    log.write(2)
    rotate(log)
    log.write(4)
    reader.restart()
    reader.read()
    peer.read()
    assert peer.lost() > 0
    assert counted_once(log, reader)


def test_a_truncated_log_that_has_outgrown_the_old_offset(log: Log, reader: Reader, peer: Peer) -> None:
    log.write(3)
    reader.read()
    peer.read()
    log.copy()
    log.truncate()
    log.write(9)
    reader.read()
    peer.read()
    assert peer.lost() == 3
    assert counted_once(log, reader)


def test_an_inode_that_was_used_again(log: Log, reader: Reader, peer: Peer) -> None:
    """Made by writing the old content elsewhere and the new one into the old inode."""
    log.write(3)
    reader.read()
    peer.read()
    log.named(".1.gz").write_bytes(gzip.compress(log.path.read_bytes()))
    log.truncate()
    log.write(9)
    reader.restart()
    reader.read()
    peer.read()
    assert peer.lost() == 3
    assert counted_once(log, reader)


def test_a_log_that_is_missing_for_a_moment(log: Log, reader: Reader, peer: Peer) -> None:
    log.write(3)
    reader.read()
    peer.read()
    log.path.rename(log.away)
    with pytest.raises(FileNotFoundError):
        peer.read()
    reader.read()
    log.away.rename(log.path)
    reader.read()
    assert counted_once(log, reader)


def test_a_half_written_last_line(log: Log, reader: Reader, peer: Peer) -> None:
    log.append(b"half")
    reader.read()
    peer.read()
    log.append(b" a line\n")
    log.written.append(b"half a line")
    reader.read()
    peer.read()
    assert peer.lines == ["half", " a line"]
    assert counted_once(log, reader)


def test_full_lines_of_an_archive(log: Log, reader: Reader) -> None:
    peer = Peer(log, full_lines=True)
    log.write(3)
    reader.read()
    peer.read()
    log.write(2)
    log.rename()
    log.named(".1.gz").write_bytes(gzip.compress(log.named(".1").read_bytes()))
    log.named(".1").unlink()
    peer.offset_file.write_text(f"{log.named('.1.gz').stat().st_ino}\n{peer.offset_file.read_text().split()[1]}\n")
    log.write(1)
    with pytest.raises(TypeError):
        peer.read()
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    assert counted_once(log, reader)


def test_no_history_at_the_first_start(log: Log, reader: Reader, peer: Peer) -> None:
    log.write(3)
    log.compress(log.rename(".2"))
    log.write(3)
    log.rename()
    log.write(1)
    peer.read()
    reader.read()
    assert peer.lost() == 6
    assert counted_once(log, reader)


def test_reading_by_line_is_slower_than_reading_by_block(log: Log, reader: Reader, tmp_path: Path) -> None:
    """Shown by how often the reader's loop runs, not by a clock: once a block of a megabyte, not once a line."""
    log.write(60_000)
    blocks = [batch.lines for batch in reader.source.batches(reader.now)]
    assert len(blocks) == 2
    assert sum(block.count(b"\n") for block in blocks) == 60_000
    assert len(Pygtail(str(log.path), offset_file=str(tmp_path / "offset")).readlines()) == 60_000
