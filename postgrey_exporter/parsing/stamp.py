"""Time stamps: their forms, and the moment that each means, which takes a year and a zone that it may lack."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import nan
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import re

CLOCK_SKEW: Final = timedelta(days=1)
"""How far a stamp without a year may lie ahead of the reading clock and still belong to the running year.

The log's host may be another one, its clock a little ahead; a stamp that goes back a year for a second's
difference would drop out of the window.
"""

FRESH_SECONDS: Final = 3600.0
"""For how long what was found out about stamps without a year holds, as the reading clock moves on."""
_MOST_HOURS: Final = 10_000
"""How many hours' stamps are remembered: more than a year has. A log may have one of its own in each line."""
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"),
        start=1,
    )
}
_OUT_OF_ORDER_SECONDS: Final = 600.0
"""How far a stamp may go back without a turn of the clock: lines of other hosts and processes come late."""
_UTC_NAMES: Final = frozenset({b"Z", b"UTC", b"GMT"})
_TAI_EPOCH: Final = (1 << 62) + 10
"""The second of TAI64 labels that is 1970, as multilog writes them; s6-log adds the leap seconds since, 27 by now."""

# RFC 3164 with the year before, behind, at the end (ctime), or none; ISO 8601; seconds since the epoch; TAI64N.
# journalctl alone writes a weekday before an ISO date, and then an abbreviation of the zone behind the time; svlogd
# alone has "_" between date and time.
STAMP: Final = (
    rb"(?:(?:(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    rb"(?:(?:(?P<year_before>[0-9]{4}) )?(?P<day>[A-Z][a-z]{2} [ 0-3]?[0-9])(?: (?P<year_behind>[0-9]{4}))? "
    rb"|(?P<date>[0-9]{4}(?P<mark>[-/.])[0-9]{2}(?P=mark)[0-9]{2})(?:[T ]|(?P<utc>_)))"
    rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2}(?:[.,][0-9]{1,9})?)"
    rb"(?(date)(?P<zone>Z| ?[+-][0-9]{2}(?::?[0-9]{2})?(?= |$)|(?(weekday) [A-Z]{2,5}(?= )|(?!)))?"
    rb"|(?: (?P<year_last>[0-9]{4})(?= ))?)"
    rb"|(?P<epoch>[0-9]{9,11}(?:\.[0-9]{1,9})?)|@(?P<tai>[0-9a-f]{24}))"
)
"""Pattern of a stamp."""

LastMoment = Callable[[], "float | None"]
"""Returns the moment of the stamp before a line, in seconds since the epoch; ``None`` if there is none."""


def nothing() -> None:
    """Return that there is no stamp before a line."""


class _Hour(NamedTuple):
    """When an hour begins, in seconds since the epoch."""

    begin: float
    again: float | None = None
    """When it begins once more, at the end of daylight saving."""

    @classmethod
    def of(cls, moment: datetime, zone_name: bytes) -> _Hour:
        """Return the hour that begins at a moment; of one that comes twice, that in the zone of this name."""
        later = moment.replace(fold=1)
        if later.timestamp() <= moment.timestamp():
            return cls(moment.timestamp())
        if not zone_name:
            return cls(moment.timestamp(), later.timestamp())
        is_later = later.astimezone(moment.tzinfo).tzname() == zone_name.decode()
        return cls((later if is_later else moment).timestamp())


class Stamps:
    """Tells moments; remembers each hour that it has met, since a log repeats few of them."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Take the zone of stamps that carry none; ``None`` is the system's own, daylight saving included."""
        self._zone = zone
        self._hours: dict[tuple[bytes | None, ...], _Hour | None] = {}
        self._dated_by = float("-inf")

    def hour(self, found: re.Match[bytes], seen_at: float) -> float | None:
        """Return the begin of the hour that a stamp lies in; ``None`` for an impossible one, or one that comes twice.

        ``found`` is a match of `STAMP`.
        """
        hour = self._hour(found, seen_at)
        return None if hour is None or hour.again is not None else hour.begin

    def moment(self, found: re.Match[bytes], seen_at: float, last: LastMoment = nothing) -> float:
        """Return the moment of a stamp, in seconds since the epoch; not a number for an impossible one.

        ``found`` is a match of `STAMP`. ``seen_at`` is when the line was there at the latest: a stamp without a year
        is of the latest year that does not put it after that (see `CLOCK_SKEW`). ``last`` returns the moment of the
        stamp before, which tells the two hours apart that end daylight saving.
        """
        groups = found.groupdict()
        if groups.get("tai"):
            label = groups["tai"]
            return int(label[:16], 16) - _TAI_EPOCH + int(label[16:], 16) / 1e9
        if groups["epoch"]:
            return float(groups["epoch"])
        hour = self._hour(found, seen_at)
        minute, second = groups["minute"], groups["second"].replace(b",", b".")
        if hour is None or minute > b"59" or second >= b"61":
            return nan
        after = int(minute) * 60 + float(second)
        before = None if hour.again is None else last()
        if hour.again is not None and before is not None:
            # The stamps went back, or have done so already.
            is_again = before >= hour.again or before > hour.begin + after + _OUT_OF_ORDER_SECONDS
            return (hour.again if is_again else hour.begin) + after
        return hour.begin + after

    def _hour(self, found: re.Match[bytes], seen_at: float) -> _Hour | None:
        if abs(seen_at - self._dated_by) > FRESH_SECONDS or len(self._hours) >= _MOST_HOURS:
            self._hours.clear()
            self._dated_by = seen_at
        key = found.group("day", "date", "hour", "year_before", "year_behind", "year_last", "zone", "utc")
        if key not in self._hours:
            day, date, hour, *years, zone, utc = key
            year = next(filter(None, years), None)
            name = b"UTC" if utc else (zone or b"").strip()
            try:
                self._hours[key] = self._begin(day, date or year, int(hour), name, seen_at)
            except (ValueError, OverflowError, OSError):
                # Some file systems have a file's time beyond the years that there are.
                self._hours[key] = None
        return self._hours[key]

    def _begin(
        self, day: bytes | None, date: bytes | None, hour: int, zone_name: bytes, seen_at: float
    ) -> _Hour | None:
        """Return an hour. Raises what `datetime` raises for an impossible one."""
        zone = self._zone_of(zone_name)
        if day is None:
            assert date is not None  # noqa: S101 - by the pattern
            year, month, number = int(date[:4]), int(date[5:7]), int(date[8:])
            return _Hour.of(datetime(year, month, number, hour, tzinfo=zone), zone_name)
        month, number = _MONTHS.get(day[:3], 0), int(day[4:])
        if date is not None:
            return _Hour.of(datetime(int(date), month, number, hour, tzinfo=zone), zone_name)
        limit = datetime.fromtimestamp(seen_at, zone) + CLOCK_SKEW
        # 29 February needs up to eight years to come round: 1896, 1904.
        for candidate in range(limit.year, limit.year - 9, -1):
            try:
                moment = datetime(candidate, month, number, hour, tzinfo=zone)
            except ValueError:
                continue
            if moment <= limit:
                return _Hour.of(moment, zone_name)
        return None

    def _zone_of(self, name: bytes) -> tzinfo | None:
        """Return the zone of a stamp; that of stamps without one also where the name is an abbreviation."""
        if name in _UTC_NAMES:
            return UTC
        if name[:1] not in {b"+", b"-"}:
            return self._zone
        ahead = timedelta(hours=int(name[1:3]), minutes=int(name[3:].lstrip(b":") or 0))
        return timezone(-ahead if name[:1] == b"-" else ahead)
