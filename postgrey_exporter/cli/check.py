"""``check``: the Nagios and Icinga plugin. Whatever keeps it from looking is UNKNOWN, never OK."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.gathering import GatheringSettings, gather
from postgrey_exporter.cli.output import say
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.parsing.stamp import CLOCK_SKEW
from postgrey_exporter.report.nagios import PluginResult, Range, check, unknown
from postgrey_exporter.settings import DEFAULT_THRESHOLD, parse_duration
from postgrey_exporter.wording import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgrey_exporter.cli.gathering import Gathered

_LIST_NAMES = {"whitelist": "the whitelist", "ignore": "the ignore file"}
_LOG_MAX_AGE = "8d"
_STATE_MAX_AGE = "1h"


class _TimedOutError(Exception):
    """The time that ``--timeout`` gives is over."""


class _Plugin(click.Command):
    """A command whose every failure is the plugin's UNKNOWN, on standard output, with status 3."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments; what is wrong with them is UNKNOWN too."""
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            _finish(unknown(error.format_message()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            _finish(unknown(error.format_message()))
        except PostgreyExporterError as error:
            _finish(unknown(str(error)))
        except _TimedOutError:
            _finish(unknown(f"not done within {ctx.params['timeout']} s; see --timeout"))
        except Exception as error:  # noqa: BLE001 - a monitoring system must not take a crash for a result
            _finish(unknown(f"{type(error).__name__}: {error}"))


@click.command("check", cls=_Plugin)
@options.gathering_options
@options.option(
    "--warning",
    "-w",
    "--threshold",
    type=options.Parsed("range", Range.parse),
    default=str(DEFAULT_THRESHOLD),
    envvar=options.variable("--threshold"),
    help="WARNING from this number of unreviewed attempts of a domain on, or outside a Nagios range.",
)
@options.option(
    "--critical",
    "-c",
    type=options.Parsed("range", Range.parse),
    help="CRITICAL from this number of unreviewed attempts of a domain on, or outside a Nagios range.  "
    "[default: never]",
)
@options.option(
    "--max-age",
    type=options.Parsed("duration", parse_duration),
    help=f"UNKNOWN if the newest log, or the exporter's state, is older than this.  "
    f"[default: {_LOG_MAX_AGE} for a log, {_STATE_MAX_AGE} for a state]",
)
@options.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=30,
    help="UNKNOWN after this number of seconds without a result.",
)
def command(
    warning: Range, critical: Range | None, max_age: int | None, timeout: int, **gathering_options: Any
) -> None:
    """Warn about unreviewed sender domains, as a Nagios or Icinga plugin.

    A domain is unreviewed if no whitelist or ignore entry covers its clients.

    LOG is a file, plain or compressed by gzip, bzip2, xz or zstd, or - for standard input. Without LOG the command
    reads the exporter's state; without a state it finds postgrey's log and reads the last --window of it.

    Exit status: 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN).
    """
    settings = GatheringSettings(**gathering_options)
    with _limited(timeout):
        gathered = gather(settings, propose=False)
        hindrance = _hindrance(gathered, from_logs=bool(settings.logs), max_age=max_age)
        if hindrance:
            _finish(unknown(*hindrance))
        _finish(check(gathered.standings.domains, warning, critical, gathered.problems))


def _hindrance(gathered: Gathered, *, from_logs: bool, max_age: int | None) -> list[str]:
    """Return what makes the counts say nothing."""
    found = [f"{_LIST_NAMES[status.list]} {status.error}" for status in gathered.lists.statuses() if not status.up]
    if gathered.blind is not None:
        found.append(gathered.blind)
    limit = parse_duration(_LOG_MAX_AGE if from_logs else _STATE_MAX_AGE) if max_age is None else max_age
    age = None if gathered.newest is None else time.time() - gathered.newest
    what = "the newest log was last written to" if from_logs else "the exporter last looked at its sources"
    if age is not None and age > limit:
        found.append(f"{what} {duration(age)} ago, see --max-age; what came since is not counted")
    elif age is not None and -age > CLOCK_SKEW.total_seconds():
        found.append(f"{what} {duration(-age)} ahead of this machine's clock: which clock is wrong?")
    return found


@contextlib.contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def give_up(*_: object) -> NoReturn:
        raise _TimedOutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _finish(result: PluginResult) -> NoReturn:
    for line in result.text.splitlines():
        say(line)
    raise click.exceptions.Exit(int(result.status))
