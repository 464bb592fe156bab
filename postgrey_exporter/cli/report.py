"""``report``: who is greylisted, most first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.gathering import GatheringSettings, gather
from postgrey_exporter.cli.output import complain, has_colours
from postgrey_exporter.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH_OF_A_FILE: Final = 120


@click.command("report")
@options.gathering_options
@options.threshold
@click.option("--limit", type=click.IntRange(min=1), help="List this number of domains.  [default: all]")
@options.output_format("table", "json", "csv")
def command(threshold: int, limit: int | None, form: str, **gathering_options: Any) -> int:
    """Show which sender domains are greylisted, most attempts first.

    LOG is a file, plain or compressed by gzip, bzip2, xz or zstd, or - for standard input. Without LOG the command
    reads the exporter's state; without a state it finds postgrey's log and reads the last --window of it.

    Exit status: 0 if each log was read to its end, 1 if not, or if no decision of postgrey's was seen.
    """
    gathered = gather(GatheringSettings(**gathering_options), propose=form != "table")
    report = Report(
        since=gathered.since,
        until=gathered.until,
        threshold=threshold,
        decisions=gathered.decisions,
        standings=gathered.standings,
        problems=gathered.problems,
        limit=limit,
    )
    sys.stdout.writelines(_rendered(report, form))
    sys.stdout.flush()
    for problem in gathered.problems:
        complain(f"{problem}; the counts are partial")
    for remark in (*gathered.oddities, *([gathered.blind] if gathered.blind else [])):
        complain(remark)
    return 1 if gathered.problems or gathered.blind else 0


def _rendered(report: Report, form: str) -> Iterable[str]:
    if form == "json":
        from postgrey_exporter.report.machine import as_json  # noqa: PLC0415

        return as_json(report)
    if form == "csv":
        from postgrey_exporter.report.machine import as_csv  # noqa: PLC0415

        return [as_csv(report)]
    from postgrey_exporter.report.table import as_table  # noqa: PLC0415

    if not sys.stdout.isatty():
        return as_table(report, _WIDTH_OF_A_FILE, coloured=False)
    import shutil  # noqa: PLC0415 - it loads decompressors

    return as_table(report, shutil.get_terminal_size((100, 24)).columns, coloured=has_colours(sys.stdout))
