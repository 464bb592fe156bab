"""Moments as people and programs read them: the one place that renders seconds since the epoch.

A moment beyond the calendar, of a broken clock or file system, is told as the calendar's first or last second.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_FIRST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


def rfc3339(moment: float) -> str:
    """Return a moment as RFC 3339 has it, in UTC, to the second: ``2026-06-30T14:00:00Z``."""
    return f"{_in_utc(moment)}Z"


def readable(moment: float) -> str:
    """Return a moment for people, in UTC, to the second: ``2026-06-30 14:00:00 UTC``."""
    return f"{_in_utc(moment).replace('T', ' ')} UTC"


def _in_utc(moment: float) -> str:
    inside = min(max(moment, _FIRST), _LAST)
    return datetime.fromtimestamp(inside, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
