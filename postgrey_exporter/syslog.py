"""Syslog line headers: where the tag stands, and what moment the time stamp means.

Two stamps occur in mail logs: RFC 3164 (``Feb  5 08:38:26``, local time without a year) and RFC 3339. What
follows the header is the parser's business.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

CLOCK_SKEW: Final = timedelta(days=1)
"""How far a stamp without a year may lie ahead of the reading clock and still belong to the running year.

The log's host may be another one, its clock a little ahead; a stamp that goes back a year for a second's
difference would drop out of the window.
"""

TRADITIONAL_STAMP_SIZE: Final = 15
"""Length of a stamp by RFC 3164 in its usual spelling: ``Feb  5 08:38:26``."""
HOST: Final = rb" (?:<[a-z0-9]+\.[a-z]+> )?[^ \n]+"
"""Pattern of what stands between stamp and tag. FreeBSD's syslogd -v adds <mail.info>."""

_FRESH_SECONDS: Final = 3600.0
_MOST_MINUTES_REMEMBERED: Final = 20_000
_SECONDS: Final = {b":%02d" % second: float(second) for second in range(60)}
_FRACTION: Final = re.compile(rb"\.[0-9]{1,9}")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"),
        start=1,
    )
}

# The groups: RFC 3164 hour, RFC 3339 hour, minute, second, RFC 3339 offset.
_HEADER: Final = re.compile(
    rb"(?:([A-Z][a-z][a-z] [ 0-3]?[0-9] [0-9]{2})|([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}))"
    rb":([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)(Z|[+-][0-9]{2}:?[0-9]{2})?" + HOST
)


class HeaderReader:
    """Reads the moment out of headers; remembers each hour and minute it has met, since a log repeats few of them."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Take the zone of stamps that carry none; ``None`` is the system's own, daylight saving included."""
        self._zone = zone
        self._hours: dict[tuple[bytes, bytes | None], float | None] = {}
        self._minutes: dict[bytes, float] = {}
        self._context = self._seen_at = float("-inf")

    def moment_of_stamp(self, stamp: bytes, seen_at: float) -> float | None:
        """Return the time of a stamp that stands alone, as `moment` does for a header that begins with it.

        A minute that was met before is looked up, which takes a third of the time.
        """
        if seen_at != self._seen_at:
            self._date_by(seen_at)
        if len(stamp) == TRADITIONAL_STAMP_SIZE:
            minute = self._minutes.get(stamp[:12])
            second = _SECONDS.get(stamp[12:])
            if minute is not None and second is not None:
                return minute + second
            return self._learn_minute(stamp, stamp[:12], None)
        offset = b"Z" if stamp.endswith(b"Z") else stamp[-6:]
        minute = self._minutes.get(stamp[:16] + offset)
        second = _SECONDS.get(stamp[16:19])
        fraction = stamp[19 : -len(offset)]
        if minute is None or second is None or (fraction and not _FRACTION.fullmatch(fraction)):
            return self._learn_minute(stamp, stamp[:16] + offset, offset)
        return minute + second + float(fraction or 0)

    def moment(self, lines: bytes, start: int, end: int, seen_at: float) -> float | None:
        """Return the time in seconds since the epoch of the header that fills ``lines[start:end]``.

        The slice is what stands before the blank and the tag: stamp and host name. ``seen_at`` is when the line
        was there at the latest: the present for a live log, the modification time for an archive. A stamp
        without a year means the latest year that does not put it after that (see `CLOCK_SKEW`).

        Returns ``None`` when the slice is no header, `float("nan")` when it is one with an impossible date.
        """
        header = _HEADER.fullmatch(lines, start, end)
        if header is None:
            return None
        traditional, iso, minute, second, offset = header.groups()
        if (iso is None) != (offset is None):
            return None
        if seen_at != self._seen_at:
            self._date_by(seen_at)
        key = (traditional or iso, offset)
        try:
            hour = self._hours[key]
        except KeyError:
            hour = self._hours[key] = (
                self._traditional_hour(traditional, seen_at) if traditional else _iso_hour(iso, offset)
            )
        if hour is None or minute > b"59" or second >= b"61":
            return float("nan")
        return hour + int(minute) * 60 + float(second)

    def _date_by(self, seen_at: float) -> None:
        self._seen_at = seen_at
        if abs(seen_at - self._context) > _FRESH_SECONDS:
            self._hours.clear()
            self._minutes.clear()
            self._context = seen_at

    def _learn_minute(self, stamp: bytes, key: bytes, offset: bytes | None) -> float | None:
        moment = self.moment(stamp + b" -", 0, len(stamp) + 2, self._seen_at)
        header = _HEADER.match(stamp + b" -")
        if header is not None and moment is not None and header[5] == offset:
            if len(self._minutes) >= _MOST_MINUTES_REMEMBERED:
                self._minutes.clear()
            self._minutes[key] = moment - float(header[4])
        return moment

    def _traditional_hour(self, stamp: bytes, seen_at: float) -> float | None:
        month = _MONTHS.get(stamp[:3])
        if month is None:
            return None
        day, hour = int(stamp[4:-3]), int(stamp[-2:])
        limit = datetime.fromtimestamp(seen_at, self._zone) + CLOCK_SKEW
        # 29 February needs up to eight years to come round: 1896, 1904.
        for year in range(limit.year, limit.year - 9, -1):
            try:
                moment = datetime(year, month, day, hour, tzinfo=self._zone)
            except ValueError:
                continue
            if moment <= limit:
                return moment.timestamp()
        return None


def _iso_hour(stamp: bytes, offset: bytes) -> float | None:
    zone = UTC
    if offset != b"Z":
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
        if ahead >= timedelta(days=1):
            return None
        zone = timezone(-ahead if offset[:1] == b"-" else ahead)
    try:
        year, month, day, hour = map(int, (stamp[:4], stamp[5:7], stamp[8:10], stamp[11:]))
        return datetime(year, month, day, hour, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
