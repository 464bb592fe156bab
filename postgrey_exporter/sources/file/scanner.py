"""Scans the folder of a log whenever something may have changed there, and knows when nothing has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources.compression import LogFileError
from postgrey_exporter.sources.file.folder import Folder
from postgrey_exporter.sources.file.logfile import MovedError
from postgrey_exporter.sources.file.matching import match
from postgrey_exporter.sources.file.segment import Stage
from postgrey_exporter.sources.file.segment_reader import open_tail

if TYPE_CHECKING:
    from postgrey_exporter.sources.file.register import Register
    from postgrey_exporter.sources.file.segment import Segment

RESCAN_SECONDS: Final = 60.0
"""How often an unchanged folder is scanned: permissions may change, and old files may grow."""
REST_SECONDS: Final = 600.0
"""How often it is scanned if no file has changed since the last scan, and that scan could read every file."""
MOST_SCANS: Final = 50
"""How often a scan is repeated in a row because files move during it."""

_CLOCK_TICK_SECONDS: Final = 1.0

Changes = tuple[object, ...] | None
"""Equal while nothing has changed; ``None`` while a change is too recent for the file's clock to show the next."""


class Scanner:
    """Keeps a log's register up to date with the files that are there."""

    def __init__(self, path: Path, register: Register, block_size: int) -> None:
        """Create the scanner of the log with this path. ``block_size`` is what its tail reads at a time."""
        self.folder = Folder(path)
        self.newest: Segment | None = None
        """The segment in the newest plain rotated file: the log's writer may still have that file open."""
        self._path = path
        self._register = register
        self._block_size = block_size
        self._folders = self._folders_now()
        self._last_scan = 0.0
        self._names: Changes = None
        self._files_at_scan: Changes = None
        self._files_at_rest: Changes = None

    def reset(self) -> None:
        """Forget what is known to be unchanged: a reading is due, and begins with a scan."""
        self._names = self._files_at_rest = None

    def invalidate(self) -> None:
        """Begin the next reading with a scan."""
        self._names = None

    def is_due(self, now: float) -> bool:
        """Tell whether the files have changed since the last reading, or something is being waited for."""
        longest = REST_SECONDS if self._files_at_rest == self._files_at_scan else RESCAN_SECONDS
        return (
            self._files_at_rest is None
            or not 0 <= now - self._last_scan < longest
            or self._files_at_rest != self.files(now)
        )

    def files(self, now: float) -> Changes:
        """Return what changes with every change of the files that are followed, and of the names beside them."""
        try:
            found = [path.stat() for path in (*self._folders, self._path)]
        except OSError:
            return None
        found += [segment.tail.stat() for segment in self._register.segments if segment.tail is not None]
        if max(about.st_ctime for about in found) > now - _CLOCK_TICK_SECONDS:
            return None
        return tuple(
            (about.st_dev, about.st_ino, about.st_nlink, about.st_size, about.st_ctime_ns) for about in found
        )

    def update(self, now: float, since: float, files: Changes) -> None:
        """Scan the folder if that is necessary. ``files`` is what `files` returned before the reading.

        Rotated files that were last written before ``since`` are not read.
        """
        if self._must_scan(now):
            self._files_at_scan = files if self._scan(now, since) else None

    def rest(self, files: Changes) -> None:
        """Note that all was read. ``files`` is what `files` returned before the reading."""
        waiting = self._names is None or self.folder.error is not None
        waiting = waiting or any(self._is_awaited(segment) for segment in self._register.segments)
        self._files_at_rest = None if waiting else files

    def is_wanted(self, segment: Segment) -> bool:
        """Tell whether something may be read from the file that holds a segment."""
        file = segment.file
        if file is None or segment.stage in {Stage.OLD, Stage.LOST}:
            return False
        if not segment.verified:
            return True
        if not file.plain:
            return segment.stage is not Stage.WHOLE
        has_grown = file.stat.st_size > segment.offset
        return segment.stage in {Stage.LIVE, Stage.ROTATED} or has_grown or segment is self.newest

    def open(self, segment: Segment) -> None:
        """Open a segment's plain file. Raises `MovedError`; the next scan finds out any other reason."""
        if segment.file is None:
            return
        try:
            if not open_tail(segment, segment.file, self._block_size) and segment.stage is Stage.LIVE:
                self._register.note_shrinking()
        except MovedError:
            raise
        except LogFileError:
            self.invalidate()

    def _must_scan(self, now: float) -> bool:
        before, self._names = self._names, self._names_now(now)
        live = self._register.live
        return (
            self._names is None
            or self._names != before
            or not 0 <= now - self._last_scan < RESCAN_SECONDS
            or (live is not None and (live.tail is None or not live.tail.intact()))
        )

    def _names_now(self, now: float) -> Changes:
        """Return what changes when files come, vanish or are renamed.

        Each of these changes the folder's modification time; truncation shows in the log's size.
        """
        try:
            changed = [folder.stat().st_mtime_ns for folder in self._folders]
        except OSError:
            return None
        if max(changed) / 1e9 > now - _CLOCK_TICK_SECONDS:
            return None
        try:
            log = self._path.stat()
        except OSError:
            return (*changed, None)
        return (*changed, log.st_dev, log.st_ino, log.st_size == 0)

    def _folders_now(self) -> tuple[Path, ...]:
        """Return the folders of the log and, if the log is a symbolic link, of its target."""
        return tuple({self._path.parent, Path(os.path.realpath(self._path)).parent})

    def _scan(self, now: float, since: float) -> bool:
        """Scan until no file moves during the scan. Returns whether every file could be read.

        The log is opened at once: from then on it can't vanish, however long the other files take to read.
        """
        self._last_scan = now
        self._folders = self._folders_now()
        register = self._register
        for _ in range(MOST_SCANS):
            scan = self.folder.scan(now)
            matching = match(register.segments, register.live, scan, self.folder, now)
            if self._opens(matching.log_segment) and self.folder.is_as_in(scan):
                break
            if matching.log_segment is not None and matching.log_segment not in register.segments:
                matching.log_segment.close()
        else:
            self.invalidate()
            return False
        self.folder.note_failures(scan, now)
        register.accept(matching, scan, self.folder, now, since)
        if matching.is_copying:
            self.invalidate()
        rotated = [one for one in register.segments if one.stage in {Stage.ROTATED, Stage.ENDED}]
        plain = [one for one in rotated if one.tail is not None or (one.file is not None and one.file.plain)]
        self.newest = max(plain, key=last_written, default=None)
        return scan.unknown_until == float("-inf")

    def _opens(self, log_segment: Segment | None) -> bool:
        """Open the log. Returns whether the log holds the segment that it was matched with."""
        if log_segment is not None and log_segment.tail is None:
            try:
                self.open(log_segment)
            except MovedError:
                return False
        return True

    def _is_awaited(self, segment: Segment) -> bool:
        """Tell whether more is expected of a segment although no file changes."""
        if segment.tail is not None:
            return segment.stage not in {Stage.LIVE, Stage.ENDED}
        return self.is_wanted(segment)


def last_written(segment: Segment) -> float:
    """Return when a segment was last written, in seconds since the epoch."""
    return segment.file.stat.st_mtime if segment.file is not None else segment.seen
