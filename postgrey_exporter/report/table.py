"""The report for people: a table that fits the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from postgrey_exporter.decision import EARLY_RETRY, GREYLIST, NEW, PASS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postgrey_exporter.nameless import NetworkStanding
    from postgrey_exporter.report import Report

NARROWEST_NAME: Final = 16
_GAP: Final = "  "
_MOST_NETWORKS: Final = 10


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    cells: tuple[str, ...]
    style: str | None


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    dispensable: int
    """Which columns go first when the terminal is narrow: those with the highest number; 0 stays."""


_DOMAIN_COLUMNS: Final = (
    _Column("ATTEMPTS", 0),
    _Column("NEW", 5),
    _Column("EARLY", 6),
    _Column("CLIENTS", 4),
    _Column("NETWORKS", 3),
    _Column("COVERED BY", 2),
    _Column("ADVICE", 1),
)
_NETWORK_COLUMNS: Final = (
    _Column("ATTEMPTS", 0),
    _Column("NEW", 4),
    _Column("EARLY", 5),
    _Column("CLIENTS", 3),
    _Column("ADVICE", 1),
    _Column("ENTRY", 2),
)


def as_table(report: Report, width: int) -> Iterator[str]:
    """Yield the report's lines, each ended, at most ``width`` characters wide."""
    standings = report.standings
    rows = [
        _Row(
            standing.domain,
            (
                str(standing.greylisted),
                str(standing.new),
                str(standing.early_retry),
                str(standing.clients),
                str(standing.networks),
                standing.covered_by or "",
                "" if standing.covered_by else standing.advice.kind,
            ),
            _style(covered=standing.covered_by is not None, due=standing.to_review >= report.threshold),
        )
        for standing in standings.domains[: report.limit]
    ]
    yield from _table("DOMAIN", _DOMAIN_COLUMNS, rows, width)
    yield from _left_out(len(standings.domains) - len(rows), "domains")
    networks = standings.nameless[: report.limit or _MOST_NETWORKS]
    if networks:
        yield "\nClients without a name, by network:\n"
        rows = [_network_row(standing) for standing in networks]
        yield from _table("NETWORK", _NETWORK_COLUMNS, rows, width)
        yield from _left_out(standings.nameless_networks - len(networks), "networks")
    yield "\n"
    yield from _totals(report)


def _network_row(standing: NetworkStanding) -> _Row:
    counts = (standing.greylisted, standing.new, standing.early_retry, standing.clients)
    covered = standing.unreviewed == 0
    advice = "" if covered else standing.advice.kind
    return _Row(
        standing.network or "no address",
        (*map(str, counts), advice, standing.advice.entry or ""),
        _style(covered=covered, due=False),
    )


def _style(*, covered: bool, due: bool) -> str | None:
    if due:
        return "yellow"
    return "bright_black" if covered else None


def _table(title: str, columns: Sequence[_Column], rows: list[_Row], width: int) -> Iterator[str]:
    chosen = list(range(len(columns)))
    widths = [max(len(column.title), *(len(row.cells[i]) for row in rows), 0) for i, column in enumerate(columns)]

    def room() -> int:
        return width - sum(widths[i] + len(_GAP) for i in chosen)

    longest = max(len(title), *(len(row.name) for row in rows), 0)
    while room() < min(longest, NARROWEST_NAME) and len(chosen) > 1:
        chosen.remove(max(chosen, key=lambda i: columns[i].dispensable))
    name_width = max(1, min(longest, room()))

    def line(name: str, cells: Sequence[str]) -> str:
        fitted = name if len(name) <= name_width else name[: name_width - 1] + "…"
        return _GAP.join([fitted.ljust(name_width), *(cells[i].rjust(widths[i]) for i in chosen)]).rstrip()

    yield click.style(line(title, [column.title for column in columns]), bold=True) + "\n"
    for row in rows:
        text = line(row.name, row.cells)
        yield (click.style(text, fg=row.style) if row.style else text) + "\n"


def _left_out(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"… and {count:,} more {what}\n"


def _totals(report: Report) -> Iterator[str]:
    new, early = (report.decisions.get((GREYLIST, reason), 0) for reason in (NEW, EARLY_RETRY))
    passed = sum(count for (action, _), count in report.decisions.items() if action == PASS)
    yield (
        f"{new + early:,} attempts greylisted ({new:,} new, {early:,} early retries) in "
        f"{len(report.standings.domains):,} domains; {passed:,} passed.\n"
    )
    due = report.standings.unreviewed(report.threshold)
    if due:
        names = " ".join(standing.domain for standing in due)
        yield (
            click.style(f"Whitelist or ignore these senders ({report.threshold} or more): {names}", fg="yellow")
            + "\n"
        )
    elif new + early:
        yield "Okay, the top domains are whitelisted or ignored.\n"
    for problem in report.problems:
        yield click.style(f"PARTIAL: {problem}", fg="red") + "\n"
