"""The sliding window: the running hour and the full hours of the last seven days, by the log's own times."""

from __future__ import annotations

from typing import Final, NamedTuple

HOUR: Final = 3600
DEFAULT_HOURS: Final = 7 * 24


def hour_of(moment: float) -> int:
    """Return the number of the hour, counted from the epoch, that a moment in seconds since the epoch lies in."""
    return int(moment // HOUR)


class Window(NamedTuple):
    """A window of full hours that ends with the running one."""

    hours: int = DEFAULT_HOURS
    """Full hours before the running one."""

    @property
    def seconds(self) -> int:
        """Its length without the running hour."""
        return self.hours * HOUR

    def first_hour(self, now: float) -> int:
        """Return the oldest hour that belongs to the window at a moment.

        There is no upper end: a stamp from a clock that runs ahead counts at once.
        """
        return hour_of(now) - self.hours
