"""Which files beside a log are its rotated parts, and which of them hold the same content.

A rotated file is told by its name (numbered or dated, whatever the compression) and known by its first bytes:
names move, inodes are used again, compression makes a new file of the old content.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources.archive import (
    Kind,
    LogFileError,
    decompressed,
    explain_os_error,
    kind_of,
    open_regular,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_SIZE: Final = 4096
"""Bytes at a file's start by which its content is known."""

_COMPRESSED: Final = r"(?:\.(?:gz|bz2|xz|zst|zstd|lzma|Z))?"
_NUMBER_OR_DATE: Final = r"[-._][-._:TWZ+0-9]*[0-9]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may hold a part of the log."""

    path: Path
    stat: os.stat_result
    kind: Kind
    head: bytes
    """The first `HEAD_SIZE` bytes of its content, decompressed."""

    @property
    def plain(self) -> bool:
        """Whether the file is not compressed."""
        return self.kind == "plain"


def rotated_names(log: Path) -> Iterator[Path]:
    """Yield the rotated files of a log, in no order: beside it, and in a folder below that has no such log itself.

    Recognised are ``mail.log.1``, ``mail.log.2.gz``, ``maillog-20240630.xz``, ``mail.log-20240630-1719700000``,
    ``mail-20240630.log`` (logrotate's ``extension``) and their like. The folder is logrotate's ``olddir``.

    Raises `OSError` when the log's folder can't be listed.
    """
    stem, suffix = log.stem, log.suffix
    names = re.escape(log.name) + _NUMBER_OR_DATE + _COMPRESSED
    if suffix:
        names += "|" + re.escape(stem) + _NUMBER_OR_DATE + re.escape(suffix) + _COMPRESSED
    pattern = re.compile(names)
    for entry in log.parent.iterdir():
        if pattern.fullmatch(entry.name):
            yield entry
        elif entry.is_dir() and not (entry / log.name).exists():
            yield from _matching(entry, pattern)


def _matching(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    try:
        yield from (entry for entry in folder.iterdir() if pattern.fullmatch(entry.name))
    except OSError:
        return  # a folder that is closed to us is not where this user's logs are rotated to


def inspect(path: Path) -> Candidate:
    """Open a file and learn what it is.

    Raises `LogFileError`: missing, forbidden, no regular file, or a damaged archive.
    """
    try:
        with open_regular(path) as raw:
            head = raw.read(HEAD_SIZE)
            kind = kind_of(head)
            about = os.fstat(raw.fileno())
            if kind != "plain":
                raw.seek(0)
                head = decompressed(raw, kind).read(HEAD_SIZE)
    except OSError as error:
        raise LogFileError(explain_os_error(path, error)) from error
    except (EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise LogFileError(f"{path}: the archive is damaged or cut short ({error})") from error
    return Candidate(path, about, kind, head)


def digest(content: bytes) -> str:
    """Return a short fingerprint of some bytes of a log; the bytes themselves hold addresses and are not kept."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def is_copy(candidate: Candidate, other: Candidate) -> bool:
    """Tell whether a file has the same content as another, or the beginning of it.

    So looks a copy that is still being written, and an archive beside the file that it was made of.
    """
    shared = min(len(candidate.head), len(other.head))
    if candidate.head[:shared] != other.head[:shared]:
        return False
    if not (candidate.plain and other.plain):
        return True
    size = min(candidate.stat.st_size, other.stat.st_size)
    return _end(candidate.path, size) == _end(other.path, size)


def _end(path: Path, size: int) -> bytes:
    """Return the last bytes of a file's first ``size`` bytes; nothing where it can't be read."""
    try:
        with open_regular(path) as raw:
            raw.seek(max(0, size - HEAD_SIZE))
            return raw.read(min(size, HEAD_SIZE))
    except (OSError, LogFileError):
        return b""
