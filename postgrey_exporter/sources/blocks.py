"""Streams cut into blocks of whole lines: what is parsed at a time, and what a position can stand behind."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Final, cast

from isal.isal_zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

BLOCK_SIZE: Final = 1 << 20
"""Bytes read at a time; of a line that is longer the rest may be passed over."""

_PIECE_SIZE: Final = 1 << 17
_LOOK_FOR_END: Final = 1 << 12
"""Bytes looked at first where a stretch begins inside a line: few lines are longer, but a hole may be."""

_NULS_BEFORE_LINE: Final = re.compile(rb"^\0+", re.MULTILINE)


def without_holes(lines: bytes) -> bytes:
    """Return whole lines without the NULs that stand before some of them.

    copytruncate leaves such a hole when the writer does not append, a power failure at what was then the end. The
    line after it is a line like any other.
    """
    return _NULS_BEFORE_LINE.sub(b"", lines) if b"\0" in lines else lines


def whole_lines(stream: IO[bytes], size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield blocks of whole lines, see `LineReader`."""
    return iter(LineReader(stream, None, size))


class Stretch:
    """Those lines of a plain file that begin between two places: so that several can share a large file."""

    def __init__(self, file: int, begin: int, end: float, buffer: bytearray) -> None:
        """Take the descriptor of an open file, and places in bytes; the end may be infinite.

        ``buffer`` has `BLOCK_SIZE` bytes, and may be that of an earlier stretch.
        """
        self._file = file
        self._end = end
        self._buffer = buffer
        self._is_over = False
        self.at = begin
        """How far was read."""
        if begin:
            self._begin_behind_line(begin - 1)

    def blocks(self) -> Iterator[bytes | memoryview]:
        """Yield blocks of whole lines; each is gone when the next one is asked for.

        A large log is read a fifth faster by it than by `whole_lines`: nothing is copied, and holes stay in.
        """
        buffer = self._buffer
        view = memoryview(buffer)
        kept = 0
        while size := 0 if self._is_over else os.preadv(self._file, [view[kept:]], self.at):
            filled = kept + self._ours(buffer, kept, kept + size)
            cut = buffer.rfind(b"\n", kept, filled) + 1
            if not cut:
                break
            yield view[:cut]
            kept = filled - cut
            buffer[:kept] = buffer[cut:filled]
        # The last line, and one that is too long, are left to who knows them.
        else:
            filled = kept
        self.at -= filled
        self._is_over = self._is_over and not filled
        yield from whole_lines(cast("IO[bytes]", self))

    def read(self, size: int) -> bytes:
        """Read on, at most some bytes; nothing at the end."""
        content = b"" if self._is_over else os.pread(self._file, size, self.at)
        return content[: self._ours(content, 0, len(content))]

    def _ours(self, content: bytes | bytearray, begin: int, end: int) -> int:
        """Go on behind what was read now, a part of some content; return how much of that belongs to the stretch."""
        size = end - begin
        if self.at + size >= self._end:
            cut = content.find(b"\n", begin + max(0, int(self._end) - 1 - self.at), end) + 1
            if cut:
                size, self._is_over = cut - begin, True
        self.at += size
        return size

    def _begin_behind_line(self, at: int) -> None:
        size = _LOOK_FOR_END
        while at < self._end and (content := os.pread(self._file, size, at)):
            found = content.find(b"\n")
            at += len(content) if found < 0 else found + 1
            if found >= 0:
                break
            size = min(2 * size, BLOCK_SIZE)
        self.at = at
        self._is_over = at >= self._end


class LineReader:
    """Iterates over a stream in blocks of whole lines; the end of the stream ends the last line.

    A line longer than ``size`` may be cut to its first ``size`` bytes. After each block `consumed` and `checksum`
    tell how much of the stream the blocks so far stand for, and its CRC-32.
    """

    def __init__(self, stream: IO[bytes], checksum: int | None = 0, size: int = BLOCK_SIZE) -> None:
        """Take a stream, which is read from where it stands, and the checksum of what came before.

        With ``None`` for it none is made.
        """
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._size = size
        self._damage: Exception | None = None
        self.consumed = 0
        self._is_summed = checksum is not None
        self.checksum = checksum or 0
        self.unfinished = False
        """Whether the stream ended without ending its last line."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks. Raises what reading the stream raises, after all that could be read before."""
        rest = b""
        while len(more := self._chunk(rest)) > len(rest):
            rest = more
            cut = rest.rfind(b"\n") + 1
            if cut:
                lines, rest = rest[:cut], rest[cut:]
                yield self._taken(lines)
            elif len(rest) >= self._size:
                if hole := len(rest) - len(rest.lstrip(b"\0")):
                    self._taken(rest[:hole])
                    rest = rest[hole:]
                else:
                    rest = yield from self._overlong(rest)
        if rest.endswith(b"\n"):
            yield self._taken(rest)
        elif rest:
            self.unfinished = True
            yield self._taken(rest) + b"\n"

    def _overlong(self, beginning: bytes) -> Generator[bytes, None, bytes]:
        """Pass over the rest of a line, then yield its beginning; return what follows it.

        Not the other way round: between the two a position would stand inside the line.
        """
        consumed, checksum = len(beginning), self._summed(beginning, self.checksum)
        after = b""
        while chunk := self._chunk():
            end = chunk.find(b"\n") + 1
            passed = chunk[:end] if end else chunk
            consumed, checksum = consumed + len(passed), self._summed(passed, checksum)
            if end:
                after = chunk[end:]
                break
        else:
            self.unfinished = True
        self.consumed, self.checksum = self.consumed + consumed, checksum
        yield beginning[: self._size] + b"\n"
        return after

    def _chunk(self, rest: bytes = b"") -> bytes:
        """Return what was left over and what follows it.

        It is read by pieces, so that those before the damage of an archive are not thrown away.
        """
        if self._damage is not None:
            raise self._damage
        pieces = [rest]
        missing = self._size
        try:
            while missing > 0 and (piece := self._read(_PIECE_SIZE)):
                pieces.append(piece)
                missing -= len(piece)
        except Exception as error:
            if len(pieces) == 1:
                raise
            self._damage = error
        return b"".join(pieces)

    def _taken(self, lines: bytes) -> bytes:
        self.consumed += len(lines)
        self.checksum = self._summed(lines, self.checksum)
        return without_holes(lines)

    def _summed(self, content: bytes, checksum: int) -> int:
        return crc32(content, checksum) if self._is_summed else 0
