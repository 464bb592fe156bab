"""A segment of the log: one file's worth of lines, recognised by its content under whatever name and compression."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources.compression import LogFileError
from postgrey_exporter.sources.file.logfile import HEAD_SIZE, FileId, digest, skip
from postgrey_exporter.sources.file.tail import BEFORE_SIZE

if TYPE_CHECKING:
    from postgrey_exporter.sources.file.logfile import LogFile
    from postgrey_exporter.sources.file.tail import LogTail

DAY: Final = 86400.0

_ALSO_SAVED: Final = ("head_size", "fingerprint", "offset", "checksum", "before_digest", "size", "unfinished")


class Stage(StrEnum):
    """How far a segment is in its life."""

    LIVE = "live"
    """The log itself holds it, and lines are appended."""
    ROTATED = "rotated"
    """A rotated file holds it. It may be partly unread, and the writer may still append lines."""
    ENDED = "ended"
    """It was read to its end after the log was rotated. It is read again only if it grows or is compressed."""
    WHOLE = "whole"
    """An archive holds it and was read to its end."""
    OLD = "old"
    """It is from before the window and is not read."""
    LOST = "lost"
    """Its file vanished before it was read to its end. The loss was logged."""


@dataclass(slots=True, eq=False)
class Segment:
    """What is known about one segment. The first ten fields are saved with the position."""

    stage: Stage
    seen: float
    """When its file was last found, in seconds since the epoch, to the day."""
    file_id: FileId
    """The file that held it when its content was last verified."""
    head_size: int
    """The length of `head`, in bytes."""
    fingerprint: str
    """The digest of `head`, by which its content is recognised."""
    offset: int = 0
    """Bytes of the (decompressed) content that were handed out."""
    checksum: int = 0
    """CRC-32 of these bytes."""
    before_digest: str = ""
    """Digest of the `BEFORE_SIZE` bytes before the offset; empty after reading from an archive."""
    size: int = 0
    """Bytes of content that are known to have existed."""
    unfinished: bool = False
    """Whether the last line that was handed out had no end."""

    head: bytes = b""
    """The first bytes of the content, see `head_of`; empty after a start until the file is found."""
    file: LogFile | None = None
    """The file that the last scan found to hold it."""
    tail: LogTail | None = None
    """Its open file, which stays open through a rename or a deletion."""
    held: dict[FileId, bool] = field(default_factory=dict)
    """Whether a file version holds what was read, or only begins alike; for each version that was compared."""

    @classmethod
    def of(cls, file: LogFile, stage: Stage, now: float) -> Segment:
        """Return the new segment that a file holds."""
        segment = cls(stage, now, file.id, len(file.head), digest(file.head))
        segment.put(file, now)
        return segment

    @classmethod
    def restored(cls, saved: list[Any]) -> Segment:
        """Return the segment that `saved` was called for."""
        stage, seen, file_id, *rest = saved
        return cls(Stage(stage), seen, FileId(*file_id), *rest)

    def saved(self) -> list[Any]:
        """Return what is kept over a restart, in JSON's types."""
        self._note_before()
        return [self.stage.value, self.seen, list(self.file_id), *(getattr(self, name) for name in _ALSO_SAVED)]

    @property
    def unread_bytes(self) -> int:
        """Bytes that exist and were not handed out; the compressed size of an archive that is not read yet."""
        if self.stage not in {Stage.LIVE, Stage.ROTATED}:
            return 0
        if self.file is not None and not self.file.plain and self.tail is None:
            return self.file.stat.st_size
        there = self.file.stat.st_size if self.file is not None and self.file.plain else 0
        return max(self.size, there, self.offset) - self.offset

    @property
    def verified(self) -> bool:
        """Whether its file is known to hold what was read, rather than only to begin alike."""
        return self.file is None or self.file.id == self.file_id

    @property
    def is_scrap(self) -> bool:
        """Whether it is only a few lines, or less than one: many files may begin with the same bytes."""
        deleted_unread = self.tail is not None and not self.offset and b"\n" not in self.head
        return self.head_size < HEAD_SIZE and (self.unfinished or deleted_unread)

    def begins(self, file: LogFile) -> bool:
        """Tell whether a file has this segment's fingerprint."""
        return len(file.head) >= self.head_size and digest(file.head[: self.head_size]) == self.fingerprint

    def fits(self, file: LogFile) -> bool:
        """Tell whether a file with this segment's fingerprint may hold it.

        The bytes before the offset are compared if the file is plain. A file that ends before the offset may be a
        copy made by copytruncate: it lacks lines that were written, and read, after the copy.
        """
        if not self.held.get(file.version, True):
            return False
        if file.plain and not self.offset and file.stat.st_size < self.size:
            return False  # nothing was read of the segment, but it was longer
        if not file.plain or not self.before_digest or file.stat.st_size < self.offset:
            return True
        try:
            with file.content() as stream:
                stream.seek(max(0, self.offset - BEFORE_SIZE))
                return digest(stream.read(min(BEFORE_SIZE, self.offset))) == self.before_digest
        except LogFileError:
            return False

    def is_held_by(self, file: LogFile) -> bool:
        """Tell whether a file that fits holds all that was read, or ends before that. Reads the file that far.

        A scrap whose file is gone is not continued by a file that has more content than the scrap had.
        """
        if file.version not in self.held:
            try:
                with file.content() as stream:
                    skipped, checksum = skip(stream, self.offset)
                    more = self.is_scrap and len(stream.read(HEAD_SIZE)) > max(0, self.head_size - skipped)
            except LogFileError:
                return False
            self.held[file.version] = not more and (skipped < self.offset or checksum == self.checksum)
        return self.held[file.version]

    def put(self, file: LogFile, now: float) -> None:
        """Set the file that holds the segment."""
        self.file = file
        self.head = file.head[: self.head_size]
        if file.plain and self.verified:
            self.size = max(self.size, file.stat.st_size)
        if now - self.seen >= DAY:
            self.seen = now
        if self.stage is Stage.LOST:
            self.stage = Stage.ROTATED

    def set_head(self, head: bytes) -> None:
        """Set the first bytes of the content."""
        self.head, self.head_size, self.fingerprint = head, len(head), digest(head)

    def shorten(self, file: LogFile, offset: int, checksum: int) -> None:
        """Set the offset to the end of a file that holds less than was read, all of it read before."""
        self.set_head(file.head)
        unread = max(0, self.size - self.offset)
        self.offset, self.checksum, self.before_digest = offset, checksum, ""
        self.size = offset + unread

    def settle(self, stage: Stage) -> int:
        """Enter a stage in which nothing more is expected. Returns how many bytes were known and never read."""
        missing = max(0, self.size - self.offset)
        self.stage = stage
        self.size = self.offset
        if self.file is not None and self.tail is None:
            self.file_id = self.file.id
        return missing

    def close(self) -> None:
        """Close the open file."""
        if self.tail is not None:
            self._note_before()
            self.tail.close()
            self.tail = None

    def _note_before(self) -> None:
        if self.tail is not None:
            self.before_digest = digest(self.tail.before)
