"""Logs that are named on the command line, added up in memory: no state, no position."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from postgrey_exporter.ledger import Ledger
from postgrey_exporter.sources.archive import (
    LogFileError,
    decompressed,
    kind_of,
    looks_binary,
    open_regular,
    reading_errors,
    unpacked,
)
from postgrey_exporter.sources.journal_text import form_of, journal_lines
from postgrey_exporter.sources.lines import whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postgrey_exporter.parser import Parser
    from postgrey_exporter.sources import Source

STANDARD_INPUT: Final = Path("standard input")
_LOOK: Final = 4096


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time in seconds since the epoch; open where there is no bound."""

    since: float | None = None
    until: float | None = None

    def holds(self, moment: float) -> bool:
        """Tell whether a moment lies in it; the end is outside."""
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    @property
    def bounded(self) -> bool:
        """Whether it leaves anything out."""
        return self.since is not None or self.until is not None


@dataclass(slots=True)
class Reading:
    """What logs added up to, and what kept some of them from being read."""

    ledger: Ledger
    problems: list[str] = field(default_factory=list)
    """One line for each log that was not read, or not to its end: the counts are then partial."""
    logs: int = 0
    """How many logs were read, at least in part."""
    newest: float | None = None
    """When the newest of the logs was last written, in seconds since the epoch."""


class LogReader:
    """Adds up logs of any compression."""

    def __init__(self, parser: Parser, period: Period, progress: Callable[[int], None] = lambda _: None) -> None:
        """Take what the lines are parsed with, which moments count, and who is told of bytes read from disk."""
        self._parser = parser
        self._progress = progress
        self._seen: set[tuple[int, int]] = set()
        self.reading = Reading(Ledger(period.holds if period.bounded else None))

    def read_files(self, logs: Iterable[Path]) -> None:
        """Read files, the oldest first. One that was read already, by whatever name, is passed over.

        Trouble becomes a problem.
        """
        for path in sorted(logs, key=_last_written):
            try:
                with reading_errors(path), open_regular(path) as raw:
                    self._read_file(path, raw)
            except LogFileError as error:
                self.reading.problems.append(str(error))

    def read_stream(self, stream: IO[bytes], now: float, tag: str) -> None:
        """Read a stream that can't be sought, such as standard input: a log, or what journalctl prints.

        ``now`` dates lines without a full date; ``tag`` is what postgrey's journal entries become lines of.
        """
        buffered = (
            stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
        )
        try:
            with reading_errors(STANDARD_INPUT):
                head = buffered.peek(_LOOK)
                form = form_of(head)
                self.reading.logs += 1
                blocks = (
                    journal_lines(buffered, form, tag) if form else whole_lines(decompressed(buffered, kind_of(head)))
                )
                self._add(blocks, now, lambda lines: self._progress(len(lines)))
        except LogFileError as error:
            self.reading.problems.append(str(error))

    def read_source(self, source: Source, now: float) -> None:
        """Read what a source has: a log with its rotated files, or the journal."""
        try:
            source.resume(None)
            for batch in source.batches(now):
                self._add([batch.lines], batch.seen_at, lambda lines: self._progress(len(lines)))
            status = source.status()
        finally:
            source.close()
        self.reading.problems.extend(status.unreadable)
        if status.error is not None:
            self.reading.problems.append(status.error)
        else:
            self.reading.logs += 1
        self.reading.newest = self.reading.ledger.tally.last_event

    def _read_file(self, path: Path, raw: IO[bytes]) -> None:
        about = os.fstat(raw.fileno())
        file = (about.st_dev, about.st_ino)
        if file in self._seen:
            return
        self._seen.add(file)
        done = 0

        def tell(_: bytes) -> None:
            nonlocal done
            before, done = done, raw.tell()
            self._progress(done - before)

        stream = unpacked(raw)
        if stream is raw and looks_binary(os.pread(raw.fileno(), _LOOK, 0)):
            raise LogFileError(f"{path}: is a binary file; name a log file")
        self.reading.logs += 1
        self.reading.newest = max(self.reading.newest or 0.0, about.st_mtime)
        self._add(whole_lines(stream), about.st_mtime, tell)
        if raw.tell() < about.st_size:
            raise LogFileError(f"{path}: shrank while it was read; read it again")

    def _add(self, blocks: Iterable[bytes], seen_at: float, tell: Callable[[bytes], None]) -> None:
        for lines in blocks:
            self.reading.ledger.add(self._parser.parse(lines, seen_at))
            tell(lines)


def _last_written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
