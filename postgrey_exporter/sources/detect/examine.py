"""Examines a log file or the journal for postgrey's newest decisions, from the end backwards.

Files are examined again while nothing is found. So the signs in each file are remembered, and only what was added to
the file is read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources.blocks import whole_lines
from postgrey_exporter.sources.compression import (
    LogFileError,
    kind_of,
    looks_binary,
    open_log,
    open_regular,
    reading_errors,
)
from postgrey_exporter.sources.detect.signs import OTHER_GREYLISTERS, Examiner, Signs
from postgrey_exporter.sources.file.logfile import inspect
from postgrey_exporter.sources.file.rotation import rotated_names
from postgrey_exporter.sources.journal.entry import Renderer, trusted_accounts
from postgrey_exporter.sources.journal.journalctl import Journalctl, postgreys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

_BLOCK: Final = 1 << 20
_FARTHEST: Final = 32 << 20
"""Bytes that are read, from a log's end or an archive's start."""
_ROTATED_FILES: Final = 2
"""How many rotated files are examined if the log itself has no decision: it may have been rotated just now."""

_ENTRIES_AT_ONCE: Final = 200
_MOST_ENTRIES: Final = 20_000


class FileExaminer:
    """Finds signs in log files, and remembers those of each file."""

    def __init__(self, examiner: Examiner) -> None:
        """Create an examiner of files that examines lines with ``examiner``."""
        self._examiner = examiner
        self._known: dict[tuple[int, int], tuple[int, Signs]] = {}

    def examine(self, log: Path, now: float) -> Signs:
        """Return what a log shows, and what its newest rotated files show if it has no decision itself.

        Raises `LogFileError` if the log can't be read.
        """
        signs = self._file(log, now)
        if signs.newest_decision is None:
            for rotated in _newest(log):
                with suppress(LogFileError):
                    signs |= self._file(rotated, now)
                if signs.newest_decision is not None:
                    break
        return signs

    def oldest_stamp(self, log: Path) -> float | None:
        """Return the oldest stamp that begins a log or one of its rotated files, in seconds since the epoch."""
        found = []
        for path in (log, *rotated_names(log)):
            with suppress(LogFileError):
                file = inspect(path)
                found.append(self._examiner.stamp(file.head.partition(b"\n")[0], file.stat.st_mtime))
        return min((stamp for stamp in found if stamp is not None), default=None)

    def _file(self, path: Path, now: float) -> Signs:
        with reading_errors(path), open_regular(path) as raw:
            about = os.fstat(raw.fileno())
            key = (about.st_dev, about.st_ino)
            size, signs = self._known.get(key, (0, Signs()))
            if size > about.st_size:
                size, signs = 0, Signs()
            if size < about.st_size:
                head = os.pread(raw.fileno(), _BLOCK, 0)
                plain = kind_of(head) == "plain"
                if plain and looks_binary(head):
                    raise LogFileError(f"{path}: is a binary file; name a log file")
                for lines in _backwards(raw, size) if plain else _archive(path):
                    signs |= self._examiner.examine(lines, about.st_mtime, now)
                    if plain and signs.newest_decision is not None:
                        break
            self._known[key] = (about.st_size, signs)
        return signs


def newest_reload(examiner: Examiner, tag: str, log: Path | None, directory: Path | None, now: float) -> float | None:
    """Return when postgrey last reloaded its whitelists, by what is left of a log or, without a log, of the journal.

    Raises `PostgreyExporterError` if that can't be read.
    """
    if log is None:
        renderer = Renderer(tag, trusted_accounts(tag))
        arguments = [f"--lines={_MOST_ENTRIES}", *postgreys(tag, directory)]
        blocks = ((lines, now) for lines, _ in _newest_entries(renderer, arguments, directory))
        return _first_reload(examiner, blocks, now)
    with reading_errors(log), open_regular(log) as raw:
        written = os.fstat(raw.fileno()).st_mtime
        return _first_reload(examiner, ((lines, written) for lines in _backwards(raw, 0)), now)


def _first_reload(examiner: Examiner, blocks: Iterable[tuple[bytes, float]], now: float) -> float | None:
    found = (examiner.newest_reload(lines, seen_at, now) for lines, seen_at in blocks)
    return next((moment for moment in found if moment is not None), None)


def examine_journal(examiner: Examiner, tag: str, directory: Path | None, now: float) -> Signs:
    """Return what the journal shows. Raises `JournalError` if it can't be read."""
    renderer = Renderer(tag, trusted_accounts(tag))
    signs = Signs()
    arguments = [f"--lines={_MOST_ENTRIES}", *postgreys(tag, directory)]
    for lines, unverified in _newest_entries(renderer, arguments, directory):
        signs |= examiner.examine(lines, now, now) | Signs(unverified=unverified)
        if signs.newest_decision is not None:
            return signs
    others = [f"SYSLOG_IDENTIFIER={name}" for name in OTHER_GREYLISTERS]
    for lines, _ in _newest_entries(renderer, [f"--lines={_ENTRIES_AT_ONCE}", *others], directory):
        signs |= examiner.examine(lines, now, now)
    return signs


def _newest_entries(
    renderer: Renderer, arguments: list[str], directory: Path | None
) -> Iterator[tuple[bytes, frozenset[str]]]:
    """Yield the lines of some entries, the newest first, and who else uses postgrey's identifier in these."""
    with Journalctl(directory, ["--reverse", *arguments]) as child:
        entries = child.entries()
        while block := list(islice(entries, _ENTRIES_AT_ONCE)):
            unverified = {
                f"{who.unit.decode(errors='replace') or 'no unit'}, account {who.uid.decode(errors='replace')}"
                for who in block
                if renderer.is_unverified(who)
            }
            yield b"".join(map(renderer.line, block)), frozenset(unverified)


def _backwards(raw: IO[bytes], known: int) -> Iterator[bytes]:
    """Yield the end of a file in blocks of whole lines, the last first, except what is ``known``."""
    end = os.fstat(raw.fileno()).st_size
    stop = max(0, end - _FARTHEST, known - _BLOCK)  # a line that was half written then is whole now
    rest = b""
    while end > stop:
        start = max(stop, end - _BLOCK)
        block = os.pread(raw.fileno(), end - start, start) + rest
        # A block that no line ends in is the inside of one; what begins there is no line.
        cut = (block.find(b"\n") + 1 or len(block)) if start else 0
        rest = block[:cut] if cut <= _BLOCK else b""  # of an overlong line its beginning is enough
        yield block[cut:]
        end = start


def _archive(path: Path) -> Iterator[bytes]:
    size = 0
    with open_log(path) as stream:
        for lines in whole_lines(stream):
            yield lines
            size += len(lines)
            if size > _FARTHEST:
                return


def _newest(log: Path) -> list[Path]:
    found = []
    for path in rotated_names(log):
        try:
            found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(found, reverse=True)[:_ROTATED_FILES]]
