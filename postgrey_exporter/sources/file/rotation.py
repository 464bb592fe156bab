"""The names that logrotate and similar programs give to rotated files, and the folders they use."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPRESSED: Final = r"(?:\.(?:gz|bz2|xz|zst|zstd|lzma|Z))?"
_LONE_LETTER: Final = r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
_NUMBER_OR_DATE: Final = rf"(?=[^0-9]*[0-9])[-._](?:[-._:+0-9]|{_LONE_LETTER})+"


def rotated_names(log: Path) -> Iterator[Path]:
    """Yield the files that have the name of a rotated file of a log, in no order.

    Such names are ``mail.log.1``, ``mail.log.2.gz``, ``maillog-20240630.xz``, ``mail.log-20240630-1719700000``,
    ``mail-20240630.log`` (logrotate's ``extension``) and others with a number or a date in any form without words.
    The files are beside the log, or in a subfolder (logrotate's ``olddir``) that has no log of the same name. If
    the log is a symbolic link, they may also be beside its target.

    Raises `OSError` if the log's folder can't be listed.
    """
    real = Path(os.path.realpath(log))
    for path in (log, real) if real.parent != log.parent else (log,):
        pattern = _pattern(path)
        yield from (Path(entry.path) for entry in _around(path) if pattern.fullmatch(entry.name))


def neighbours(log: Path) -> Iterator[Path]:
    """Yield every file beside a log and in the subfolders, whatever its name."""
    with suppress(OSError):
        yield from (Path(entry.path) for entry in _around(log) if entry.is_file(follow_symlinks=False))


def _pattern(log: Path) -> re.Pattern[str]:
    names = re.escape(log.name) + _NUMBER_OR_DATE + _COMPRESSED
    if log.suffix:
        names += "|" + re.escape(log.stem) + _NUMBER_OR_DATE + re.escape(log.suffix) + _COMPRESSED
    return re.compile(names)


def _around(log: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(log.parent) as listing:
        entries = list(listing)
    yield from entries
    for entry in entries:
        with suppress(OSError):  # this user's logs are not rotated into a folder that this user can't read
            if entry.is_dir() and not os.path.lexists(Path(entry.path, log.name)):
                with os.scandir(entry.path) as listing:
                    yield from list(listing)
