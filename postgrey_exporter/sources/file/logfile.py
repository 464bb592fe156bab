"""A file that may hold a segment of the log: what identifies it, and how its content begins."""

from __future__ import annotations

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
from postgrey_exporter.sources.file.fingerprint import HEAD_SIZE, head_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTLE_SECONDS: Final = 60.0
"""How long a rotated file may still change: rsyslog writes to it until its HUP, and gzip takes its time."""


class MovedError(LogFileError):
    """A name leads to another file, or to other content, than at the last scan."""


class FileId(NamedTuple):
    """Identifies a file. Size and time are 0 where only the inode counts, because the file may grow."""

    inode: int
    size: int = 0
    mtime_ns: int = 0

    @classmethod
    def of(cls, about: os.stat_result) -> FileId:
        """Return the identity of a file that must not change."""
        return cls(about.st_ino, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file as the last scan found it."""

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
    def id(self) -> FileId:
        """Identifies the file: a plain file may grow, an archive must not change."""
        return FileId(self.stat.st_ino) if self.plain else self.version

    @property
    def version(self) -> FileId:
        """Identifies the file as it was found: any change makes it another version."""
        return FileId.of(self.stat)

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """Open the file as a stream of plain bytes.

        Raises `MovedError` if it is no longer the file that was found, and what `open_log` raises.
        """
        try:
            raw = open_regular(self.path)
        except OSError as error:
            raise MovedError(explain_os_error(self.path, error)) from error
        with raw, reading_errors(self.path), unpacked(raw) as stream:
            about = os.fstat(raw.fileno())
            if self.id != (FileId(about.st_ino) if self.plain else FileId.of(about)):
                raise MovedError(f"{self.path}: was moved")
            yield stream

    def settled(self, now: float) -> bool:
        """Tell whether the file has not changed for so long that nobody writes to it any more."""
        return now - self.stat.st_mtime >= SETTLE_SECONDS


def inspect(path: Path) -> LogFile:
    """Open a file and find out what it is.

    Raises `LogFileError` if it is missing, forbidden, no regular file, no log, or an archive damaged from the start.
    """
    with reading_errors(path), open_regular(path) as raw:
        kind = kind_of(raw.read(HEAD_SIZE))
        about = os.fstat(raw.fileno())
        raw.seek(0)
        head = head_of(raw if kind == "plain" else decompressed(raw, kind))
        if looks_binary(head):
            raise LogFileError(f"{path}: is a binary file; name a log file")
        return LogFile(path, about, kind, head)
