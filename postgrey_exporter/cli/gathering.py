"""What `report` and `check` stand on: the logs that were named, or else the exporter's state."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from postgrey_exporter.cli.progress import Progress
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.line import DECISION
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.parsing.remarks import why_nothing
from postgrey_exporter.pipeline.batch import BatchResult, LogReader, Period
from postgrey_exporter.settings import default_state, list_paths, parse_moment
from postgrey_exporter.summary.domain import Standings, standings
from postgrey_exporter.window import HOUR, hour_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from postgrey_exporter.decision import Client
    from postgrey_exporter.state.reader import StateReader
    from postgrey_exporter.window import Window

STANDARD_INPUT: Final = Path("-")


class GatheringSettings(NamedTuple):
    """The options of the commands that look once."""

    logs: Sequence[Path]
    timezone: tzinfo | None
    syslog_tag: str
    state: Path | None
    window: Window
    whitelist_files: Sequence[Path]
    ignore_files: Sequence[Path]
    since: str | None
    until: str | None


class Gathered(NamedTuple):
    """What was found out."""

    since: float | None
    until: float | None
    decisions: Mapping[tuple[str, str], int]
    standings: Standings
    lists: ListFiles
    problems: tuple[str, ...]
    blind: str | None
    """Why nothing can be told, and what to do, if no decision of postgrey's was seen."""
    oddities: tuple[str, ...]
    """What is to be said of lines that were not understood, one sentence for each form."""
    newest: float | None
    """When the newest log was written to, or the state last had news; seconds since the epoch."""
    clients: Callable[[], Iterable[tuple[Client, int, int]]]
    """Yields each client with how often it was greylisted as new and as an early retry."""


def period_of(settings: GatheringSettings, now: float) -> Period:
    """Return the time that was asked for. Raises `click.UsageError`."""
    try:
        since, until = (
            None if text is None else parse_moment(text, now, settings.timezone)
            for text in (settings.since, settings.until)
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if since is not None and until is not None and since >= until:
        raise click.UsageError(f"--since {settings.since} is not before --until {settings.until}")
    return Period(since, until)


def gather(settings: GatheringSettings, *, propose: bool) -> Gathered:
    """Look at the named logs or the state; ``propose`` as for `advice.advise`. Raises `PostgreyExporterError`."""
    now = time.time()
    period = period_of(settings, now)
    lists = ListFiles(*list_paths(settings.whitelist_files, settings.ignore_files))
    lists.refresh(now)
    gathering = _Gathering(settings, period, lists, now, propose)
    if settings.logs:
        return gathering.from_logs()
    if settings.state is not None or default_state(os.environ).exists():
        return gathering.from_state()
    return gathering.from_detected()


class _Gathering(NamedTuple):
    """What is asked, of which lists, and when."""

    settings: GatheringSettings
    period: Period
    lists: ListFiles
    now: float
    propose: bool

    def from_logs(self) -> Gathered:
        settings = self.settings
        files = [log for log in settings.logs if log != STANDARD_INPUT]
        has_stream = len(files) < len(settings.logs)
        size = None if has_stream else sum(file.stat().st_size for file in files if file.is_file())
        with closing(Progress(size)) as progress:
            reader = self._log_reader(self.period, progress)
            reader.read_files(files)
            if has_stream:
                reader.read_stream(sys.stdin.buffer)
        lines = reader.result.tally.lines
        is_blind = reader.result.logs and not lines[DECISION]
        return self._gathered(reader.result, self.period, self._why_blind(files, lines) if is_blind else None)

    def from_detected(self) -> Gathered:
        from postgrey_exporter.cli.composition import detecting_source  # noqa: PLC0415 - not needed to read logs

        settings, period = self.settings, self.period
        if period.since is None:
            period = Period(settings.window.first_hour(self.now) * HOUR, period.until)
        with closing(Progress(None)) as progress:
            reader = self._log_reader(period, progress)
            reader.read_source(detecting_source(settings.syslog_tag, settings.timezone, settings.window, {}))
        lines = reader.result.tally.lines
        return self._gathered(reader.result, period, None if lines[DECISION] else why_nothing(lines))

    def from_state(self) -> Gathered:
        path = self.settings.state or default_state(os.environ)
        since, until = self.period
        first_hour = window_hour = self.settings.window.first_hour(self.now)
        if since is not None:
            first_hour = max(first_hour, hour_of(since))
        last_hour = None if until is None else hour_of(until - 1)
        with closing(_opened(path)) as reader:
            is_blind = not any(reader.decisions(window_hour).values())
            return Gathered(
                since=first_hour * HOUR,
                until=self.now if until is None else until,
                decisions=reader.decisions(first_hour, last_hour),
                standings=standings(
                    reader.facts(first_hour, last_hour), self.lists.lists, self.now, propose=self.propose
                ),
                lists=self.lists,
                problems=(),
                blind=why_nothing(reader.lines()) if is_blind else None,
                oddities=(),
                newest=reader.looked_at(),
                clients=lambda: _clients_of_state(path, first_hour, last_hour),
            )

    def _log_reader(self, period: Period, progress: Progress) -> LogReader:
        return LogReader(Parser(self.settings.syslog_tag, self.settings.timezone), period, self.now, progress)

    def _why_blind(self, files: Iterable[Path], lines: Mapping[str, int]) -> str | None:
        """Return why logs without a decision tell nothing; ``None`` if one was rotated after its latest decision."""
        from postgrey_exporter.sources.compression import LogFileError  # noqa: PLC0415 - rarely needed
        from postgrey_exporter.sources.detect.examine import FileExaminer  # noqa: PLC0415
        from postgrey_exporter.sources.detect.signs import Examiner, Signs  # noqa: PLC0415

        signs = Signs()
        for file in files:
            with suppress(LogFileError):
                examiner = Examiner(self.settings.syslog_tag, self.settings.timezone)
                signs |= FileExaminer(examiner).examine(file, self.now)
        newest = signs.newest_decision
        first = self.settings.window.first_hour(self.now) * HOUR
        if signs.lines[DECISION] and newest is not None and newest >= first:
            return None
        return why_nothing(lines, signs.others())

    def _gathered(self, result: BatchResult, period: Period, blind: str | None) -> Gathered:
        if not result.logs:
            raise PostgreyExporterError("; ".join(result.problems))
        tally = result.tally
        tally.close()
        # Nothing is known of what came after the logs' end.
        end = min(self.now, self.now if period.until is None else period.until, tally.last_event or self.now)
        return Gathered(
            since=tally.first_event if period.since is None else period.since,
            until=tally.last_event if period.until is None else period.until,
            decisions=tally.decision_totals(),
            standings=standings(tally.facts(), self.lists.lists, end, propose=self.propose),
            lists=self.lists,
            problems=tuple(result.problems),
            blind=blind,
            oddities=tuple(sorted(result.oddities)),
            newest=result.newest,
            clients=tally.clients,
        )


def _clients_of_state(path: Path, first_hour: int, last_hour: int | None) -> Iterator[tuple[Client, int, int]]:
    with closing(_opened(path)) as reader:
        yield from reader.clients(first_hour, last_hour)


def _opened(path: Path) -> StateReader:
    from postgrey_exporter.state.reader import StateReader  # noqa: PLC0415 - not needed to read logs

    return StateReader(path)
