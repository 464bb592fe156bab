"""Streams cut into blocks of whole lines: what is parsed at a time, and what a position can stand behind."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from isal.isal_zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

BLOCK_SIZE: Final = 1 << 20
"""Bytes read at a time; of a line that is longer the rest may be passed over."""

_PIECE_SIZE: Final = 1 << 15

_NULS_BEFORE_LINE: Final = re.compile(rb"^\0+", re.MULTILINE)


def without_holes(lines: bytes) -> bytes:
    """Return whole lines without the NULs that stand before some of them.

    copytruncate leaves such a hole when the writer does not append, a power failure at what was then the end. The
    line after it is a line like any other.
    """
    return _NULS_BEFORE_LINE.sub(b"", lines) if b"\0" in lines else lines


def whole_lines(stream: IO[bytes], size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield blocks of whole lines, see `LineReader`."""
    return iter(LineReader(stream, size=size))


class LineReader:
    """Iterates over a stream in blocks of whole lines; the end of the stream ends the last line.

    A line longer than ``size`` may be cut to its first ``size`` bytes. After each block `consumed` and `checksum`
    tell how much of the stream the blocks so far stand for, and its CRC-32.
    """

    def __init__(self, stream: IO[bytes], checksum: int = 0, size: int = BLOCK_SIZE) -> None:
        """Take a stream, which is read from where it stands, and the checksum of what came before."""
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._size = size
        self._damage: Exception | None = None
        self.consumed = 0
        self.checksum = checksum
        self.unfinished = False
        """Whether the stream ended without ending its last line."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks. Raises what reading the stream raises, after all that could be read before."""
        rest = b""
        while chunk := self._chunk():
            rest += chunk
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
        consumed, checksum = len(beginning), crc32(beginning, self.checksum)
        after = b""
        while chunk := self._chunk():
            end = chunk.find(b"\n") + 1
            passed = chunk[:end] if end else chunk
            consumed, checksum = consumed + len(passed), crc32(passed, checksum)
            if end:
                after = chunk[end:]
                break
        else:
            self.unfinished = True
        self.consumed, self.checksum = self.consumed + consumed, checksum
        yield beginning[: self._size] + b"\n"
        return after

    def _chunk(self) -> bytes:
        """Read on by pieces, so that those before the damage of an archive are not thrown away."""
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
        return b"".join(pieces)

    def _taken(self, lines: bytes) -> bytes:
        self.consumed += len(lines)
        self.checksum = crc32(lines, self.checksum)
        return without_holes(lines)
