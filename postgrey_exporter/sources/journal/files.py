"""The journal's files: whether anything was added since the last scan, and which of them are forbidden.

Starting journalctl takes some milliseconds, a scan of the files some microseconds. A journal file begins with a
header in which journald counts the entries (https://systemd.io/JOURNAL_FILE_FORMAT/). While no header and no folder
changes, there is nothing to read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS: Final = ("var/log/journal", "run/log/journal")
"""journald's folders, relative to the root: the persistent one and the one in memory."""
USER_JOURNAL: Final = "user-"
"""How the names of the files with users' own entries begin. postgrey is not in them."""

_HEADER_BYTES: Final = 256
_FIRST_ENTRY_TIME: Final = slice(184, 192)
_MAGIC: Final = b"LPKSHHRH"
_MACHINE: Final = re.compile("[0-9a-f]{32}")
_SUFFIXES: Final = (".journal", ".journal~")
_ARCHIVED: Final = "@"
"""Is in the names of files that journald has archived: their headers no longer change."""

Mark = tuple[str, int, int, bytes]


class Files(NamedTuple):
    """The journal's files at one moment."""

    marks: frozenset[Mark]
    """Change when entries are added, or when files come or vanish; empty without files."""
    forbidden: tuple[tuple[Path, OSError], ...]
    """Files and folders that can't be opened, with the reason; without users' own files."""


def folders(root: Path = Path("/")) -> tuple[Path, ...]:
    """Return journald's folders below a root."""
    return tuple(root / folder for folder in FOLDERS)


def scan(places: Sequence[Path]) -> Files:
    """Find the journal's files in some folders and their subfolders. A missing folder counts as empty."""
    marks: set[Mark] = set()
    forbidden: list[tuple[Path, OSError]] = []
    above = [entry for place in places for entry in _listed(str(place), forbidden)]
    below = [
        entry
        for folder in above
        if _MACHINE.fullmatch(folder.name) and folder.is_dir()
        for entry in _listed(folder.path, forbidden)
    ]
    for entry in above + below:
        if not entry.name.endswith(_SUFFIXES):
            continue
        try:
            marks.add(_mark(entry))
        except FileNotFoundError:
            continue  # vacuumed or renamed after the listing: the next scan will see it
        except OSError as error:
            if not entry.name.startswith(USER_JOURNAL):
                forbidden.append((Path(entry.path), error))
    return Files(frozenset(marks), tuple(forbidden))


def names(files: Files) -> frozenset[tuple[str, int]]:
    """Return the names of the files, each with its inode."""
    return frozenset((path, inode) for path, inode, *_ in files.marks)


def oldest_entry(files: Files) -> int | None:
    """Return the time of the oldest entry of any program that still exists, in microseconds since the epoch.

    Users' journals don't count: one that is never written stays while others are vacuumed.
    """
    moments = []
    for name, *_ in files.marks:
        path = Path(name)
        if path.name.startswith(USER_JOURNAL):
            continue
        try:
            with path.open("rb", buffering=0) as file:
                header = file.read(_HEADER_BYTES)
        except OSError:
            continue
        moment = int.from_bytes(header[_FIRST_ENTRY_TIME], "little")
        if header.startswith(_MAGIC) and moment:
            moments.append(moment)
    return min(moments, default=None)


def _mark(entry: os.DirEntry[str]) -> Mark:
    about = entry.stat()
    header = b""
    if _ARCHIVED not in entry.name:
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            header = os.pread(descriptor, _HEADER_BYTES, 0)
        finally:
            os.close(descriptor)
    return entry.path, about.st_ino, about.st_mtime_ns, header


def _listed(folder: str, forbidden: list[tuple[Path, OSError]]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        forbidden.append((Path(folder), error))
        return []
