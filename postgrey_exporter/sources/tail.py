"""One plain log file, followed with pygtail.

pygtail does the iterating; its hooks are overridden so that it reads bytes in blocks of whole lines and leaves no
offset file beside the log: the position is saved with the counts, by the store. Which file the log's lines are in
after a rotation is not decided here but in `file`.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

from pygtail import Pygtail

from postgrey_exporter.sources.archive import open_regular
from postgrey_exporter.sources.lines import BLOCK_SIZE

if TYPE_CHECKING:
    from pathlib import Path


class LogTail(Pygtail):  # type: ignore[misc]  # pygtail has no types
    """Iterates over what a file holds beyond ``offset``, in blocks of whole lines, and stops at its present end.

    It can be iterated again when the file has grown. The open file stays the same one when it is renamed.
    """

    offset: int
    fh: IO[bytes] | None

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Open the file. Raises `OSError`, or `LogFileError` for what is no regular file."""
        super().__init__(str(path), offset_file=os.devnull, full_lines=True, save_on_end=False, copytruncate=False)
        self.offset = offset
        self._no_newline_before = offset
        self.fh = open_regular(path)

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

    def bytes_at(self, start: int, end: int) -> bytes:
        """Return the content between two offsets, shorter where the file ends before."""
        return os.pread(self._filehandle().fileno(), end - start, start)

    def fragment(self) -> bytes:
        """Take the unfinished last line, as one that will not be finished any more; empty when there is none."""
        rest = self.bytes_at(self.offset, self.stat().st_size)
        self.offset += len(rest)
        return rest[:BLOCK_SIZE] + b"\n" if rest else b""

    def _filehandle(self) -> IO[bytes]:
        if self.fh is None:
            raise ValueError("the log is closed")
        return self.fh

    def _get_next_line(self) -> bytes:
        block = self.bytes_at(self.offset, self.offset + BLOCK_SIZE)
        cut = block.rfind(b"\n") + 1
        if cut:
            self.offset += cut
            return block[:cut]
        if len(block) < BLOCK_SIZE:
            raise StopIteration
        return self._overlong_line(block)

    def _overlong_line(self, block: bytes) -> bytes:
        """Pass over a line longer than a block: its first block stands for it, once its end is there."""
        at = max(self._no_newline_before, self.offset + len(block))
        while more := self.bytes_at(at, at + BLOCK_SIZE):
            newline = more.find(b"\n")
            if newline >= 0:
                self.offset = at + newline + 1
                return block + b"\n"
            at += len(more)
            self._no_newline_before = at
        raise StopIteration

    def _is_new_file(self) -> bool:
        return False

    def update_offset_file(self) -> None:
        """Do nothing: the store saves the position."""

    def __next__(self) -> Any:
        """Return the next block of whole lines."""
        return self.next()
