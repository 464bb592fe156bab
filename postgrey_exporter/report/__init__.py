"""The report: who is greylisted, most first. Each module renders the same `Report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postgrey_exporter.summary.domain import Standings


class Report(NamedTuple):
    """Everything a report says."""

    since: float | None
    """Seconds since the epoch; what was asked for, else the first decision."""
    until: float | None
    threshold: int
    """Unreviewed attempts from which on a domain needs a decision."""
    decisions: Mapping[tuple[str, str], int]
    """By action and reason."""
    standings: Standings
    problems: tuple[str, ...] = ()
    """What kept some of the logs from being counted; the counts are partial when there is any."""
    limit: int | None = None
    """How many domains, and how many networks, are listed at most."""
