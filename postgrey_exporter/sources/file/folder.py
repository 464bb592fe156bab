"""The folder of a log: which files are there, and which of them can't be read.

Rotation renames files during a scan. A scan counts only if afterwards every name still leads to the same file;
otherwise it may miss a file that was just being renamed, or hold one twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.sources.compression import LogFileError, explain_os_error
from postgrey_exporter.sources.file.logfile import SETTLE_SECONDS, FileId, LogFile, bytes_beyond, inspect
from postgrey_exporter.sources.file.rotation import neighbours, rotated_names

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

_log = logging.getLogger(__name__)


class Failure(NamedTuple):
    """What keeps a rotated file from being read."""

    message: str
    inside: bool
    """Whether the file can be opened, and its content is damaged."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The files that were found. Empty files are left out: they hold nothing and have no fingerprint."""

    log: LogFile | None
    """The log itself."""
    error: str | None
    """Why the log can't be read."""
    rotated: tuple[LogFile, ...]
    failed: dict[Path, tuple[os.stat_result, str]]
    """Rotated files that can't be read, and why."""
    unknown_until: float
    """When the latest file of unknown content was written, in seconds since the epoch."""
    names: dict[Path, tuple[int, int]]
    """The device and inode behind each name."""


class Folder:
    """The folder of one log. Remembers which files can't be read, and logs each of them once."""

    def __init__(self, log: Path) -> None:
        """Create the folder of the log with this path."""
        self._path = log
        self._known: dict[FileId, LogFile] = {}
        self._compared: dict[tuple[FileId, FileId], int | None] = {}
        self.error: str | None = f"{log}: not read yet"
        """Why the log itself can't be read."""
        self.unreadable: dict[FileId, Failure] = {}
        """Rotated files that can't be read, or not to their end."""

    def scan(self, now: float) -> Scan:
        """Find the log and its rotated files."""
        names, error = self._names()
        found: dict[tuple[int, int], LogFile] = {}
        failed: dict[Path, tuple[os.stat_result, str]] = {}
        for path in (self._path, *names):
            try:
                file = self._inspect(path)
            except LogFileError as problem:
                about = _lstat(path)
                if path == self._path:
                    error = error or str(problem)
                elif about is not None:
                    failed[path] = (about, str(problem))
            else:
                found.setdefault((file.stat.st_dev, file.stat.st_ino), file)
        log = next((file for file in found.values() if file.path == self._path), None)
        rotated = [file for file in found.values() if file is not log]
        self._known = {file.version: file for file in rotated}
        unknown = [about.st_mtime for about, _ in failed.values()]
        unknown += [file.stat.st_mtime for file in rotated if not file.head and not file.settled(now)]
        return Scan(
            log=log if log and log.head else None,
            error=error,
            rotated=tuple(file for file in rotated if file.head),
            failed=failed,
            unknown_until=max(unknown, default=float("-inf")),
            names=names,
        )

    def is_as_in(self, scan: Scan) -> bool:
        """Tell whether every name still leads to the file that a scan found."""
        return self._names()[0] == scan.names

    def note_failures(self, scan: Scan, now: float) -> None:
        """Remember what can't be read. Log a rotated file once, and only if nobody can be writing it any more."""
        self.error = scan.error
        before, self.unreadable = self.unreadable, {}
        for file in scan.rotated:
            failure = before.get(file.version)
            if failure is not None and failure.inside:
                self.unreadable[file.version] = failure
        for about, message in scan.failed.values():
            if now - about.st_mtime >= SETTLE_SECONDS:
                version = FileId.of(about)
                self.unreadable[version] = Failure(message, inside=False)
                if version not in before:
                    _log.warning("%s; its lines are not counted", message)

    def inspect_log(self) -> LogFile:
        """Open the log and find out what it is. Raises `LogFileError`, caused by the `OSError` if there was one."""
        file = inspect(self._path)
        if not file.plain:
            raise LogFileError(
                f"{self._path}: is compressed; name the log that is being written, rotated files are found"
            )
        return file

    def neighbours(self) -> Iterable[LogFile]:
        """Yield every file nearby that may be a log, whatever its name."""
        for path in neighbours(self._path):
            try:
                file = inspect(path)
            except LogFileError:
                continue
            if file.head:
                yield file

    def bytes_missing(self, original: LogFile, copy: LogFile) -> int | None:
        """Return how many bytes a copy lacks at its end, see `bytes_beyond`; ``None`` if it is no copy."""
        if original.plain and copy.plain and copy.stat.st_size > original.stat.st_size:
            return None
        shared = min(len(original.head), len(copy.head))
        if original.head[:shared] != copy.head[:shared]:
            return None
        key = (original.version, copy.version)
        if key not in self._compared:
            self._compared[key] = bytes_beyond(original.path, copy.path)
        return self._compared[key]

    def note_damage(self, file: LogFile, error: LogFileError) -> None:
        """Remember that a file can't be read to its end, and log it once."""
        if file.version not in self.unreadable:
            _log.warning("%s; what could be read of it is counted", error)
        self.unreadable[file.version] = Failure(str(error), inside=True)

    def note_success(self, file: LogFile) -> None:
        """Remember that a file was read to its end."""
        self.unreadable.pop(file.version, None)

    def _names(self) -> tuple[dict[Path, tuple[int, int]], str | None]:
        """Return the device and inode behind each name, and why the folder can't be listed."""
        names: dict[Path, tuple[int, int]] = {}
        try:
            for path in (*rotated_names(self._path), self._path):
                about = _lstat(path)
                if about is not None:
                    names[path] = (about.st_dev, about.st_ino)
        except OSError as error:
            return names, explain_os_error(self._path.parent, error)
        return names, None

    def _inspect(self, path: Path) -> LogFile:
        if path == self._path:
            return self.inspect_log()
        try:
            about = path.stat()
        except OSError as error:
            raise LogFileError(explain_os_error(path, error)) from error
        known = self._known.get(FileId.of(about))
        if known is not None and known.stat.st_dev == about.st_dev:
            return LogFile(path, about, known.kind, known.head)
        return inspect(path)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
