"""What lies where a log is written: one consistent look at the log and its rotated files.

Rotation renames files while one looks. A look is taken again until no name has changed places under it, so that it
never misses a file that was just being renamed, nor holds one twice.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.sources.archive import (
    Kind,
    LogFileError,
    decompressed,
    explain_os_error,
    kind_of,
    looks_binary,
    open_regular,
    reading_errors,
)
from postgrey_exporter.sources.likeness import HEAD_SIZE, begins_with, head_of
from postgrey_exporter.sources.rotation import neighbours, rotated_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 60.0
"""How long a rotated file may still change: rsyslog writes on until it gets its HUP, gzip takes its time."""

_MOST_ATTEMPTS: Final = 10


class Stamp(NamedTuple):
    """By what an archive is known not to have changed. Of a plain file only the inode stays the same."""

    inode: int
    size: int = 0
    mtime_ns: int = 0

    @classmethod
    def of(cls, about: os.stat_result) -> Stamp:
        """Return the stamp of a file that should not change."""
        return cls(about.st_ino, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that may hold a part of the log, as it was found."""

    path: Path
    stat: os.stat_result
    kind: Kind
    head: bytes
    """The first bytes of its content, see `head_of`."""

    @property
    def plain(self) -> bool:
        """Whether the file is not compressed."""
        return self.kind == "plain"

    @property
    def stamp(self) -> Stamp:
        """What tells whether it is the same file when it is seen again."""
        return Stamp(self.stat.st_ino) if self.plain else self.full_stamp

    @property
    def full_stamp(self) -> Stamp:
        """What tells whether it has not changed since."""
        return Stamp.of(self.stat)

    def settled(self, now: float) -> bool:
        """Tell whether it has not changed for a while, so that nobody is writing it still."""
        return now - self.stat.st_mtime >= SETTLE_SECONDS


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. Empty files are left out: they hold nothing and can't be known again."""

    log: LogFile | None
    """The log itself."""
    rotated: tuple[LogFile, ...]
    unknown_until: float
    """When the latest file was written of which the content is not known, in seconds since the epoch."""


class Folder:
    """The place of one log. Remembers what could not be read, and says it once."""

    def __init__(self, log: Path) -> None:
        """Take the log's path."""
        self._path = log
        self._seen: dict[Stamp, LogFile] = {}
        self._copies: dict[tuple[Stamp, Stamp], int | None] = {}
        self.error: str | None = f"{log}: not read yet"
        """Why the log itself can't be read."""
        self.unreadable: dict[Stamp, str] = {}
        """Rotated files that can't be read, or not to their end, and why."""

    def look(self, now: float) -> Look:
        """Look at the log and its rotated files."""
        names = self._names()
        unsteady_until = float("-inf")
        for _ in range(_MOST_ATTEMPTS):
            self.error = None
            found, failed = self._inspect_all(names)
            before, names = names, self._names()
            if before == names:
                break
        else:
            unsteady_until = now
        unknown_until = max(unsteady_until, self._note_unreadable(failed, names, now))
        log = next((file for file in found if file.path == self._path), None)
        rotated = tuple(file for file in found if file is not log)
        self._seen = {file.full_stamp: file for file in rotated}
        return Look(log, rotated, unknown_until)

    def inspect_log(self) -> LogFile:
        """Open the log and learn what it is. Raises `LogFileError`; its cause is an `OSError` if there was one."""
        file = inspect(self._path)
        if not file.plain:
            raise LogFileError(
                f"{self._path}: is compressed; name the log that is being written, rotated files are found"
            )
        return file

    def neighbours(self) -> Iterable[LogFile]:
        """Yield every file around that could be a log under a name that no rotated file has."""
        for path in neighbours(self._path):
            try:
                file = inspect(path)
            except LogFileError:
                continue
            if file.head:
                yield file

    def excess(self, original: LogFile, copy: LogFile) -> int | None:
        """Tell how much of an original a copy of its beginning lacks, as `begins_with` does; ``None``: it is none."""
        if original.plain and copy.plain and copy.stat.st_size > original.stat.st_size:
            return None
        shared = min(len(original.head), len(copy.head))
        if original.head[:shared] != copy.head[:shared]:
            return None
        key = (original.full_stamp, copy.full_stamp)
        if key not in self._copies:
            self._copies[key] = begins_with(original.path, copy.path)
        return self._copies[key]

    def note_damage(self, file: LogFile, error: LogFileError) -> None:
        """Remember, and say once, that a file can't be read to its end."""
        stamp = file.full_stamp
        if stamp not in self.unreadable:
            _log.warning("%s; what could be read of it is counted", error)
        self.unreadable[stamp] = str(error)

    def _names(self) -> dict[Path, tuple[int, int]]:
        """Return which file every name stands for; raises nothing."""
        names: dict[Path, tuple[int, int]] = {}
        try:
            for path in (*rotated_names(self._path), self._path):
                about = _lstat(path)
                if about is not None:
                    names[path] = (about.st_dev, about.st_ino)
        except OSError as error:
            self.error = explain_os_error(self._path.parent, error)
        return names

    def _inspect_all(self, names: dict[Path, tuple[int, int]]) -> tuple[list[LogFile], dict[Path, str]]:
        found: dict[tuple[int, int], LogFile] = {}
        failed: dict[Path, str] = {}
        for path in (self._path, *names):
            try:
                file = self._inspect(path)
            except LogFileError as error:
                if path == self._path:
                    self.error = self.error or str(error)
                else:
                    failed[path] = str(error)
            else:
                if file.head:
                    found.setdefault((file.stat.st_dev, file.stat.st_ino), file)
        return list(found.values()), failed

    def _inspect(self, path: Path) -> LogFile:
        if path == self._path:
            return self.inspect_log()
        try:
            about = path.stat()
        except OSError as error:
            raise LogFileError(explain_os_error(path, error)) from error
        known = self._seen.get(Stamp.of(about))
        if known is not None and known.stat.st_dev == about.st_dev:
            return LogFile(path, about, known.kind, known.head)
        return inspect(path)

    def _note_unreadable(self, failed: dict[Path, str], names: Iterable[Path], now: float) -> float:
        """Say what can't be read, once, unless it is on its way still. Return when the latest of it was written."""
        before, self.unreadable = self.unreadable, {}
        unknown_until = float("-inf")
        for path in names:
            about = _lstat(path)
            if about is None:
                continue
            stamp = Stamp.of(about)
            if path not in failed:
                if stamp in before:
                    self.unreadable[stamp] = before[stamp]
                continue
            unknown_until = max(unknown_until, about.st_mtime)
            if now - about.st_mtime >= SETTLE_SECONDS:
                self.unreadable[stamp] = failed[path]
                if stamp not in before:
                    _log.warning("%s; its lines are not counted", failed[path])
        return unknown_until


def inspect(path: Path) -> LogFile:
    """Open a file and learn what it is.

    Raises `LogFileError`: missing, forbidden, no regular file, no log, or an archive damaged from the start.
    """
    with reading_errors(path), open_regular(path) as raw:
        kind = kind_of(raw.read(HEAD_SIZE))
        about = os.fstat(raw.fileno())
        raw.seek(0)
        head = head_of(raw if kind == "plain" else decompressed(raw, kind))
        if looks_binary(head):
            raise LogFileError(f"{path}: is a binary file; name a log file")
        return LogFile(path, about, kind, head)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
