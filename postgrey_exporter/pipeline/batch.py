"""Counts logs that are named on the command line, in memory: no state, no position."""

from __future__ import annotations

import io
import os
import re
import threading
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.memory.table import give_back_free, keep_large_apart
from postgrey_exporter.parsing.line import Carry
from postgrey_exporter.pipeline.parallel import cores, in_turn
from postgrey_exporter.sources.blocks import BLOCK_SIZE, Stretch, whole_lines
from postgrey_exporter.sources.compression import (
    LogFileError,
    decompressed,
    kind_of,
    looks_binary,
    open_regular,
    reading_errors,
    unpacked,
)
from postgrey_exporter.sources.years import Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from postgrey_exporter.parsing.decisions import Decisions
    from postgrey_exporter.parsing.parser import Parser
    from postgrey_exporter.sources import Source

STANDARD_INPUT: Final = Path("standard input")
_LOOK: Final = 4096
_LOOK_BACK: Final = 64 << 10
"""Bytes before a stretch in which the stamp is looked for that its first lines lack."""
_MAY_BE_JOURNAL: Final = re.compile(rb"__CURSOR|__(?:REALTIME|MONOTONIC)_TIMESTAMP|_BOOT_ID|MESSAGE")
"""What each text of the journal has near its begin."""
_SETTLED_TOGETHER: Final = 125_000
"""Attempts that are kept in memory before they settle: some megabytes."""

Block = tuple["Decisions", int]
"""The decisions of a block of lines, and the bytes that the block takes in the file."""


class Period(NamedTuple):
    """A period in seconds since the epoch; ``None`` is no bound."""

    since: float | None = None
    until: float | None = None
    """The end is outside."""


@dataclass(slots=True)
class BatchResult:
    """The counts of some logs, and the problems with them."""

    tally: Tally
    problems: list[str] = field(default_factory=list)
    """One line for each log that was not read, or not to its end. The counts are partial then."""
    logs: int = 0
    """How many logs were read, at least in part."""
    newest: float | None = None
    """When the newest of the logs was last written, in seconds since the epoch."""
    oddities: set[str] = field(default_factory=set)
    """What is to be said of the lines, one sentence for each form."""


class _Buffer(threading.local):
    """A buffer for each thread: a new one for each stretch would take a tenth of the time of reading it."""

    def __init__(self) -> None:
        self.content = bytearray(BLOCK_SIZE)


