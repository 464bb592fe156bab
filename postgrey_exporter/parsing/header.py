"""Line headers: one grammar for all that can stand before postgrey's own words, and the moment that it tells.

A line is ``[<PRI>] STAMP [HOST] TAG: MESSAGE`` (RFC 3164 and its kin), RFC 5424, a bare message, or any of these
behind the stamp of ``docker logs -t``, Kubernetes, multilog, s6-log or svlogd, or inside Docker's JSON. Only the tag
at its place tells who wrote a line: all text behind another tag may be a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import nan
from typing import Final, NamedTuple

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

QUEUE_ID: Final = rb"(?:(?:[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}): )?"
"""Postfix's queue id, which need not be there: hexadecimal, or the long form, which has no vowels."""

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

_BYTE_ORDER_MARK: Final = rb"(?:\xef\xbb\xbf)?"
_FACILITY: Final = rb"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])"
_SEVERITY: Final = rb"(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug)"
_PRIORITY: Final = _FACILITY + rb"\." + _SEVERITY
# RFC 3164 with the year before, behind, at the end (ctime), or none; ISO 8601; seconds since the epoch; TAI64N.
# journalctl alone writes a weekday before an ISO date, and then an abbreviation of the zone behind the time; svlogd
# alone has "_" between date and time.
_STAMP: Final = (
    rb"(?:(?:(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    rb"(?:(?:(?P<year_before>[0-9]{4}) )?(?P<day>[A-Z][a-z]{2} [ 0-3]?[0-9])(?: (?P<year_behind>[0-9]{4}))? "
    rb"|(?P<date>[0-9]{4}(?P<mark>[-/.])[0-9]{2}(?P=mark)[0-9]{2})(?:[T ]|(?P<utc>_)))"
    rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2}(?:[.,][0-9]{1,9})?)"
    rb"(?(date)(?P<zone>Z| ?[+-][0-9]{2}(?::?[0-9]{2})?(?= |$)|(?(weekday) [A-Z]{2,5}(?= )|(?!)))?"
    rb"|(?: (?P<year_last>[0-9]{4})(?= ))?)"
    rb"|(?P<epoch>[0-9]{9,11}(?:\.[0-9]{1,9})?)|@(?P<tai>[0-9a-f]{24}))"
)
_IN_BRACKETS: Final = rb"(?:<(?:[0-9]{1,3}|[0-9]+\.[0-9]+|" + _PRIORITY + rb")>|\[" + _PRIORITY + rb"\])"
# What socklog writes first is "mail.info: ".
_SYSLOG_STAMP: Final = (
    _BYTE_ORDER_MARK
    + (rb"(?:" + _IN_BRACKETS + rb" ?|" + _PRIORITY + rb":? )?(?:1 )?")
    + (rb"(?P<stamp>" + _STAMP + rb")")
)
# FreeBSD writes facility and priority before the host, BusyBox behind it. Some templates leave out the host. What
# ends in a colon is a tag, unless it is an IPv6 address; a name in brackets is metalog's tag.
_HOST: Final = rb" (?!\[[A-Za-z][^\]: \n]*\])[^ \n]*(?:[^ :\n]|::)"
_TO_TAG: Final = (
    rb"(?: " + _IN_BRACKETS + rb")?(?P<host>" + _HOST + rb")?(?: (?:" + _PRIORITY + rb"|" + _IN_BRACKETS + rb"))? "
)
# What may stand between a stamp and a tag and is no program's: a host; names of zones, numbers, addresses, facility
# and severity in whatever order.
_NO_TAG: Final = rb"(?: ++[<(\[]?(?:[A-Z]{1,5}|[+-]?[0-9][^ \n]*|(?i:%b?\.?%b?))[>)\]]?(?<!:)(?= )){0,3}" % (
    _FACILITY,
    _SEVERITY,
)
_NO_TAGS: Final = _NO_TAG + rb"(?: *" + _HOST + rb")?" + _NO_TAG + rb" ++"
_SOLARIS: Final = rb"(?:\[ID [0-9]+ [a-z0-9]+\.[a-z]+\] )?"
# What is behind the tag in RFC 5424: process, message id, structured data.
_RFC_5424: Final = rb" [^ \n]+ [^ \n]+ (?:-|(?:\[[^\]\\\n]*(?:\\.[^\]\\\n]*)*\])+) +(?:\xef\xbb\xbf)?"

