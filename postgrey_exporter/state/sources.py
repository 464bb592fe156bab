"""The sources' tables of the state: how far each source was read, and what its lines said.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from postgrey_exporter.parsing.stamp import CLOCK_SKEW

if TYPE_CHECKING:
    import sqlite3

    from postgrey_exporter.counting.increment import Increment


def positions(db: sqlite3.Connection) -> dict[str, tuple[dict[str, Any], float | None]]:
    """Return the position of each source and the time of its latest decision."""
    rows = db.execute("SELECT name, position, last_event FROM source")
    return {name: (json.loads(position), last) for name, position, last in rows}


def move_source(
    db: sqlite3.Connection, source: str, position: dict[str, Any], increment: Increment, present: float
) -> None:
    """Set a source's position to the end of an increment."""
    latest = present + CLOCK_SKEW.total_seconds()
    db.execute(
        """
        INSERT INTO source (name, position, last_event, future) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET
            position = ?2,
            last_event = coalesce(max(min(last_event, ?5), ?3), min(last_event, ?5), ?3),
            future = future + ?4
        """,
        (source, json.dumps(position, separators=(",", ":")), increment.last_event, increment.future, latest),
    )


def merge_lines(db: sqlite3.Connection, source: str, increment: Increment, kept_hour: int) -> None:
    """Add an increment's lines by outcome and its decisions, by hour from ``kept_hour`` on."""
    db.executemany(
        "INSERT INTO source_lines VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
        [(source, outcome, count) for outcome, count in increment.lines.items()],
    )
    db.executemany(
        "INSERT INTO decision VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
        [(*labels, count) for labels, count in increment.decision_totals().items() if count],
    )
    db.executemany(
        "INSERT INTO decision_hour VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
        [row for row in increment.decision_hours() if row[0] >= kept_hour],
    )
