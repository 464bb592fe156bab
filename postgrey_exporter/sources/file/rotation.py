"""What logrotate and its like call the rotated files of a log, and where they put them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPRESSED: Final = r"(?:\.(?:gz|bz2|xz|zst|zstd|lzma|Z))?"
_LONE_LETTER: Final = r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
_NUMBER_OR_DATE: Final = rf"(?=[^0-9]*[0-9])[-._](?:[-._:+0-9]|{_LONE_LETTER})+"


def rotated_names(log: Path) -> Iterator[Path]:
    """Yield the files that are called like rotated files of a log, in no order.

    Recognised are ``mail.log.1``, ``mail.log.2.gz``, ``maillog-20240630.xz``, ``mail.log-20240630-1719700000``,
    ``mail-20240630.log`` (logrotate's ``extension``) and their like: a number or a date in any form that has no
    words in it. They lie beside the log, or in a folder below (logrotate's ``olddir``) that has no such log itself;
    where the log is a symbolic link, also beside the file it leads to.

    Raises `OSError` when the log's folder can't be listed.
    """
    yield from _beside(log)
    real = Path(os.path.realpath(log))
    if real != log and real.parent != log.parent:
        yield from _beside(real)


def neighbours(log: Path) -> Iterator[Path]:
    """Yield every file beside a log and in the folders below, whatever it is called."""
    for folder in (log.parent, *_folders_below(log)):
        yield from (folder / entry.name for entry in _entries(folder) if _is_file(entry))


def _beside(log: Path) -> Iterator[Path]:
    pattern = _pattern(log)
    with os.scandir(log.parent) as entries:
        yield from (log.parent / entry.name for entry in entries if pattern.fullmatch(entry.name))
    for folder in _folders_below(log):
        yield from (folder / entry.name for entry in _entries(folder) if pattern.fullmatch(entry.name))


def _pattern(log: Path) -> re.Pattern[str]:
    names = re.escape(log.name) + _NUMBER_OR_DATE + _COMPRESSED
    if log.suffix:
        names += "|" + re.escape(log.stem) + _NUMBER_OR_DATE + re.escape(log.suffix) + _COMPRESSED
    return re.compile(names)


def _folders_below(log: Path) -> Iterator[Path]:
    for entry in _entries(log.parent):
        if _is_folder(entry):
            folder = log.parent / entry.name
            if not os.path.lexists(folder / log.name):
                yield folder


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds; nothing where it is closed to us, for this user's logs are not rotated to there."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False
