"""The journal's files: whether anything was added since the last look, and which of them are closed to us.

Starting journalctl costs some milliseconds, looking at the files some microseconds. A journal file begins with a
header in which journald counts the entries (https://systemd.io/JOURNAL_FILE_FORMAT/); as long as no header and no
folder has changed there is nothing to read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS: Final = ("var/log/journal", "run/log/journal")
"""Where journald keeps its files, below the root: what lasts, and what goes with the power."""
USER_JOURNAL: Final = "user-"
"""How the files begin that hold users' own entries; postgrey is no user's."""

_HEADER_BYTES: Final = 256
_FIRST_ENTRY_TIME: Final = slice(184, 192)
_MAGIC: Final = b"LPKSHHRH"
_MACHINE: Final = re.compile("[0-9a-f]{32}")
_SUFFIXES: Final = (".journal", ".journal~")
_ARCHIVED: Final = "@"
"""Stands in the names of files that journald has finished: their headers change no more."""

Mark = tuple[str, int, int, bytes]


class Files(NamedTuple):
    """The journal's files at one moment."""

    marks: frozenset[Mark]
    """Differ from those of another moment when entries were added, or files came or went; empty without files."""
    closed: tuple[tuple[Path, OSError], ...]
    """Files and folders that can't be opened, without those of users; the reason beside each."""


def folders(root: Path = Path("/")) -> tuple[Path, ...]:
    """Return where journald keeps its files below a root."""
    return tuple(root / folder for folder in FOLDERS)


def look(places: Sequence[Path]) -> Files:
    """Look at the journal's files in some folders and in those below them. A missing folder is an empty one."""
    marks: set[Mark] = set()
    closed: list[tuple[Path, OSError]] = []
    above = [entry for place in places for entry in _listed(str(place), closed)]
    below = [
        entry
        for folder in above
        if _MACHINE.fullmatch(folder.name) and folder.is_dir()
        for entry in _listed(folder.path, closed)
    ]
    for entry in above + below:
        if not entry.name.endswith(_SUFFIXES):
            continue
        try:
            marks.add(_mark(entry))
        except FileNotFoundError:
            continue  # vacuumed or renamed after the listing; the next look will see it
        except OSError as error:
            if not entry.name.startswith(USER_JOURNAL):
                closed.append((Path(entry.path), error))
    return Files(frozenset(marks), tuple(closed))


def names(files: Files) -> frozenset[tuple[str, int]]:
    """Return which file has which name; the file as its inode number."""
    return frozenset((path, inode) for path, inode, *_ in files.marks)


def oldest_entry(files: Files) -> int | None:
    """Return when the oldest entry of any program was logged that is still there, in microseconds since the epoch.

    Users' journals don't count: one that is never written to stays while others are vacuumed.
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


def _listed(folder: str, closed: list[tuple[Path, OSError]]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        closed.append((Path(folder), error))
        return []
