"""Cuts streams into blocks of whole lines. A block is what is parsed at a time; a position lies between two."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Final, cast

from isal.isal_zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

BLOCK_SIZE: Final = 1 << 20
"""Bytes read at a time. Of a longer line the rest may be skipped."""

_PIECE_SIZE: Final = 1 << 17
_FIRST_READ: Final = 1 << 12
"""Bytes read first to find the end of the line in which a stretch begins: few lines are longer, but a hole may be."""

_NULS_BEFORE_LINE: Final = re.compile(rb"^\0+", re.MULTILINE)


def without_holes(lines: bytes) -> bytes:
    """Return whole lines without the NULs before some of them.

    copytruncate leaves such a hole if the writer does not append, and a power failure at the file's end of that time.
    """
    return _NULS_BEFORE_LINE.sub(b"", lines) if b"\0" in lines else lines


def joined(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield lines joined to blocks of about ``size`` bytes. Raises what ``lines`` raises, after all lines before."""
    block: list[bytes] = []
    filled = 0
    try:
        for line in lines:
            block.append(line)
            filled += len(line)
            if filled >= size:
                yield b"".join(block)
                block.clear()
                filled = 0
    except Exception:
        if block:
            yield b"".join(block)
        raise
    if block:
        yield b"".join(block)


def whole_lines(stream: IO[bytes], size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield a stream in blocks of whole lines, see `LineReader`."""
    return iter(LineReader(stream, size=size))


class Stretch:
    """The lines of a plain file that begin between two offsets. Several threads can thus share a large file."""

    def __init__(self, file: int, begin: int, end: float, buffer: bytearray) -> None:
        """Create a stretch of the open file with this descriptor; the end may be infinite.

        ``buffer`` has the size of a block, such as `BLOCK_SIZE`, and can be used again after the stretch.
        """
        self._file = file
        self._end = end
        self._buffer = buffer
        self._is_over = False
        self.at = begin
        """The offset up to which the file was read."""
        if begin:
            self._skip_line(begin - 1)

    def blocks(self) -> Iterator[bytes | memoryview]:
        """Yield blocks of whole lines. A block is valid until the next one is requested.

        This reads a large log a fifth faster than `whole_lines`, because it copies nothing and leaves holes in.
        """
        buffer = self._buffer
        view = memoryview(buffer)
        kept = 0
        while size := 0 if self._is_over else os.preadv(self._file, [view[kept:]], self.at):
            filled = kept + self._take(buffer, kept, kept + size)
            cut = buffer.rfind(b"\n", kept, filled) + 1
            if not cut:
                break
            yield view[:cut]
            kept = filled - cut
            buffer[:kept] = buffer[cut:filled]
        # `whole_lines` reads the last line, and a line longer than the buffer.
        else:
            filled = kept
        self.at -= filled
        self._is_over = self._is_over and not filled
        yield from whole_lines(cast("IO[bytes]", self), len(buffer))

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""
        content = b"" if self._is_over else os.pread(self._file, size, self.at)
        return content[: self._take(content, 0, len(content))]

    def _take(self, content: bytes | bytearray, begin: int, end: int) -> int:
        """Advance by what was just read into a part of ``content``; return how much of it belongs to the stretch."""
        size = end - begin
        if self.at + size >= self._end:
            cut = content.find(b"\n", begin + max(0, int(self._end) - 1 - self.at), end) + 1
            if cut:
                size, self._is_over = cut - begin, True
        self.at += size
        return size

    def _skip_line(self, at: int) -> None:
        size = _FIRST_READ
        while at < self._end and (content := os.pread(self._file, size, at)):
            found = content.find(b"\n")
            at += len(content) if found < 0 else found + 1
            if found >= 0:
                break
            size = min(2 * size, len(self._buffer))
        self.at = at
        self._is_over = at >= self._end


class LineReader:
    """Iterates over a stream in blocks of whole lines.

    A line longer than ``size`` may be cut to its first ``size`` bytes.
    """

    def __init__(self, stream: IO[bytes], checksum: int = 0, size: int = BLOCK_SIZE, *, ended: bool = True) -> None:
        """Create a reader of a stream from its present position; ``checksum`` is the CRC-32 of what came before.

        Unless the stream has ``ended``, a last line without its end is not read.
        """
        self._ended = ended
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._size = size
        self._damage: Exception | None = None
        self.consumed = 0
        """Bytes of the stream that the blocks so far stand for."""
        self.checksum = checksum
        """CRC-32 of these bytes and of what came before."""
        self.unfinished = False
        """Whether the stream ended without ending its last line."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks. Raises what the stream raises, after all that could be read before."""
        rest = b""
        while pieces := self._pieces():
            last = pieces.pop()
            if cut := last.rfind(b"\n") + 1:
                yield self._taken(b"".join([rest, *pieces, last[:cut]]))
                rest = last[cut:]
                continue
            rest = b"".join([rest, *pieces, last])
            if cut := rest.rfind(b"\n") + 1:
                lines, rest = rest[:cut], rest[cut:]
                yield self._taken(lines)
            elif len(rest) >= self._size:
                if hole := len(rest) - len(rest.lstrip(b"\0")):
                    self._taken(rest[:hole])
                    rest = rest[hole:]
                else:
                    after = yield from self._overlong(rest)
                    if after is None:
                        return
                    rest = after
        if not self._ended:
            rest = rest[: rest.rfind(b"\n") + 1]
        if rest.endswith(b"\n"):
            yield self._taken(rest)
        elif rest:
            self.unfinished = True
            yield self._taken(rest) + b"\n"

    def _overlong(self, beginning: bytes) -> Generator[bytes, None, bytes | None]:
        """Skip the rest of a line, then yield its beginning; return what follows, ``None`` if the end may still come.

        In the opposite order, the position after the block would be inside the line.
        """
        consumed, checksum = len(beginning), crc32(beginning, self.checksum)
        after = b""
        while chunk := b"".join(self._pieces()):
            end = chunk.find(b"\n") + 1
            skipped = chunk[:end] if end else chunk
            consumed, checksum = consumed + len(skipped), crc32(skipped, checksum)
            if end:
                after = chunk[end:]
                break
        else:
            if not self._ended:
                return None
            self.unfinished = True
        self.consumed, self.checksum = self.consumed + consumed, checksum
        yield beginning[: self._size] + b"\n"
        return after

    def _pieces(self) -> list[bytes]:
        """Read on, in pieces to keep those before the damage of an archive."""
        if self._damage is not None:
            raise self._damage
        pieces: list[bytes] = []
        missing = self._size
        try:
            while missing > 0 and (piece := self._read(_PIECE_SIZE)):
                pieces.append(piece)
                missing -= len(piece)
        except Exception as error:
            if not pieces:
                raise
            self._damage = error
        return pieces

    def _taken(self, lines: bytes) -> bytes:
        self.consumed += len(lines)
        self.checksum = crc32(lines, self.checksum)
        return without_holes(lines)
