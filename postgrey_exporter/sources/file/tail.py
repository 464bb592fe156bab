"""One plain log file, followed with pygtail.

pygtail does the iterating; its hooks are overridden so that it reads bytes in blocks of whole lines and leaves no
offset file beside the log: the position is saved with the counts, by the store. Which file the log's lines are in
after a rotation is not decided here but in `register`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

from isal.isal_zlib import crc32
from pygtail import Pygtail

from postgrey_exporter.sources.blocks import BLOCK_SIZE, without_holes
from postgrey_exporter.sources.compression import open_regular
from postgrey_exporter.sources.file.likeness import head_of

if TYPE_CHECKING:
    from pathlib import Path

BEFORE_SIZE: Final = 256
"""Bytes before the reading position by which a file is found to be the same still."""


class LogTail(Pygtail):  # type: ignore[misc]  # pygtail has no types
    """Iterates over what a file holds beyond `offset`, in blocks of whole lines, and stops at its present end.

    It can be iterated again when the file has grown. The open file stays the same one when it is renamed or deleted.
    Where its content was replaced under the position (copytruncate), iteration stops too; see `intact`.
    """

    offset: int
    """Bytes that the blocks handed out so far stand for."""
    checksum: int
    """CRC-32 of these bytes."""
    fh: IO[bytes] | None

    def __init__(self, path: Path, beginning: bytes = b"") -> None:
        """Open the file, at its beginning; ``beginning`` is what it has to begin with, see `head`.

        Raises `OSError`, or `LogFileError` for what is no regular file.
        """
        super().__init__(str(path), offset_file=os.devnull, full_lines=True, save_on_end=False, copytruncate=False)
        self.fh = open_regular(path)
        self._beginning = beginning
        self.go_to(0, 0)

    def go_to(self, offset: int, checksum: int) -> None:
        """Set the position, and what the CRC-32 of the bytes before it is."""
        self.offset = offset
        self.checksum = checksum
        self._before = self._bytes_at(max(0, offset - BEFORE_SIZE), offset)
        self._no_newline_before = offset
        self._only_nuls_before = offset
        self._flushed = offset

    def __del__(self) -> None:
        """Close the file; pygtail's own would open it once more to do so."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        fh = getattr(self, "fh", None)
        if fh is not None:
            fh.close()

    def stat(self) -> os.stat_result:
        """Return the state of the open file, whatever name it has by now."""
        return os.fstat(self._filehandle().fileno())

    def is_open(self, about: os.stat_result) -> bool:
        """Tell whether it is this file that is open."""
        return os.path.samestat(self.stat(), about)

    @property
    def before(self) -> bytes:
        """What stood just before the position when it was reached, `BEFORE_SIZE` bytes or all there was."""
        return self._before

    def head(self) -> bytes:
        """Return the first bytes of the file, see `head_of`."""
        file = self._filehandle()
        file.seek(0)
        return head_of(file)

    def intact(self) -> bool:
        """Tell whether the file still has what was read of it, as far as the bytes before the position show."""
        try:
            if self.offset == 0:
                return self.head().startswith(self._beginning)
            return self._bytes_at(self.offset - len(self._before), self.offset) == self._before
        except OSError:
            return False

    def checksum_up_to(self, end: int) -> int:
        """Return the CRC-32 of the file's first bytes."""
        return self._checksum_of(0, end, 0)

    def flush(self) -> None:
        """Have the file written to the disk, as far as it was handed out.

        A commit is on the disk; lines that it counts must not vanish from the log when the power fails, for then the
        position would lie beyond the log's end.
        """
        if self._flushed < self.offset:
            with suppress(OSError):  # a file system that can't: nothing is worse than without
                os.fdatasync(self._filehandle().fileno())
            self._flushed = self.offset

    def fragment(self) -> bytes:
        """Take the unfinished last line, as one that will not be finished any more; empty when there is none."""
        end = self.stat().st_size
        beginning = self._bytes_at(self.offset, min(end, self.offset + BLOCK_SIZE))
        if not beginning or not self.intact():
            return b""
        self._move(end)
        line = beginning.lstrip(b"\0")
        return line + b"\n" if line else b""

    def _filehandle(self) -> IO[bytes]:
        if self.fh is None:
            raise ValueError("the log is closed")
        return self.fh

    def _get_next_line(self) -> bytes:
        """Return the next block; pygtail's hook, which is named after the line that it reads."""
        content = self._surroundings()
        begin = len(self._before)
        if content.startswith(b"\0", begin):
            self._pass_hole()
            content = self._surroundings()
            begin = len(self._before)
        end = content.rfind(b"\n", begin) + 1
        if end:
            lines = content[begin:end]
            self.offset += len(lines)
            self.checksum = crc32(lines, self.checksum)
            self._before = content[max(0, end - BEFORE_SIZE) : end]
            return without_holes(lines)
        if len(content) - begin < BLOCK_SIZE:
            raise StopIteration
        return self._overlong_line(content[begin:])

    def _surroundings(self) -> bytes:
        """Return what is before the position and what follows it, a block at most.

        Stops where what was before it has changed.
        """
        content = self._bytes_at(self.offset - len(self._before), self.offset + BLOCK_SIZE)
        if not content.startswith(self._before) or (self.offset == 0 and not self.intact()):
            raise StopIteration
        return content

    def _overlong_line(self, block: bytes) -> bytes:
        """Pass over a line longer than a block: its first block stands for it, once its end is there."""
        at = max(self._no_newline_before, self.offset + len(block))
        while more := self._bytes_at(at, at + BLOCK_SIZE):
            newline = more.find(b"\n")
            if newline >= 0:
                self._move(at + newline + 1)
                return block + b"\n"
            at += len(more)
            self._no_newline_before = at
        raise StopIteration

    def _pass_hole(self) -> None:
        """Move beyond the NULs at the position, if something follows them: at the file's end it may come yet."""
        at = max(self._only_nuls_before, self.offset)
        while more := self._bytes_at(at, at + BLOCK_SIZE):
            nuls = len(more) - len(more.lstrip(b"\0"))
            if nuls < len(more):
                self._move(at + nuls)
                return
            at += len(more)
            self._only_nuls_before = at
        raise StopIteration

    def _move(self, end: int) -> None:
        """Set the position to a later one."""
        self.checksum = self._checksum_of(self.offset, end, self.checksum)
        self.offset = end
        self._before = self._bytes_at(max(0, end - BEFORE_SIZE), end)

    def _checksum_of(self, start: int, end: int, checksum: int) -> int:
        while start < end and (content := self._bytes_at(start, min(end, start + BLOCK_SIZE))):
            checksum = crc32(content, checksum)
            start += len(content)
        return checksum

    def _bytes_at(self, start: int, end: int) -> bytes:
        return os.pread(self._filehandle().fileno(), end - start, start)

    def _is_new_file(self) -> bool:
        return False

    def update_offset_file(self) -> None:
        """Do nothing: the store saves the position."""

    def __next__(self) -> Any:
        """Return the next block of whole lines."""
        return self.next()
