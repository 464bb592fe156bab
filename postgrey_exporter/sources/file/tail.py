"""One plain log file, followed with pygtail.

pygtail iterates over the file; its hooks are overridden to read bytes in blocks of whole lines and to write no offset
file beside the log: the store saves the position together with the counts. `matching` decides which file holds the
log's lines after a rotation.
"""

from __future__ import annotations

import os
from contextlib import suppress
from math import inf
from typing import IO, TYPE_CHECKING, Final, cast

from pygtail import Pygtail

from postgrey_exporter.sources.blocks import BLOCK_SIZE, LineReader
from postgrey_exporter.sources.compression import open_regular
from postgrey_exporter.sources.file.logfile import head_of, skip

if TYPE_CHECKING:
    from pathlib import Path

BEFORE_SIZE: Final = 256
"""Bytes before the offset that show whether a file's content was replaced."""


class _Bounded:
    """An open file that ends at an offset."""

    def __init__(self, file: IO[bytes], end: float) -> None:
        self._file = file
        self._end = end

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, max(0, int(self._end) - self._file.tell())) if self._end < inf else size)


class LogTail(Pygtail):  # type: ignore[misc]  # pygtail has no types
    """Iterates over what a file holds beyond `offset`, in blocks of whole lines, up to its present end.

    It can be iterated again when the file has grown. It follows the open file through a rename or a deletion.
    Iteration also stops if the content before the offset was replaced (copytruncate); see `intact`.
    """

    offset: int
    """Bytes of the file that were handed out."""
    checksum: int
    """CRC-32 of these bytes."""
    before: bytes
    """The last `BEFORE_SIZE` bytes before the offset when it was reached, or all there were."""
    fh: IO[bytes] | None
    until: float = inf
    """The offset at which reading ends for now; a line begins there."""

    def __init__(self, path: Path, beginning: bytes = b"", block_size: int = BLOCK_SIZE) -> None:
        """Open a file at its start. ``beginning`` is how its content must begin, see `head`.

        Raises `OSError`, or `LogFileError` if it is no regular file.
        """
        super().__init__(str(path), offset_file=os.devnull, full_lines=True, save_on_end=False, copytruncate=False)
        self.fh = open_regular(path)
        self._beginning = beginning
        self._block_size = block_size
        self.go_to(0, 0)

    def go_to(self, offset: int, checksum: int) -> None:
        """Set the offset and the CRC-32 of the bytes before it."""
        self.offset = offset
        self.checksum = checksum
        self.before = self._bytes_at(max(0, offset - BEFORE_SIZE), offset)
        self._flushed = offset
        self._reader: LineReader | None = None

    def close(self) -> None:
        """Close the file."""
        fh = getattr(self, "fh", None)
        if fh is not None:
            fh.close()

    __del__ = close  # pygtail's own method would open the file once more

    def fileno(self) -> int:
        """Return the descriptor of the open file."""
        return self._filehandle().fileno()

    def stat(self) -> os.stat_result:
        """Return the status of the open file, whatever its name is by now."""
        return os.fstat(self.fileno())

    def head(self) -> bytes:
        """Return the first bytes of the file, see `head_of`."""
        file = self._filehandle()
        position = file.tell()
        file.seek(0)
        head = head_of(file)
        file.seek(position)
        return head

    def intact(self) -> bool:
        """Tell whether the file still has what was read of it, judging by the bytes before the offset."""
        try:
            if self.offset == 0:
                return self.head().startswith(self._beginning)
            return self._bytes_at(self.offset - len(self.before), self.offset) == self.before
        except OSError:
            return False

    def checksum_up_to(self, end: int) -> int:
        """Return the CRC-32 of the file's bytes before ``end``."""
        self._filehandle().seek(0)
        return skip(self._filehandle(), end)[1]

    def flush(self) -> None:
        """Write the file to the disk, as far as it was handed out.

        A commit is on the disk. If the power fails, the lines that it counts must not vanish from the log: the
        offset would then be beyond the log's end.
        """
        if self._flushed < self.offset:
            with suppress(OSError):  # a file system that can't flush: no worse than not trying
                os.fdatasync(self.fileno())
            self._flushed = self.offset

    def fragment(self) -> bytes:
        """Return the unfinished last line as a whole one and move the offset to its end; empty if there is none."""
        end = self.stat().st_size
        beginning = self._bytes_at(self.offset, min(end, self.offset + self._block_size))
        if not beginning or not self.intact():
            return b""
        self.offset, self.checksum = end, self.checksum_up_to(end)
        self.before = self._bytes_at(max(0, end - BEFORE_SIZE), end)
        line = beginning.lstrip(b"\0")
        return line + b"\n" if line else b""

    def _filehandle(self) -> IO[bytes]:
        if self.fh is None:
            raise ValueError("the log is closed")
        return self.fh

    def _get_next_line(self) -> bytes:
        """Return the next block of whole lines. pygtail calls this hook for each item."""
        if self._reader is None:
            self._filehandle().seek(self.offset)
            file = cast("IO[bytes]", _Bounded(self._filehandle(), self.until))
            self._reader = LineReader(file, self.checksum, self._block_size, ended=False)
            self._blocks = iter(self._reader)
            self._start = self.offset
        block = next(self._blocks, None)
        offset = self._start + self._reader.consumed
        before = self._bytes_at(max(0, offset - BEFORE_SIZE), offset)
        if block is None or not self.intact():  # if it is intact now, it was when the block was read
            self._reader = None
            raise StopIteration
        self.offset, self.checksum, self.before = offset, self._reader.checksum, before
        return block

    def _bytes_at(self, start: int, end: int) -> bytes:
        return os.pread(self.fileno(), end - start, start)

    def _is_new_file(self) -> bool:
        return False
