"""The report for people: a table that fits the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import click

from postgrey_exporter.decision import EARLY_RETRY, GREYLIST, NEW, PASS
from postgrey_exporter.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postgrey_exporter.report import Report
    from postgrey_exporter.summary.domain import DomainStanding
    from postgrey_exporter.summary.unnamed import NetworkStanding

NARROWEST_NAME: Final = 16
_GAP: Final = "  "
_MOST_NETWORKS: Final = 10
_DUE: Final = "yellow"
_COVERED: Final = "bright_black"


class _Column(NamedTuple):
    title: str
    dispensable: int
    """Which columns go first when the terminal is narrow: those with the highest number; 0 stays."""
    cells: Sequence[str]


def as_table(report: Report, width: int, *, coloured: bool) -> Iterator[str]:
    """Yield the report's lines, each ended, at most ``width`` characters wide."""
    standings = report.standings
    domains = standings.domains[: report.limit]
    yield from _table(
        _Column("DOMAIN", 0, [standing.domain for standing in domains]),
        _domain_columns(domains),
        [_domain_style(standing, report.threshold) for standing in domains] if coloured else None,
        width,
    )
    yield from _left_out(len(standings.domains) - len(domains), "domains")
    networks = standings.nameless[: report.limit or _MOST_NETWORKS]
    if networks:
        yield "\nClients without a name, by network:\n"
        yield from _table(
            _Column("NETWORK", 0, [standing.network or "no address" for standing in networks]),
            _network_columns(networks),
            [_COVERED if standing.unreviewed == 0 else None for standing in networks] if coloured else None,
            width,
        )
        yield from _left_out(standings.nameless_networks - len(networks), "networks")
    yield "\n"
    yield from _totals(report, coloured=coloured)


def _domain_columns(domains: Sequence[DomainStanding]) -> list[_Column]:
    return [
        _Column("ATTEMPTS", 0, [str(standing.greylisted) for standing in domains]),
        _Column("NEW", 5, [str(standing.new) for standing in domains]),
        _Column("EARLY", 6, [str(standing.early_retry) for standing in domains]),
        _Column("CLIENTS", 4, [str(standing.clients) for standing in domains]),
        _Column("NETWORKS", 3, [str(standing.networks) for standing in domains]),
        _Column("COVERED BY", 2, [standing.covered_by or "" for standing in domains]),
        _Column("ADVICE", 1, ["" if standing.covered_by else standing.advice.kind for standing in domains]),
    ]


def _network_columns(networks: Sequence[NetworkStanding]) -> list[_Column]:
    return [
        _Column("ATTEMPTS", 0, [str(standing.greylisted) for standing in networks]),
        _Column("NEW", 4, [str(standing.new) for standing in networks]),
        _Column("EARLY", 5, [str(standing.early_retry) for standing in networks]),
        _Column("CLIENTS", 3, [str(standing.clients) for standing in networks]),
        _Column("ADVICE", 1, [standing.advice.kind if standing.unreviewed else "" for standing in networks]),
        _Column("ENTRY", 2, [standing.advice.entry or "" for standing in networks]),
    ]


def _domain_style(standing: DomainStanding, threshold: int) -> str | None:
    if standing.to_review >= threshold:
        return _DUE
    return None if standing.covered_by is None else _COVERED


def _table(names: _Column, columns: list[_Column], styles: Sequence[str | None] | None, width: int) -> Iterator[str]:
    """Yield the heading and a line for each name, in these styles; ``None`` stands for a table without any."""
    widths = {column.title: max(map(len, (column.title, *column.cells))) for column in columns}

    def room() -> int:
        return width - sum(widths[column.title] + len(_GAP) for column in columns)

    longest = max(map(len, (names.title, *names.cells)))
    while room() < min(longest, NARROWEST_NAME) and len(columns) > 1:
        dispensed = max(columns, key=lambda column: column.dispensable)
        columns = [column for column in columns if column is not dispensed]
    name_width = max(1, min(longest, room()))
    fitted = [
        name if len(name) <= name_width else name[: name_width - 1] + "…" for name in (names.title, *names.cells)
    ]
    form = _GAP.join([f"%-{name_width}s", *(f"%{widths[column.title]}s" for column in columns)])
    rows = zip(fitted, *((column.title, *column.cells) for column in columns), strict=True)
    lines = ((form % row).rstrip() for row in rows)
    if styles is None:
        yield from (f"{line}\n" for line in lines)
        return
    yield click.style(next(lines), bold=True) + "\n"
    for line, style in zip(lines, styles, strict=True):
        yield (click.style(line, fg=style) if style else line) + "\n"


def _left_out(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"… and {count:,} more {what}\n"


def _totals(report: Report, *, coloured: bool) -> Iterator[str]:
    new, early = (report.decisions.get((GREYLIST, reason), 0) for reason in (NEW, EARLY_RETRY))
    passed = sum(count for (action, _), count in report.decisions.items() if action == PASS)
    yield (
        f"{new + early:,} attempts greylisted ({new:,} new, {early:,} early retries) in "
        f"{len(report.standings.domains):,} domains; {passed:,} passed.\n"
    )
    due = report.standings.unreviewed(report.threshold)
    if due:
        names = " ".join(standing.domain for standing in due)
        text = f"Whitelist or ignore these senders ({report.threshold} or more): {names}"
        yield (click.style(text, fg=_DUE) if coloured else text) + "\n"
    elif new + early:
        yield "Okay, the top domains are whitelisted or ignored.\n"
    for problem in report.problems:
        text = f"PARTIAL: {printable(problem)}"
        yield (click.style(text, fg="red") if coloured else text) + "\n"
