"""Looking into a log file or the journal for the newest decisions of postgrey's, from the end backwards.

A look is repeated while nothing is found, so a file's evidence is kept and only what was added is read again.
"""

from __future__ import annotations

import os
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
from postgrey_exporter.sources.detect.evidence import OTHER_GREYLISTERS, Evidence, Examiner
from postgrey_exporter.sources.file.rotation import rotated_names
from postgrey_exporter.sources.journal.entry import Renderer, trusted_accounts
from postgrey_exporter.sources.journal.journalctl import Journalctl, postgreys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

_BLOCK: Final = 1 << 20
_FARTHEST: Final = 32 << 20
"""Bytes from a log's end that are looked at; archives: from their start."""
_ROTATED_FILES: Final = 2
"""How many rotated files are looked into when the log itself has no decision: it may have been rotated just now."""


_ENTRIES_AT_ONCE: Final = 200
_MOST_ENTRIES: Final = 20_000


class FileExaminer:
    """Gathers evidence from log files; remembers what it has seen of each."""

    def __init__(self, examiner: Examiner) -> None:
        """Take what examines the lines."""
        self._examiner = examiner
        self._seen: dict[tuple[int, int], tuple[int, Evidence]] = {}

    def examine(self, log: Path, now: float) -> Evidence:
        """Return what a log shows, and its newest rotated files where it has no decision itself.

        Raises `LogFileError` when it can't be read.
        """
        evidence = self._file(log, now)
        if evidence.newest_decision is None:
            for rotated in _newest(log):
                try:
                    evidence = evidence.merged(self._file(rotated, now))
                except LogFileError:
                    continue
                if evidence.newest_decision is not None:
                    break
        return evidence

    def _file(self, path: Path, now: float) -> Evidence:
        with reading_errors(path), open_regular(path) as raw:
            about = os.fstat(raw.fileno())
            key = (about.st_dev, about.st_ino)
            size, evidence = self._seen.get(key, (0, Evidence()))
            if size > about.st_size:
                size, evidence = 0, Evidence()
            if size < about.st_size:
                head = os.pread(raw.fileno(), _BLOCK, 0)
                plain = kind_of(head) == "plain"
                if plain and looks_binary(head):
                    raise LogFileError(f"{path}: is a binary file; name a log file")
                for lines in _backwards(raw, size) if plain else _archive(path):
                    evidence = evidence.merged(self._examiner.examine(lines, about.st_mtime, now))
                    if plain and evidence.newest_decision is not None:
                        break
            self._seen[key] = (about.st_size, evidence)
        return evidence


def newest_reload(examiner: Examiner, tag: str, log: Path | None, directory: Path | None, now: float) -> float | None:
    """Return when postgrey last read its whitelists again, as far as a log or the journal (no log) reaches back.

    Raises `PostgreyExporterError` where it can't be read.
    """
    if log is None:
        renderer = Renderer(tag, trusted_accounts(tag))
        arguments = [f"--lines={_MOST_ENTRIES}", *postgreys(tag)]
        blocks = ((lines, now) for lines, _ in _newest_entries(renderer, arguments, directory))
        return _first_reload(examiner, blocks, now)
    with reading_errors(log), open_regular(log) as raw:
        written = os.fstat(raw.fileno()).st_mtime
        return _first_reload(examiner, ((lines, written) for lines in _backwards(raw, 0)), now)


def _first_reload(examiner: Examiner, blocks: Iterable[tuple[bytes, float]], now: float) -> float | None:
    found = (examiner.newest_reload(lines, seen_at, now) for lines, seen_at in blocks)
    return next((moment for moment in found if moment is not None), None)


def examine_journal(examiner: Examiner, tag: str, directory: Path | None, now: float) -> Evidence:
    """Return what the journal shows. Raises `journalctl.JournalError` when it can't be read."""
    renderer = Renderer(tag, trusted_accounts(tag))
    evidence = Evidence()
    for lines, disowned in _newest_entries(renderer, [f"--lines={_MOST_ENTRIES}", *postgreys(tag)], directory):
        evidence = evidence.merged(examiner.examine(lines, now, now)).merged(Evidence(disowned=disowned))
        if evidence.newest_decision is not None:
            return evidence
    others = [f"SYSLOG_IDENTIFIER={name}" for name in OTHER_GREYLISTERS]
    for lines, _ in _newest_entries(renderer, [f"--lines={_ENTRIES_AT_ONCE}", *others], directory):
        evidence = evidence.merged(examiner.examine(lines, now, now))
    return evidence


def _newest_entries(
    renderer: Renderer, arguments: list[str], directory: Path | None
) -> Iterator[tuple[bytes, frozenset[str]]]:
    """Yield lines of entries, the newest first, and beside them who else uses postgrey's identifier."""
    with Journalctl(directory, ["--reverse", *arguments]) as child:
        entries = child.entries()
        while block := list(islice(entries, _ENTRIES_AT_ONCE)):
            disowned = {
                f"{who.unit.decode(errors='replace') or 'no unit'}, account {who.uid.decode(errors='replace')}"
                for who in block
                if renderer.disowns(who)
            }
            yield b"".join(map(renderer.line, block)), frozenset(disowned)


def _backwards(raw: IO[bytes], known: int) -> Iterator[bytes]:
    """Yield the end of a file in blocks of whole lines, the last first, as far as it is not known yet."""
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
