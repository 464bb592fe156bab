"""What lies where a log is written: a look at the log and its rotated files, and what can't be read of them.

Rotation renames files while one looks. A look counts only if afterwards every name still stands for the same file;
else it may miss a file that was just being renamed, or hold one twice.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.sources.compression import (
    Kind,
    LogFileError,
    decompressed,
    explain_os_error,
    kind_of,
    looks_binary,
    open_regular,
    reading_errors,
    unpacked,
)
from postgrey_exporter.sources.file.likeness import HEAD_SIZE, begins_with, head_of
from postgrey_exporter.sources.file.rotation import neighbours, rotated_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 60.0
"""How long a rotated file may still change: rsyslog writes on until it gets its HUP, gzip takes its time."""


class MovedError(LogFileError):
    """Another file, or other content, than at the last look is under a name."""


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

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """Open the file for reading as plain bytes.

        Raises `MovedError` where it is not the file that was found, and what `open_log` raises.
        """
        try:
            raw = open_regular(self.path)
        except OSError as error:
            raise MovedError(explain_os_error(self.path, error)) from error
        with raw, reading_errors(self.path), unpacked(raw) as stream:
            about = os.fstat(raw.fileno())
            if self.stamp != (Stamp(about.st_ino) if self.plain else Stamp.of(about)):
                raise MovedError(f"{self.path}: was moved")
            yield stream

    def settled(self, now: float) -> bool:
        """Tell whether it has not changed for a while, so that nobody is writing it still."""
        return now - self.stat.st_mtime >= SETTLE_SECONDS


class Trouble(NamedTuple):
    """What keeps a rotated file from being read."""

    message: str
    inside: bool
    """Whether it can be opened, and the trouble is in its content."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. Empty files are left out: they hold nothing and can't be known again."""

    log: LogFile | None
    """The log itself."""
    error: str | None
    """Why the log can't be read."""
    rotated: tuple[LogFile, ...]
    failed: dict[Path, tuple[os.stat_result, str]]
    """Rotated files that can't be read."""
    unknown_until: float
    """When the latest file was written of which the content is not known, in seconds since the epoch."""
    names: dict[Path, tuple[int, int]]
    """Which file every name stood for."""


class Folder:
    """The place of one log. Remembers what could not be read, and says it once."""

    def __init__(self, log: Path) -> None:
        """Take the log's path."""
        self._path = log
        self._seen: dict[Stamp, LogFile] = {}
        self._copies: dict[tuple[Stamp, Stamp], int | None] = {}
        self.error: str | None = f"{log}: not read yet"
        """Why the log itself can't be read."""
        self.unreadable: dict[Stamp, Trouble] = {}
        """Rotated files that can't be read, or not to their end."""

    def look(self, now: float) -> Look:
        """Look at the log and its rotated files."""
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
        self._seen = {file.full_stamp: file for file in rotated}
        unknown = [about.st_mtime for about, _ in failed.values()]
        unknown += [file.stat.st_mtime for file in rotated if not file.head and not file.settled(now)]
        return Look(
            log=log if log and log.head else None,
            error=error,
            rotated=tuple(file for file in rotated if file.head),
            failed=failed,
            unknown_until=max(unknown, default=float("-inf")),
            names=names,
        )

    def is_as_in(self, look: Look) -> bool:
        """Tell whether every name still stands for the file that it stood for."""
        return self._names()[0] == look.names

    def note(self, look: Look, now: float) -> None:
        """Remember what could not be read; say of rotated files what can't, once, unless it is on its way still."""
        self.error = look.error
        before, self.unreadable = self.unreadable, {}
        for file in look.rotated:
            trouble = before.get(file.full_stamp)
            if trouble is not None and trouble.inside:
                self.unreadable[file.full_stamp] = trouble
        for about, message in look.failed.values():
            if now - about.st_mtime >= SETTLE_SECONDS:
                stamp = Stamp.of(about)
                self.unreadable[stamp] = Trouble(message, inside=False)
                if stamp not in before:
                    _log.warning("%s; its lines are not counted", message)

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
        if file.full_stamp not in self.unreadable:
            _log.warning("%s; what could be read of it is counted", error)
        self.unreadable[file.full_stamp] = Trouble(str(error), inside=True)

    def note_success(self, file: LogFile) -> None:
        """Note that a file was read to its end."""
        self.unreadable.pop(file.full_stamp, None)

    def _names(self) -> tuple[dict[Path, tuple[int, int]], str | None]:
        """Return which file every name stands for, and why that can't be known."""
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
        known = self._seen.get(Stamp.of(about))
        if known is not None and known.stat.st_dev == about.st_dev:
            return LogFile(path, about, known.kind, known.head)
        return inspect(path)


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
