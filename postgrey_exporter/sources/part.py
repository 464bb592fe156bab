"""One file that holds a part of the log: known by its content, read on from where it was left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources.archive import LogFileError, open_log
from postgrey_exporter.sources.lines import whole_lines
from postgrey_exporter.sources.rotation import HEAD_SIZE, Candidate, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgrey_exporter.sources.tail import LogTail

TAIL_SIZE: Final = 256
"""Bytes before the reading position by which a file is found to be the same still."""

_SKIP_SIZE: Final = 1 << 20


@dataclass(slots=True, eq=False)
class Part:
    """What the register keeps of a file, and where the file is at present."""

    seen: float
    """When it was last found, in seconds since the epoch."""
    inode: int
    size: int
    """Its size when last seen; of an archive that was read, the size of its content."""
    live: bool = False
    """Whether it was the log itself, not a rotated file, when last seen."""
    offset: int = 0
    """Bytes of the (decompressed) content that have been handed out."""
    tail_digest: str = field(default_factory=lambda: digest(b""))
    """Digest of the `TAIL_SIZE` bytes before the offset."""
    head_size: int = 0
    head_digest: str = ""
    complete: bool = False
    """Whether nothing more can come of it: an archive read to its end, or one from before the window."""

    place: Candidate | None = None
    """The file that holds it now; none when it was not found at the last look."""
    tail: LogTail | None = None
    """The open file, which stays the same one through a rename and a deletion."""

    def saved(self) -> dict[str, Any]:
        """Return what is kept over a restart, in JSON's types."""
        kept = ("seen", "inode", "size", "live", "offset", "tail_digest", "head_size", "head_digest", "complete")
        return {name: getattr(self, name) for name in kept}

    @property
    def unread_bytes(self) -> int:
        """Bytes known to be there and not handed out; of an unread archive, its compressed size."""
        return 0 if self.complete else max(0, self.size - self.offset)

    def is_in(self, candidate: Candidate) -> bool:
        """Tell whether a file holds this part: the same head and, up to the position, the same content.

        The content before the position is not looked at in an archive: it would have to be unpacked.
        """
        if not len(candidate.head) >= self.head_size > 0:
            return False
        if digest(candidate.head[: self.head_size]) != self.head_digest:
            return False
        if not candidate.plain:
            return True
        if candidate.stat.st_size < self.offset:
            return False
        try:
            with open_log(candidate.path) as stream:
                stream.seek(max(0, self.offset - TAIL_SIZE))
                return digest(stream.read(min(TAIL_SIZE, self.offset))) == self.tail_digest
        except LogFileError:
            return False

    def is_in_open_file(self) -> bool:
        """Tell whether the open file still has what was read of it: copytruncate empties it in place."""
        if self.tail is None or self.tail.stat().st_size < self.offset:
            return False
        return digest(self._before_position(self.tail)) == self.tail_digest

    def found_in(self, candidate: Candidate, now: float) -> None:
        """Note where the part is now."""
        self.place = candidate
        self.inode = candidate.stat.st_ino
        self.seen = now
        if candidate.plain:
            self.size = max(self.size, candidate.stat.st_size)

    def close(self) -> None:
        """Let go of the open file."""
        if self.tail is not None:
            self.tail.close()
            self.tail = None

    def follow(self, tail: LogTail) -> Iterator[bytes]:
        """Yield the whole lines that an open file has beyond the position."""
        self.size = tail.stat().st_size
        for block in tail:
            self._advance(tail)
            yield block

    def finish(self, tail: LogTail) -> Iterator[bytes]:
        """Yield the unfinished last line, as one that stays unfinished."""
        line = tail.fragment()
        if line:
            self._advance(tail)
            yield line

    def unpack(self, candidate: Candidate) -> Iterator[bytes]:
        """Yield what an archive has beyond the position.

        Raises `LogFileError` where the archive is damaged; what came before that has been yielded.
        """
        with open_log(candidate.path) as stream:
            skipped = 0
            while skipped < self.offset and (chunk := stream.read(min(_SKIP_SIZE, self.offset - skipped))):
                skipped += len(chunk)
            self.head_size, self.head_digest = len(candidate.head), digest(candidate.head)
            for block in whole_lines(stream):
                self.offset += len(block)
                yield block
        self.settle()

    def settle(self) -> None:
        """Note that nothing more can come of it."""
        self.complete = True
        self.size = self.offset

    def _advance(self, tail: LogTail) -> None:
        self.offset = tail.offset
        self.tail_digest = digest(self._before_position(tail))
        self.size = max(self.size, self.offset)
        if self.head_size < HEAD_SIZE and self.head_size < self.offset:
            head = tail.bytes_at(0, min(self.offset, HEAD_SIZE))
            self.head_size, self.head_digest = len(head), digest(head)

    def _before_position(self, tail: LogTail) -> bytes:
        return tail.bytes_at(max(0, self.offset - TAIL_SIZE), self.offset)
