"""One file that holds a part of the log: known by its content, read on from where it was left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources.blocks import LineReader
from postgrey_exporter.sources.compression import LogFileError, reading_errors
from postgrey_exporter.sources.file.folder import LogFile, MovedError, Stamp
from postgrey_exporter.sources.file.likeness import HEAD_SIZE, digest, pass_over
from postgrey_exporter.sources.file.tail import BEFORE_SIZE, LogTail

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY: Final = 86400.0


class State(StrEnum):
    """What is still to come of a part."""

    LIVE = "live"
    """It is the log itself: lines come."""
    ROTATED = "rotated"
    """It was the log, or is a rotated file; it may be unread in part, or be written to still."""
    ENDED = "ended"
    """Rotated, and read to its end after the log went on elsewhere. Looked at again if it grows or is compressed."""
    WHOLE = "whole"
    """An archive that was read to its end."""
    OLD = "old"
    """From before the window: not read."""
    LOST = "lost"
    """Gone before it was read to its end; that was said."""


class MisfitError(LogFileError):
    """A file that begins like a part does not hold what was read of the part."""


@dataclass(slots=True, eq=False)
class Part:
    """What is kept of a file, and where it is at present."""

    state: State
    seen: float
    """When it was last found, in seconds since the epoch, to the day."""
    stamp: Stamp
    """What file it was in when its content was last verified."""
    head_size: int
    head_digest: str
    """Of its first bytes, see `head_of`."""
    offset: int = 0
    """Bytes of the (decompressed) content that have been handed out."""
    checksum: int = 0
    """CRC-32 of these bytes."""
    before_digest: str = ""
    """Of the `BEFORE_SIZE` bytes before the offset, where it was read from a plain file."""
    size: int = 0
    """Bytes of content that are known to have been there."""
    unfinished: bool = False
    """Whether the last line that was handed out had no end."""

    head: bytes = b""
    """These bytes, where they were seen since the start."""
    place: LogFile | None = None
    """The file that holds it now; none when it was not found at the last look."""
    verified: bool = True
    """Whether the place was seen to hold what was read, as opposed to only beginning like it."""
    tail: LogTail | None = None
    """The open file, which stays the same one through a rename and a deletion."""
    held: dict[Stamp, bool] = field(default_factory=dict)
    """Which files were seen to hold what was read of it, or only to begin like it."""

    @classmethod
    def of(cls, file: LogFile, state: State, now: float) -> Part:
        """Return the part that a file holds of which nothing was known."""
        part = cls(state, now, file.stamp, len(file.head), digest(file.head))
        part.put(file, now)
        return part

    @classmethod
    def restored(cls, saved: list[Any]) -> Part:
        """Return a part as `saved` kept it."""
        state, seen, stamp, *rest = saved
        return cls(State(state), seen, Stamp(*stamp), *rest)

    def saved(self) -> list[Any]:
        """Return what is kept over a restart, in JSON's types."""
        self._note_before()
        return [
            self.state.value,
            self.seen,
            list(self.stamp),
            self.head_size,
            self.head_digest,
            self.offset,
            self.checksum,
            self.before_digest,
            self.size,
            self.unfinished,
        ]

    @property
    def unread_bytes(self) -> int:
        """Bytes known to be there and not handed out; of an unread archive, its compressed size."""
        if self.state not in {State.LIVE, State.ROTATED}:
            return 0
        if self.place is not None and not self.place.plain and self.tail is None:
            return self.place.stat.st_size
        there = self.place.stat.st_size if self.place is not None and self.place.plain else 0
        return max(0, self.size - self.offset, there - self.offset)

    def fits(self, file: LogFile) -> bool:
        """Tell whether a file that begins like this part may hold it.

        Of a plain file what stands before the position is compared. One that ends before the position may be what
        copytruncate kept of it: lines that came after the copy was made were read and are not in it.
        """
        if not self.held.get(file.full_stamp, True):
            return False
        if file.plain and not self.offset and file.stat.st_size < self.size:
            return False  # nothing was read of it, but it was longer
        if not file.plain or not self.before_digest or file.stat.st_size < self.offset:
            return True
        try:
            with file.content() as stream:
                stream.seek(max(0, self.offset - BEFORE_SIZE))
                return digest(stream.read(min(BEFORE_SIZE, self.offset))) == self.before_digest
        except LogFileError:
            return False

    @property
    def is_scrap(self) -> bool:
        """Whether it is but the beginning of a line or a few: many a file may go on from there."""
        deleted_unread = self.tail is not None and not self.offset and b"\n" not in self.head
        return self.head_size < HEAD_SIZE and (self.unfinished or deleted_unread)

    def is_held_by(self, file: LogFile) -> bool:
        """Tell whether a file that fits holds all that was read, or ends before that; reads it that far.

        What went on elsewhere after an unfinished line does not go on with the rest of another one.
        """
        if file.full_stamp not in self.held:
            try:
                with file.content() as stream:
                    passed, checksum = pass_over(stream, self.offset)
                    more = self.is_scrap and len(stream.read(HEAD_SIZE)) > max(0, self.head_size - passed)
            except LogFileError:
                return False
            self.held[file.full_stamp] = not more and (passed < self.offset or checksum == self.checksum)
        return self.held[file.full_stamp]

    def put(self, file: LogFile, now: float) -> None:
        """Note where the part is now."""
        self.place = file
        self.head = file.head[: self.head_size]
        self.verified = file.stamp == self.stamp
        if file.plain and self.verified:
            self.size = max(self.size, file.stat.st_size)
        if now - self.seen >= DAY:
            self.seen = now
        if self.state is State.LOST:
            self.state = State.ROTATED

    def open(self) -> bool:
        """Open the plain file that holds the part. Raises `MovedError`, `MisfitError`, `LogFileError`.

        Returns whether it still has all that was read of it.
        """
        place = self._place()
        try:
            tail = LogTail(place.path, place.head)
        except OSError as error:
            raise MovedError(str(error)) from error
        with reading_errors(place.path):
            try:
                if tail.stat().st_ino != place.stat.st_ino:
                    raise MovedError(f"{place.path}: was moved")
                whole = self._verify(tail, place)
            except BaseException:
                tail.close()
                raise
        self.tail = tail
        self.stamp = place.stamp
        self.verified = True
        return whole

    def adopt(self, tail: LogTail) -> bool:
        """Go on with a file that is open already; return whether it has what was read."""
        if tail.stat().st_size < self.offset or digest(tail.head()[: self.head_size]) != self.head_digest:
            return False
        if not self.before_digest and tail.checksum_up_to(self.offset) != self.checksum:
            return False
        tail.go_to(self.offset, self.checksum)
        if self.before_digest and digest(tail.before) != self.before_digest:
            return False
        self.tail = tail
        return True

    def check_open_file(self) -> bool:
        """Let go of the open file if it has not what was read any more; learn its beginning while that grows.

        Returns whether a file is open.
        """
        if self.tail is None:
            return False
        if self._learn_head(self.tail):
            return True
        self.close()
        return False

    def close(self) -> None:
        """Let go of the open file."""
        if self.tail is not None:
            self._note_before()
            self.tail.close()
            self.tail = None

    def follow(self, tail: LogTail) -> Iterator[bytes]:
        """Yield the whole lines that an open file has beyond the position. Raises `OSError`."""
        there = tail.stat().st_size
        for block in tail:
            self._advance(tail)
            yield block
        if self.check_open_file():
            self.size = max(self.size, there)

    def finish(self, tail: LogTail) -> Iterator[bytes]:
        """Yield the unfinished last line, as one that stays unfinished. Raises `OSError`."""
        line = tail.fragment()
        if tail.offset > self.offset:
            self._advance(tail)
            self.unfinished = True
        if line:
            yield line

    def unpack(self) -> Iterator[bytes]:
        """Yield what an archive has beyond the position.

        Raises `MovedError`, `MisfitError`, `LogFileError`; `DamagedError` after what came before the damage.
        """
        place = self._place()
        with place.content() as stream:
            passed, checksum = pass_over(stream, self.offset)
            if passed < self.offset:
                self._rebase(place, passed, checksum)
            elif checksum != self.checksum:
                self.held[place.full_stamp] = False
                raise MisfitError(f"{place.path}: begins like another file")
            self._set_head(place.head)
            self.stamp, self.verified = place.stamp, True
            self.before_digest = ""
            reader = LineReader(stream, checksum)
            for block in reader:
                self.offset, self.checksum = passed + reader.consumed, reader.checksum
                self.unfinished = reader.unfinished
                yield block

    def settle(self, state: State) -> int:
        """Note that nothing more is known to come of it; return how many bytes were known of and were not there."""
        missing = max(0, self.size - self.offset)
        self.state = state
        self.size = self.offset
        if self.place is not None and self.tail is None:
            self.stamp, self.verified = self.place.stamp, True
        return missing

    def _place(self) -> LogFile:
        if self.place is None:
            raise ValueError("the part is in no file")
        return self.place

    def _verify(self, tail: LogTail, place: LogFile) -> bool:
        """Set an open file to the position, if it holds what was read; return whether it holds all of that."""
        size = tail.stat().st_size
        whole = size >= self.offset
        if not tail.head().startswith(place.head):
            raise MovedError(f"{place.path}: was written anew")
        if not whole:
            self._rebase(place, size, tail.checksum_up_to(size))
        elif not self.verified and tail.checksum_up_to(self.offset) != self.checksum:
            self.held[place.full_stamp] = False
            raise MisfitError(f"{place.path}: begins like another file")
        tail.go_to(self.offset, self.checksum)
        if self.before_digest and digest(tail.before) != self.before_digest:
            raise MovedError(f"{place.path}: was written anew")
        return whole

    def _rebase(self, place: LogFile, offset: int, checksum: int) -> None:
        """Stand for a file that ends before the position: all of it was read."""
        self._set_head(place.head)
        unread = max(0, self.size - self.offset)
        self.offset, self.checksum, self.before_digest = offset, checksum, ""
        self.size = offset + unread

    def _advance(self, tail: LogTail) -> None:
        self.offset, self.checksum = tail.offset, tail.checksum
        self.size = max(self.size, self.offset)
        self.unfinished = False
        if self.head_size < min(HEAD_SIZE, self.offset):
            self._learn_head(tail)

    def _learn_head(self, tail: LogTail) -> bool:
        """Learn more of the beginning while that grows; return whether the file still has what was read."""
        head = None
        with suppress(OSError):
            head = tail.head() if self.head_size < HEAD_SIZE else None
        if not tail.intact():
            return False
        if head is not None:
            self._set_head(head)
        return True

    def _set_head(self, head: bytes) -> None:
        self.head, self.head_size, self.head_digest = head, len(head), digest(head)

    def _note_before(self) -> None:
        if self.tail is not None:
            self.before_digest = digest(self.tail.before)