class LogReader:
    """Counts the decisions of logs of any compression."""

    def __init__(
        self,
        parser: Parser,
        period: Period,
        now: float,
        progress: Callable[[int], None] = lambda _: None,
        *,
        stretch_bytes: int = 8 << 20,
    ) -> None:
        """Create a reader for the decisions of a period. It calls ``progress`` with the bytes of each block.

        One core reads so many ``stretch_bytes`` of a plain file at a time.
        """
        keep_large_apart()
        self._stretch_bytes = stretch_bytes
        self._parser = parser
        self._now = now
        self._progress = progress
        self._seen: set[tuple[int, int]] = set()
        self._buffer = _Buffer()
        self.result = BatchResult(Tally(parser.keyed, since=period.since, until=period.until))

    def read_files(self, logs: Iterable[Path]) -> None:
        """Read files, the oldest first. Skips a file that was read already, by whatever name.

        An error becomes one of the result's problems.
        """
        in_turn(self._jobs(logs), self._take, cores())
        give_back_free()

    def read_stream(self, stream: IO[bytes]) -> None:
        """Read a stream that can't be sought, such as standard input: a log, or what journalctl prints."""
        buffered = _buffered(stream)
        try:
            with reading_errors(STANDARD_INPUT):
                stream = _buffered(decompressed(buffered, kind_of(buffered.peek(_LOOK))))
                blocks = self._blocks(stream)
                self.result.logs += 1
                for decisions, lines in self._read(self._parser, ((lines, self._now) for lines in blocks)):
                    self._take((decisions, len(lines)))
        except LogFileError as error:
            self._note_problem(error)

    def read_source(self, source: Source) -> None:
        """Read a source: a log with its rotated files, or the journal."""
        try:
            source.resume(None)
            for decisions, lines in self._read(self._parser, source.batches(self._now)):
                self._take((decisions, len(lines)))
            status = source.status()
        finally:
            source.close()
        self.result.problems.extend(status.unreadable)
        if status.error is not None:
            self.result.problems.append(status.error)
        else:
            self.result.logs += 1
        self.result.newest = self.result.tally.last_event

    def _jobs(self, logs: Iterable[Path]) -> Iterator[Iterator[Block | LogFileError]]:
        """Yield a job for each file, and several for a large plain one."""
        for path in sorted(logs, key=_last_written):
            try:
                with reading_errors(path), open_regular(path) as raw:
                    yield from self._jobs_of_file(path, raw)
            except LogFileError as error:
                self._note_problem(error)

    def _jobs_of_file(self, path: Path, raw: IO[bytes]) -> Iterator[Iterator[Block | LogFileError]]:
        about = os.fstat(raw.fileno())
        file = (about.st_dev, about.st_ino)
        if file in self._seen:
            return
        self._seen.add(file)
        head = os.pread(raw.fileno(), _LOOK, 0)
        kind = kind_of(head)
        is_text = kind == "plain" and not _MAY_BE_JOURNAL.search(head)
        if is_text and looks_binary(head):
            raise LogFileError(f"{path}: is a binary file; name a log file")
        self.result.logs += 1
        self.result.newest = max(self.result.newest or 0.0, about.st_mtime)
        if not is_text:
            yield _until_error(self._from_archive(path, os.dup(raw.fileno()), about))
            return
        for piece in pieces(raw.fileno(), 0, about.st_size, about.st_mtime, self._parser.headers.stamp):
            for begin in range(piece.begin, max(piece.begin + 1, piece.end), self._stretch_bytes):
                stretch = piece._replace(begin=begin, end=min(begin + self._stretch_bytes, piece.end))
                is_last = stretch.end >= about.st_size
                yield _until_error(self._from_stretch(path, os.dup(raw.fileno()), stretch, is_last=is_last))

    def _from_stretch(self, path: Path, file: int, piece: Piece, *, is_last: bool) -> Iterator[Block]:
        with reading_errors(path), os.fdopen(file, "rb", buffering=0):
            parser = self._parser.another()
            stretch = Stretch(file, piece.begin, inf if is_last else piece.end, self._buffer.content)
            blocks = ((lines, piece.seen_at) for lines in stretch.blocks())
            for decisions, lines in self._read(parser, blocks, partial(self._before, parser, file, piece)):
                yield decisions, len(lines)
            if stretch.at < piece.end:
                raise LogFileError(f"{path}: shrank while it was read; read it again")

    def _from_archive(self, path: Path, file: int, about: os.stat_result) -> Iterator[Block]:
        with reading_errors(path), os.fdopen(file, "rb", buffering=0) as raw:
            parser = self._parser.another()
            before = 0
            stream = _buffered(unpacked(raw))  # it closes the file when it goes
            blocks = ((lines, about.st_mtime) for lines in self._blocks(stream))
            for decisions, _ in self._read(parser, blocks):
                at = raw.tell()
                yield decisions, at - before
                before = at

    def _blocks(self, stream: io.BufferedReader) -> Iterator[bytes]:
        """Yield a stream's lines in blocks: a log's, or those made of postgrey's entries in a journal's text."""
        head = stream.peek(_LOOK)
        if _MAY_BE_JOURNAL.search(head):
            # Imported late: reading logs should not wait for it.
            from postgrey_exporter.sources.journal.text import form_of, journal_lines  # noqa: PLC0415

            form = form_of(head)
            if form is not None:
                return journal_lines(stream, form, self._parser.tag)
        return whole_lines(stream)

    def _read(
        self,
        parser: Parser,
        blocks: Iterable[tuple[bytes | memoryview, float]],
        before: Callable[[], Carry] = Carry,
    ) -> Iterator[tuple[Decisions, bytes | memoryview]]:
        """Yield the decisions of blocks that follow each other, each with when it was there at the latest."""
        for lines, seen_at in blocks:
            decisions = parser.read(lines, seen_at, self._now, before)
            before = partial(_same, decisions.carry)
            yield decisions, lines

    def _before(self, parser: Parser, file: int, piece: Piece) -> Carry:
        """Return what the lines before a piece leave to it."""
        if not piece.begin:
            return Carry()
        stretch = Stretch(file, max(0, piece.begin - _LOOK_BACK), piece.begin, bytearray(_LOOK_BACK))
        carry = Carry()
        for decisions, _ in self._read(parser.another(), ((lines, piece.seen_at) for lines in stretch.blocks())):
            carry = decisions.carry
        return carry

    def _take(self, block: Block | LogFileError) -> None:
        if isinstance(block, LogFileError):
            self._note_problem(block)
        else:
            decisions, read = block
            self._add(decisions)
            self._progress(read)

    def _add(self, decisions: Decisions) -> None:
        self.result.oddities |= decisions.oddities
        tally = self.result.tally
        tally.add(decisions)
        if tally.unsettled >= _SETTLED_TOGETHER:
            tally.settle()

    def _note_problem(self, error: LogFileError) -> None:
        if str(error) not in self.result.problems:
            self.result.problems.append(str(error))


def _buffered(stream: IO[bytes]) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))


def _same(carry: Carry) -> Carry:
    return carry


def _until_error(blocks: Iterable[Block]) -> Iterator[Block | LogFileError]:
    """Yield blocks and, if trouble with the log ends them, the error."""
    try:
        yield from blocks
    except LogFileError as error:
        yield error


def _last_written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
