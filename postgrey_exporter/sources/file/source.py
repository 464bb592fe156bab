"""A log file with its rotated files as one source: each line once, whatever rotation does.

The source keeps a register of every segment of the log: how its content begins, how far it was read, and the checksum
of what was read. Each scan matches the files that are there with the register, by content. A known segment is read on
from its offset, under whatever name and compression; an unknown one is new and read from its start. The register is
the source's position.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.blocks import BLOCK_SIZE
from postgrey_exporter.sources.compression import DamagedError, LogFileError, explain_os_error
from postgrey_exporter.sources.file.folder import Failure
from postgrey_exporter.sources.file.logfile import SETTLE_SECONDS, FileId, MovedError
from postgrey_exporter.sources.file.register import Register
from postgrey_exporter.sources.file.scanner import MOST_SCANS, Scanner, last_written
from postgrey_exporter.sources.file.segment import Stage
from postgrey_exporter.sources.file.segment_reader import finish, follow, unpack
from postgrey_exporter.sources.years import DELAY_SECONDS, Piece, no_stamp, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.sources.file.logfile import LogFile
    from postgrey_exporter.sources.file.segment import Segment
    from postgrey_exporter.sources.file.tail import LogTail
    from postgrey_exporter.sources.years import StampReader

_SHORT: Final = 64 << 10
"""Bytes up to which what a known log has grown by is read as one piece."""


class FileSource:
    """One log (``--mail-log``) with its rotated files."""

    def __init__(
        self,
        path: Path,
        window_seconds: float,
        *,
        stamp: StampReader = no_stamp,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        """Create the source of a log.

        ``window_seconds`` is how far back the first start reads rotated files; ``stamp`` reads the stamps that tell
        where a year turned; ``block_size`` is how many bytes are read at a time.
        """
        self.name = str(path)
        self._path = path
        self._window = window_seconds
        self._block_size = block_size
        self._stamp = stamp
        self._latest: dict[Segment, float] = {}
        """When the lines of segments that are new were there at the latest, in seconds since the epoch."""
        self._since: float | None = None
        self._register = Register(self.name)
        self._scanner = Scanner(path, self._register, block_size)
        self._folder = self._scanner.folder

    # --- the interface of a source

    def check(self) -> None:
        """Raise `LogFileError` if the log can't be read. A missing log is no error: it may come yet."""
        try:
            self._folder.inspect_log()
        except LogFileError as error:
            if not isinstance(error.__cause__, FileNotFoundError) or self._path.is_symlink():
                raise

    def resume(self, position: Position | None) -> None:
        """Return to a position that `position` returned; ``None`` is the first start."""
        saved = position or {}
        self._since = saved.get("since")
        self._register.restore(saved)
        self._folder.unreadable = {FileId(*file): Failure(*failure) for file, failure in saved.get("unreadable", [])}
        self._scanner.reset()

    def position(self) -> Position:
        """Return the register in JSON's types. Flushes the files that it describes to the disk."""
        for segment in self._register.segments:
            if segment.tail is not None:
                segment.tail.flush()
        unreadable = [[list(file), list(failure)] for file, failure in self._folder.unreadable.items()]
        return {"since": self._since, "unreadable": unreadable, **self._register.saved()}

    def is_due(self, now: float) -> bool:
        """Tell whether the files have changed, or something is being waited for."""
        return self._scanner.is_due(now)

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield the new lines, oldest file first, the log itself last."""
        if self._since is None:
            self._since = now - self._window
        files = self._scanner.files(now)
        for _ in range(MOST_SCANS):
            self._scanner.update(now, self._since, files)
            moved = False
            order = self._reading_order()
            self._latest = self._limits(order, now)
            for segment in order:
                try:
                    yield from self._read(segment, now)
                except MovedError:
                    moved = True
                    self._scanner.invalidate()
            if not moved:
                self._scanner.rest(files)
                return

    def status(self) -> SourceStatus:
        """Return how the last reading went."""
        return SourceStatus(
            up=self._folder.error is None,
            error=self._folder.error,
            unread_bytes=sum(segment.unread_bytes for segment in self._register.segments),
            rotations=self._register.rotations,
            lost_bytes=self._register.lost_bytes,
            unreadable=tuple(failure.message for failure in self._folder.unreadable.values()),
            gaps=self._register.gaps,
        )

    def close(self) -> None:
        """Close all open files."""
        for segment in self._register.segments:
            segment.close()

    # --- reading

    def _reading_order(self) -> list[Segment]:
        segments = self._register.segments
        readable = [segment for segment in segments if segment.tail is not None or self._scanner.is_wanted(segment)]
        return sorted(readable, key=lambda segment: (segment.stage is Stage.LIVE, last_written(segment)))

    def _limits(self, order: list[Segment], now: float) -> dict[Segment, float]:
        """Return when the lines of each new segment were there at the latest: not after those of the next one."""
        limits: dict[Segment, float] = {}
        latest = now
        for segment in reversed(order):
            if not segment.offset:
                written = now if segment.stage is Stage.LIVE else last_written(segment)
                limits[segment] = latest = min(latest, written)
                first = self._stamp(segment.head.partition(b"\n")[0], latest)
                latest = latest if first is None else min(latest, first + DELAY_SECONDS)
        return limits

    def _read(self, segment: Segment, now: float) -> Iterator[Batch]:
        """Yield what a segment has beyond its offset. Raises `MovedError`."""
        if segment.tail is None and segment.file is not None:
            if not segment.file.plain:
                yield from self._unpack(segment, segment.file, now)
            else:
                self._scanner.open(segment)
        if segment.tail is not None:
            try:
                yield from self._follow(segment, segment.tail, now)
            except OSError as error:
                self._folder.error = explain_os_error(self._path, error)
                self._scanner.invalidate()
                segment.close()

    def _follow(self, segment: Segment, tail: LogTail, now: float) -> Iterator[Batch]:
        about = tail.stat()
        dated = self._latest.get(segment, now if segment.stage is Stage.LIVE else about.st_mtime)
        before = segment.offset
        file = [Piece(before, about.st_size, dated)]
        if about.st_size - before > _SHORT or not before:
            file = pieces(tail.fileno(), before, about.st_size, dated, self._stamp)
        for piece in file:
            tail.until = inf if piece is file[-1] else piece.end
            for block in follow(segment, tail):
                yield Batch(block, piece.seen_at)
        if segment.stage is Stage.LIVE or segment.tail is None:
            return
        if segment.offset > before:
            segment.stage = Stage.ROTATED
        live = self._register.live
        if (live is not None and live.offset) or now - about.st_mtime >= SETTLE_SECONDS:
            for line in finish(segment, tail):
                yield Batch(line, dated)
            self._register.note_end(segment, Stage.ENDED)
            # The newest rotated file stays open: the log's writer may not have noticed the rotation yet.
            if segment is not self._scanner.newest or about.st_nlink == 0:
                segment.close()

    def _unpack(self, segment: Segment, file: LogFile, now: float) -> Iterator[Batch]:
        try:
            for block in unpack(segment, file, self._block_size):
                yield Batch(block, self._latest.get(segment, file.stat.st_mtime))
        except MovedError:
            raise
        except DamagedError as error:
            if not file.settled(now):
                self._scanner.invalidate()  # it is still being written
                return
            self._folder.note_damage(file, error)
        except LogFileError as error:
            self._folder.note_damage(file, error)
            self._scanner.invalidate()
            return
        else:
            self._folder.note_success(file)
        self._register.note_end(segment, Stage.WHOLE)
