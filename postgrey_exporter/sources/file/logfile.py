"""A file that may hold a segment of the log: its identity, its content's fingerprint, and the comparison of two."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from isal.isal_zlib import crc32

from postgrey_exporter.sources.blocks import BLOCK_SIZE
from postgrey_exporter.sources.compression import (
    Kind,
    LogFileError,
    decompressed,
    explain_os_error,
    kind_of,
    looks_binary,
    open_log,
    open_regular,
    reading_errors,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_SIZE: Final = 1024
"""Bytes at a file's start that identify its content: a few lines with their times."""
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


def digest(content: bytes) -> str:
    """Return a short digest of some bytes of a log. The bytes themselves hold addresses and are not kept."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def head_of(stream: IO[bytes]) -> bytes:
    """Return the first `HEAD_SIZE` bytes of a stream, or all there are.

    NULs before them are skipped: a file that copytruncate emptied begins with NULs if its writer does not append.
    Returns what comes before the damage of an archive; raises only if that is nothing.
    """
    read = getattr(stream, "read1", stream.read)
    size = HEAD_SIZE
    head = b""
    try:
        while len(head) < HEAD_SIZE and (more := read(size)):
            head = (head + more).lstrip(b"\0")
            size = HEAD_SIZE if head else BLOCK_SIZE
    except Exception:
        if not head:
            raise
    return head[:HEAD_SIZE]


def skip(stream: IO[bytes], size: int) -> tuple[int, int]:
    """Read ``size`` bytes of a stream, or all there are; return their number and their CRC-32."""
    skipped = checksum = 0
    while skipped < size and (content := stream.read(min(BLOCK_SIZE, size - skipped))):
        skipped += len(content)
        checksum = crc32(content, checksum)
    return skipped, checksum


def bytes_beyond(longer: Path, shorter: Path) -> int | None:
    """Return how many bytes a file holds beyond the content of another one, counted up to `BLOCK_SIZE`.

    Returns ``None`` if the longer file does not begin with the shorter one, or can't be read. Of a damaged shorter
    file only what comes before the damage is compared.
    """
    try:
        with open_log(longer) as long:
            for content in _blocks(shorter):
                if _read_exactly(long, len(content)) != content:
                    return None
            return len(long.read(BLOCK_SIZE))
    except LogFileError:
        return None


def _blocks(path: Path) -> Iterator[bytes]:
    with suppress(LogFileError), open_log(path) as stream:
        while content := stream.read(BLOCK_SIZE):
            yield content


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    content = b""
    while len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content
