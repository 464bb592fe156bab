"""``report``: who is greylisted, most first."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.gathering import GatheringSettings, gather
from postgrey_exporter.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command("report")
@options.gathering_options
@options.threshold
@click.option("--limit", type=click.IntRange(min=1), help="How many domains to list.  [default: all]")
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
    help="What to print.",
)
def command(threshold: int, limit: int | None, form: str, **gathering_options: Any) -> int:
    """Show who is greylisted, most first.

    Each LOG may be plain, gzip, bzip2, xz or zstd, or - for standard input. Without LOG the report is on the state
    of the exporter, in hours.

    Exits with 1 when a log could not be read to its end, so that the counts are partial.
    """
    gathered = gather(GatheringSettings(**gathering_options))
    report = Report(
        since=gathered.since,
        until=gathered.until,
        threshold=threshold,
        decisions=gathered.decisions,
        standings=gathered.standings,
        problems=gathered.problems,
        limit=limit,
    )
    for text in _rendered(report, form):
        sys.stdout.write(text)
    sys.stdout.flush()
    for problem in gathered.problems:
        click.echo(f"postgrey-exporter: {problem}; the counts are partial", err=True)
    return 1 if gathered.problems else 0


def _rendered(report: Report, form: str) -> Iterable[str]:
    if form == "json":
        from postgrey_exporter.report.machine import as_json  # noqa: PLC0415

        return [as_json(report)]
    if form == "csv":
        from postgrey_exporter.report.machine import as_csv  # noqa: PLC0415

        return [as_csv(report)]
    from postgrey_exporter.report.table import as_table  # noqa: PLC0415

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 120
    return (line if coloured else click.unstyle(line) for line in as_table(report, width))
