"""The report for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from postgrey_exporter.decision import GREYLIST, GREYLIST_REASONS, PASS, PASS_REASONS
from postgrey_exporter.wording import as_json_text, rfc3339

if TYPE_CHECKING:
    from postgrey_exporter.counting.evidence import Delays
    from postgrey_exporter.report import Report
    from postgrey_exporter.summary.domain import DomainStanding
    from postgrey_exporter.summary.unnamed import NetworkStanding


def as_json(report: Report) -> str:
    """Return the report as one JSON object; times are RFC 3339 in UTC."""
    standings = report.standings
    content = {
        "since": _time(report.since),
        "until": _time(report.until),
        "threshold": report.threshold,
        "decisions": {
            GREYLIST: {reason: report.decisions.get((GREYLIST, reason), 0) for reason in GREYLIST_REASONS},
            PASS: {reason: report.decisions.get((PASS, reason), 0) for reason in PASS_REASONS},
        },
        "domains": [_domain(standing) for standing in standings.domains[: report.limit]],
        "unknown_networks": [_network(standing) for standing in standings.nameless[: report.limit]],
        "unknown_networks_in_all": standings.nameless_networks,
        "problems": list(report.problems),
    }
    # One domain a line: with an indent, Python's encoder takes ten times as long.
    members = (f"  {as_json_text(key)}: {_member(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def _member(value: object) -> str:
    if not isinstance(value, list) or not value:
        return as_json_text(value)
    return "[\n" + ",\n".join(f"    {as_json_text(one)}" for one in value) + "\n  ]"


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