_CLAIMS_DECISION: Final = QUEUE_ID + rb"action="
# `docker logs -t`, Kubernetes, multilog, s6-log and svlogd put a stamp before what a program writes: a bare message,
# or a whole line.
_OUTER: Final = re.compile(_SYSLOG_STAMP + rb"(?: std(?:out|err) F)? +")
_DOCKER_JSON: Final = re.compile(_BYTE_ORDER_MARK + rb'\{"log": ?"')
_STAMPED: Final = re.compile(_SYSLOG_STAMP + rb"(?= |$)")
_BARE: Final = re.compile(_BYTE_ORDER_MARK + rb"(?=" + _CLAIMS_DECISION + rb")")
_WHOLE: Final = re.compile(rb"(?!" + _PRIORITY + rb" )" + _STAMPED.pattern + rb"|" + _CLAIMS_DECISION + rb"|\{")
_TAG_OF_OTHERS: Final = re.compile(rb"[^ \[<][^ ]*(?<!:):(?= |$)")
# RFC 5424 without a stamp that is read, metalog's way, or as usual.
_ANY_TAG: Final = re.compile(
    rb"^(?:[0-9]+ )?<[0-9]{1,3}>1 [^ ]+ [^ ]+ ([^ ]+) "
    rb"|(?<=\[)([a-z][A-Za-z0-9_./+-]*)\](?= )"
    rb"|(?:^|(?<=[\s>,|]))([A-Za-z][A-Za-z0-9_./+-]*)(?:\[[^\]\s]*\])?:(?=[\s,|])"
)
_TAI_EPOCH: Final = (1 << 62) + 10
"""The second of TAI64 labels that is 1970, as multilog writes them; s6-log adds the leap seconds since, 27 by now."""


LastMoment = Callable[[], "float | None"]
"""Returns the moment of the stamp before a line, in seconds since the epoch; ``None`` if there is none."""


def _nothing() -> None:
    return None


class Header(NamedTuple):
    """What stands before a message of postgrey's, and where the message begins."""

    moment: float | None
    """Seconds since the epoch; not a number for an impossible date, ``None`` for a bare message without any stamp."""
    line: bytes
    """The line, or what Docker's JSON has as one."""
    start: int
    """Where the message begins in it."""


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


