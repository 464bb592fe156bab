"""The present, as far as a clock that may be wrong tells it.

A clock that has gone back by more than `CLOCK_SKEW` is behind for now: the latest look at the sources is the present.
After the clock has run for a whole day like that, the earlier look counts as wrong.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from postgrey_exporter.parsing.stamp import CLOCK_SKEW

_SKEW_SECONDS: Final = CLOCK_SKEW.total_seconds()
_BELIEVED_SECONDS: Final = 86400.0


class Looks(NamedTuple):
    """The looks at the sources so far, in seconds since the epoch."""

    latest: float
    """The latest moment that is believed to have been the present."""
    behind_since: float | None = None
    """The clock's time when it was first seen to be behind `latest`."""

    def after(self, now: float) -> Looks:
        """Return the looks after one more."""
        if now >= self.latest - _SKEW_SECONDS:
            return Looks(max(now, self.latest))
        since = now if self.behind_since is None else min(now, self.behind_since)
        return Looks(now) if now - since >= _BELIEVED_SECONDS else Looks(self.latest, since)
