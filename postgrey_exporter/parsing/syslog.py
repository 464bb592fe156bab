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
REPEATED_SIZE: Final = 3
"""How much longer rsyslog makes a control character by escaping it, and so how much of a tag it repeats at least."""
FRESH_SECONDS: Final = 3600.0
"""For how long what was found out about stamps without a year holds, as the reading clock moves on."""
_MOST_HOURS: Final = 10_000
"""How many hours' stamps are remembered: more than a year has. A log may have one of its own in each line."""
HOST: Final = rb" (?:<[a-z0-9]+\.[a-z]+> )?[^ \n]+"
"""Pattern of what stands between stamp and tag. FreeBSD's syslogd -v adds <mail.info>."""

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
        self._hours: dict[tuple[bytes | None, bytes | None], float | None] = {}
        self._dated_by = float("-inf")

    def hour(self, stamp: bytes, seen_at: float) -> float | None:
        """Return the begin of the hour that a stamp lies in, see `moment`; ``None`` for an impossible one."""
        header = _HEADER.fullmatch(stamp + b" -")
        if header is None:
            return None
        traditional, iso, _, _, offset = header.groups()
        return self._hour(traditional, iso, offset, seen_at)

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
        if iso and is_repeated(lines, header.end(5), end):
            return None
        hour = self._hour(traditional, iso, offset, seen_at)
        if hour is None or minute > b"59" or second >= b"61":
            return float("nan")
        return hour + int(minute) * 60 + float(second)

    def _hour(
        self, traditional: bytes | None, iso: bytes | None, offset: bytes | None, seen_at: float
    ) -> float | None:
        if abs(seen_at - self._dated_by) > FRESH_SECONDS or len(self._hours) >= _MOST_HOURS:
            self._hours.clear()
            self._dated_by = seen_at
        key = (traditional or iso, offset)
        if key not in self._hours:
            if traditional:
                self._hours[key] = self._traditional_hour(traditional, seen_at)
            else:
                self._hours[key] = _iso_hour(iso or b"", offset or b"")
        return self._hours[key]

    def _traditional_hour(self, stamp: bytes, seen_at: float) -> float | None:
        month = _MONTHS.get(stamp[:3])
        if month is None:
            return None
        day, hour = int(stamp[4:-3]), int(stamp[-2:])
        try:
            limit = datetime.fromtimestamp(seen_at, self._zone) + CLOCK_SKEW
        except (ValueError, OverflowError, OSError):
            # Some file systems have a file's time beyond the years that there are.
            return None
        # 29 February needs up to eight years to come round: 1896, 1904.
        for year in range(limit.year, limit.year - 9, -1):
            try:
                moment = datetime(year, month, day, hour, tzinfo=self._zone)
            except ValueError:
                continue
            if moment <= limit:
                return moment.timestamp()
        return None


def is_repeated(lines: bytes, start: int, end: int) -> bool:
    """Tell whether the host name in ``lines[start:end]`` repeats the end of the stamp before it.

    rsyslog's imuxsock keeps a line break inside a tag and writes the end of the tag again behind it: what such a
    line has as its header is the text of another program's message, see docs/bare-lines.md.
    """
    return lines.find(lines[start - REPEATED_SIZE : start], start, end) >= 0


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