class HeaderReader:
    """Reads headers; remembers each hour that it has met, since a log repeats few of them."""

    def __init__(self, tag: str, zone: tzinfo | None) -> None:
        """Take postgrey's syslog tag, and the zone of stamps that carry none.

        ``None`` is the system's own zone, daylight saving included.
        """
        name = re.escape(tag.encode())
        self._tag = tag.encode()
        self._no_other_tag = re.compile(
            _SYSLOG_STAMP + _NO_TAGS + rb"(?:\[?" + name + rb"(?![A-Za-z0-9_./+@-])|action=)"
        )
        # In JSON no text that is quoted holds a quote.
        self._in_quotes = re.compile(rb'"' + name + rb'(?:\[[0-9]+\])?:?"')
        # journalctl's with-unit has the unit in the tag's place.
        program = name + rb"(?:(?:[@-][^/\s\[\]:]*)?\.service)?"
        self._ours = re.compile(
            _SYSLOG_STAMP
            + rb"(?:"
            + _TO_TAG
            + program
            + rb"(?:\[[0-9]+\])?: +"
            + _SOLARIS
            # metalog's
            + (rb"| \[" + name + rb"\] +")
            + rb"|(?P<host_5424>"
            + _HOST
            + rb") "
            + program
            + _RFC_5424
            + rb")"
        )
        self._place = re.compile(_SYSLOG_STAMP + _TO_TAG + rb" *")
        self._zone = zone
        self._hours: dict[tuple[bytes | None, ...], _Hour | None] = {}
        self._dated_by = float("-inf")

    def read(self, line: bytes, seen_at: float, last: LastMoment = _nothing) -> Header | None:
        """Return the header of a line of postgrey's; ``None`` for another program's line.

        ``seen_at`` is when the line was there at the latest: the present for a live log, the modification time for an
        archive. A stamp without a year means the latest year that does not put it after that (see `CLOCK_SKEW`).
        ``last`` returns the moment of the stamp before, which tells the two hours apart that end daylight saving.
        """
        outer, line = self.unwrap(line, seen_at)
        found = self._ours.match(line)
        if found is not None and not _is_broken(found):
            return Header(self._moment(found, seen_at, last), line, found.end())
        bare = _BARE.match(line)
        return None if bare is None else Header(outer, line, bare.end())

    def stamp(self, line: bytes, seen_at: float, last: LastMoment = _nothing) -> float | None:
        """Return the moment of the stamp of anybody's line; ``None`` where there is none, or an impossible one."""
        outer, line = self.unwrap(line, seen_at)
        found = _STAMPED.match(line)
        moment = outer if found is None else self._moment(found, seen_at, last)
        return None if moment is None or moment != moment else moment  # noqa: PLR0124 - not a number

    def unwrap(self, line: bytes, seen_at: float) -> tuple[float | None, bytes]:
        """Return a line without what a log driver has put around it, and the moment that this tells."""
        # Docker writes a blank as one; a tag that rsyslog has broken can't hold one, see `_is_broken`.
        if _DOCKER_JSON.match(line) and b"\\u0020" not in line:
            return self._from_docker(line, seen_at)
        outer = _OUTER.match(line)
        if outer is None or _WHOLE.match(line, outer.end()) is None or _is_repeated(outer):
            return None, line
        return self._moment(outer, seen_at), line[outer.end() :]

    def place(self, line: bytes) -> int | None:
        """Return where the tag stands, or what is there in its stead; ``None`` without a stamp."""
        placed = self._place.match(line)
        return None if placed is None or _is_broken(placed) else placed.end()

    def bears_no_other_tag(self, line: bytes) -> bool:
        """Tell of a line without a header of postgrey's whether no other program's tag stands at its place."""
        placed = self._place.match(line)
        if placed is not None:
            other = _TAG_OF_OTHERS.match(line, placed.end())
            if _is_broken(placed) or (other is not None and not other[0].startswith(self._tag)):
                return False
            return self._no_other_tag.match(line) is not None
        if line.startswith(b"{"):
            return self._in_quotes.search(line) is not None
        tag = _ANY_TAG.search(line)
        return tag is None or tag[tag.lastindex or 0] == self._tag

    def hour(self, stamp: bytes, seen_at: float) -> float | None:
        """Return the begin of the hour that a stamp lies in, see `read`.

        ``None`` stands for an impossible hour, and for one that comes twice.
        """
        found = _STAMPED.fullmatch(stamp)
        hour = None if found is None else self._hour(found, seen_at)
        return None if hour is None or hour.again is not None else hour.begin

    def _from_docker(self, line: bytes, seen_at: float) -> tuple[float | None, bytes]:
        import json  # noqa: PLC0415 - only this form needs it

        try:
            entry = json.loads(line)
            text, time = entry["log"].encode("utf-8", "surrogatepass"), entry.get("time", "").encode()
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None, line
        found = _STAMPED.fullmatch(time)
        return (None if found is None else self._moment(found, seen_at)), text.rstrip(b"\n")

    def _moment(self, found: re.Match[bytes], seen_at: float, last: LastMoment = _nothing) -> float:
        """Return the moment of a stamp; not a number for an impossible one."""
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


def _is_broken(found: re.Match[bytes]) -> bool:
    """Tell whether the host name repeats the end of a stamp without blanks.

    rsyslog's imuxsock keeps a line break inside a tag and writes the end of the tag again behind it: what such a
    line has as its header is the text of another program's message, see docs/bare-lines.md.
    """
    stamp, host = found["stamp"], found["host"] or found.groupdict().get("host_5424") or b""
    return b" " not in stamp and stamp[-REPEATED_SIZE:] in host


def _is_repeated(outer: re.Match[bytes]) -> bool:
    """Tell whether the word behind an outer stamp repeats the end of the one before, see `_is_broken`."""
    line, end = outer.string, outer.end()
    return line[:end].rstrip(b" ").endswith(line[end : 2 * end].partition(b" ")[0])
