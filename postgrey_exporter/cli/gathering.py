"""What `report` and `check` stand on: the logs that were named, or else the exporter's state."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from postgrey_exporter.cli.listfiles import open_lists
from postgrey_exporter.cli.progress import Progress
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.parsing.line import DECISION
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.parsing.remarks import why_nothing
from postgrey_exporter.pipeline.batch import BatchResult, LogReader, Period
from postgrey_exporter.settings import default_state, parse_moment
from postgrey_exporter.summary.domain import Standings, standings
from postgrey_exporter.window import HOUR, hour_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from postgrey_exporter.counting.tally import Tally
    from postgrey_exporter.decision import Client
    from postgrey_exporter.lists import ListFiles
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
    """Look at the logs that were named, or at the state; ``propose`` as for `advice.advise`.

    Raises `PostgreyExporterError`, `click.UsageError`.
    """
    now = time.time()
    period = period_of(settings, now)
    lists = open_lists(settings.whitelist_files, settings.ignore_files)
    lists.refresh(now)
    if settings.logs:
        return _from_logs(settings, period, lists, now, propose=propose)
    if settings.state is not None or default_state(os.environ).exists():
        return _from_state(settings, period, lists, now, propose=propose)
    return _from_detected(settings, period, lists, now, propose=propose)


def _from_logs(
    settings: GatheringSettings, period: Period, lists: ListFiles, now: float, *, propose: bool
) -> Gathered:
    files = [log for log in settings.logs if log != STANDARD_INPUT]
    progress = Progress(_size(files) if len(files) == len(settings.logs) else None)
    reader = LogReader(Parser(settings.syslog_tag, settings.timezone), period, now, progress)
    try:
        reader.read_files(files)
        if len(files) < len(settings.logs):
            reader.read_stream(sys.stdin.buffer)
    finally:
        progress.close()
    if reader.result.logs and not reader.result.tally.lines[DECISION]:
        blind = _why_blind(settings, files, reader.result.tally.lines, now)
    else:
        blind = None
    return _gathered(reader.result, period, lists, now, blind, propose=propose)


def _why_blind(
    settings: GatheringSettings, files: Iterable[Path], lines: Mapping[str, int], now: float
) -> str | None:
    """Return why logs without a decision tell nothing; ``None`` if one was rotated after its latest decision."""
    from postgrey_exporter.sources.compression import LogFileError  # noqa: PLC0415 - rarely needed
    from postgrey_exporter.sources.detect.examine import FileExaminer  # noqa: PLC0415
    from postgrey_exporter.sources.detect.signs import Examiner, Signs  # noqa: PLC0415

    signs = Signs()
    for file in files:
        with suppress(LogFileError):
            signs |= FileExaminer(Examiner(settings.syslog_tag, settings.timezone)).examine(file, now)
    newest = signs.newest_decision
    if signs.lines[DECISION] and newest is not None and newest >= settings.window.first_hour(now) * HOUR:
        return None
    return why_nothing(lines, signs.others())


def _from_detected(
    settings: GatheringSettings, period: Period, lists: ListFiles, now: float, *, propose: bool
) -> Gathered:
    from postgrey_exporter.cli.composition import detecting_source  # noqa: PLC0415 - not needed to read logs

    if period.since is None:
        period = Period(settings.window.first_hour(now) * HOUR, period.until)
    progress = Progress(None)
    reader = LogReader(Parser(settings.syslog_tag, settings.timezone), period, now, progress)
    try:
        reader.read_source(detecting_source(settings.syslog_tag, settings.timezone, settings.window, {}))
    finally:
        progress.close()
    lines = reader.result.tally.lines
    return _gathered(
        reader.result, period, lists, now, None if lines[DECISION] else why_nothing(lines), propose=propose
    )


def _gathered(
    result: BatchResult, period: Period, lists: ListFiles, now: float, blind: str | None, *, propose: bool
) -> Gathered:
    if not result.logs:
        raise PostgreyExporterError("; ".join(result.problems))
    tally = result.tally
    tally.close()
    return Gathered(
        since=tally.first_event if period.since is None else period.since,
        until=tally.last_event if period.until is None else period.until,
        decisions=tally.decision_totals(),
        standings=standings(tally.facts(), lists.lists, _end(period, tally, now), propose=propose),
        lists=lists,
        problems=tuple(result.problems),
        blind=blind,
        oddities=tuple(sorted(result.oddities)),
        newest=result.newest,
        clients=tally.clients,
    )


def _end(period: Period, tally: Tally, now: float) -> float:
    """Return the moment as of which logs tell: nothing is known of what came after them."""
    return min(now, now if period.until is None else period.until, tally.last_event or now)


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def _from_state(
    settings: GatheringSettings, period: Period, lists: ListFiles, now: float, *, propose: bool
) -> Gathered:
    from postgrey_exporter.state.reader import StateReader  # noqa: PLC0415 - not needed to read logs

    path = settings.state or default_state(os.environ)
    reader = StateReader(path)
    try:
        first_hour = settings.window.first_hour(now)
        if period.since is not None:
            first_hour = max(first_hour, hour_of(period.since))
        last_hour = None if period.until is None else hour_of(period.until - 1)
        return Gathered(
            since=first_hour * HOUR,
            until=now if period.until is None else period.until,
            decisions=reader.decisions(first_hour, last_hour),
            standings=standings(reader.facts(first_hour, last_hour), lists.lists, now, propose=propose),
            lists=lists,
            problems=(),
            blind=None
            if any(reader.decisions(settings.window.first_hour(now)).values())
            else why_nothing(reader.lines()),
            oddities=(),
            newest=reader.looked_at(),
            clients=lambda: _clients_of_state(path, first_hour, last_hour),
        )
    finally:
        reader.close()


def _clients_of_state(path: Path, first_hour: int, last_hour: int | None) -> Iterator[tuple[Client, int, int]]:
    from postgrey_exporter.state.reader import StateReader  # noqa: PLC0415 - not needed to read logs

    reader = StateReader(path)
    try:
        yield from reader.clients(first_hour, last_hour)
    finally:
        reader.close()
