"""The report for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from postgrey_exporter.decision import GREYLIST, GREYLIST_REASONS, PASS, PASS_REASONS
from postgrey_exporter.wording import as_json_text, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postgrey_exporter.counting.evidence import Delays
    from postgrey_exporter.report import Report
    from postgrey_exporter.summary.domain import DomainStanding
    from postgrey_exporter.summary.unnamed import NetworkStanding


def as_json(report: Report) -> Iterator[str]:
    """Yield the report as one JSON object, piece by piece; times are RFC 3339 in UTC."""
    standings = report.standings
    yield "{\n"
    for key, value in (
        ("since", _time(report.since)),
        ("until", _time(report.until)),
        ("threshold", report.threshold),
        (
            "decisions",
            {
                GREYLIST: {reason: report.decisions.get((GREYLIST, reason), 0) for reason in GREYLIST_REASONS},
                PASS: {reason: report.decisions.get((PASS, reason), 0) for reason in PASS_REASONS},
            },
        ),
    ):
        yield f"  {as_json_text(key)}: {as_json_text(value)},\n"
    yield from _list("domains", map(_domain, standings.domains[: report.limit]))
    yield from _list("unknown_networks", map(_network, standings.nameless[: report.limit]))
    yield f'  "unknown_networks_in_all": {standings.nameless_networks},\n'
    yield f'  "problems": {as_json_text(list(report.problems))}\n}}\n'


def _list(key: str, values: Iterable[object]) -> Iterator[str]:
    """Yield a member that is a list, one value a line: with an indent, Python's encoder takes ten times as long."""
    yield f'  "{key}": ['
    separator = "\n"
    for value in values:
        yield f"{separator}    {as_json_text(value)}"
        separator = ",\n"
    yield "],\n" if separator == "\n" else "\n  ],\n"


def as_csv(report: Report) -> str:
    """Return the domains as CSV with a header line (RFC 4180)."""
    columns = (
        *("domain", "greylisted", "new", "early_retry", "clients", "networks"),
        *("messages", "moved_messages", "delivered_messages", "lost_messages"),
        *("unreviewed", "covered_by", "advice", "why", "entry"),
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for standing in report.standings.domains[: report.limit]:
        values = _domain(standing)
        writer.writerow([values[column] if values[column] is not None else "" for column in columns])
    return text.getvalue()


def _delays(delays: Delays | None) -> dict[str, float | None]:
    return {"median": delays.median if delays else None, "max": delays.most if delays else None}


def _domain(standing: DomainStanding) -> dict[str, Any]:
    known = standing.evidence
    return {
        "domain": standing.domain,
        "greylisted": standing.greylisted,
        "new": standing.new,
        "early_retry": standing.early_retry,
        "clients": standing.clients,
        "networks": standing.networks,
        "messages": known.messages,
        "moved_messages": known.moved,
        "delivered_messages": known.delivered,
        "lost_messages": known.lost,
        "delay_seconds": _delays(known.delays),
        "reported_delay_seconds": _delays(known.reported),
        "covered_by": standing.covered_by,
        "unreviewed": standing.unreviewed,
        "advice": standing.advice.kind,
        "why": standing.advice.why,
        "entry": standing.advice.entry,
    }


def _network(standing: NetworkStanding) -> dict[str, Any]:
    known = standing.evidence
    return {
        "network": standing.network,
        "greylisted": standing.greylisted,
        "new": standing.new,
        "early_retry": standing.early_retry,
        "clients": standing.clients,
        "messages": known.messages,
        "moved_messages": known.moved,
        "delivered_messages": known.delivered,
        "lost_messages": known.lost,
        "unreviewed": standing.unreviewed,
        "advice": standing.advice.kind,
        "why": standing.advice.why,
        "entry": standing.advice.entry,
    }


def _time(moment: float | None) -> str | None:
    return None if moment is None else rfc3339(moment)
