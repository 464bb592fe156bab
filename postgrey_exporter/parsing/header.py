"""Line headers: one grammar for all that can stand before postgrey's own words, and the moment that it tells.

A line is ``[<PRI>] STAMP [HOST] TAG: MESSAGE`` (RFC 3164 and its kin), RFC 5424, a bare message, or any of these
behind the stamp of ``docker logs -t``, Kubernetes, multilog, s6-log or svlogd, or inside Docker's JSON. Only the tag
at its place tells who wrote a line: all text behind another tag may be a stranger's.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.parsing.stamp import STAMP, LastMoment, Stamps, nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

TRADITIONAL_STAMP_SIZE: Final = 15
"""Length of a stamp by RFC 3164 in its usual spelling: ``Feb  5 08:38:26``."""
REPEATED_SIZE: Final = 3
"""How much longer rsyslog makes a control character by escaping it, and so how much of a tag it repeats at least."""
QUEUE_ID: Final = rb"(?:(?:[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}): )?"
"""Postfix's queue id, which need not be there: hexadecimal, or the long form, which has no vowels."""


class _Late:
    """A pattern that is compiled when it is first used: a usual log needs few of them, and they take their time."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern

    @cached_property
    def match(self) -> Callable[..., re.Match[bytes] | None]:
        return re.compile(self._pattern).match

    @cached_property
    def fullmatch(self) -> Callable[..., re.Match[bytes] | None]:
        return re.compile(self._pattern).fullmatch

    @cached_property
    def search(self) -> Callable[..., re.Match[bytes] | None]:
        return re.compile(self._pattern).search


_BYTE_ORDER_MARK: Final = rb"(?:\xef\xbb\xbf)?"
_FACILITY: Final = rb"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])"
_SEVERITY: Final = rb"(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug)"
_PRIORITY: Final = _FACILITY + rb"\." + _SEVERITY
_IN_BRACKETS: Final = rb"(?:<(?:[0-9]{1,3}|[0-9]+\.[0-9]+|" + _PRIORITY + rb")>|\[" + _PRIORITY + rb"\])"
# What socklog writes first is "mail.info: ".
_SYSLOG_STAMP: Final = (
    _BYTE_ORDER_MARK
    + (rb"(?:" + _IN_BRACKETS + rb" ?|" + _PRIORITY + rb":? )?(?:1 )?")
    + (rb"(?P<stamp>" + STAMP + rb")")
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
_BEHIND_OUTER: Final = _Late(rb"(?: std(?:out|err) F)? +")
_DOCKER_JSON: Final = _Late(_BYTE_ORDER_MARK + rb'\{"log": ?"')
_STAMPED: Final = _Late(_SYSLOG_STAMP + rb"(?= |$)")
_BARE: Final = _Late(_BYTE_ORDER_MARK + rb"(?=" + _CLAIMS_DECISION + rb")")
_BARE_OR_JSON: Final = _Late(_CLAIMS_DECISION + rb"|\{")
_PRIORITY_FIRST: Final = _Late(_PRIORITY + rb" ")
_TAG_OF_OTHERS: Final = _Late(rb"[^ \[<][^ ]*(?<!:):(?= |$)")
# RFC 5424 without a stamp that is read, metalog's way, or as usual.
_ANY_TAG: Final = _Late(
    rb"^(?:[0-9]+ )?<[0-9]{1,3}>1 [^ ]+ [^ ]+ ([^ ]+) "
    rb"|(?<=\[)([a-z][A-Za-z0-9_./+-]*)\](?= )"
    rb"|(?:^|(?<=[\s>,|]))([A-Za-z][A-Za-z0-9_./+-]*)(?:\[[^\]\s]*\])?:(?=[\s,|])"
)


class Header(NamedTuple):
    """What stands before a message of postgrey's, and where the message begins."""

    moment: float | None
    """Seconds since the epoch; not a number for an impossible date, ``None`` for a bare message without any stamp."""
    line: bytes
    """The line, or what Docker's JSON has as one."""
    start: int
    """Where the message begins in it."""


class HeaderReader:
    """Reads headers."""

    def __init__(self, tag: str, zone: tzinfo | None) -> None:
        """Take postgrey's syslog tag, and the zone of stamps that carry none.

        ``None`` is the system's own zone, daylight saving included.
        """
        name = re.escape(tag.encode())
        self._tag = tag.encode()
        self._no_other_tag = _Late(_SYSLOG_STAMP + _NO_TAGS + rb"(?:\[?" + name + rb"(?![A-Za-z0-9_./+@-])|action=)")
        # In JSON no text that is quoted holds a quote.
        self._in_quotes = _Late(rb'"' + name + rb'(?:\[[0-9]+\])?:?"')
        # journalctl's with-unit has the unit in the tag's place.
        program = name + rb"(?:(?:[@-][^/\s\[\]:]*)?\.service)?"
        self._ours = _Late(
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
        self._place = _Late(_SYSLOG_STAMP + _TO_TAG + rb" *")
        self._stamps = Stamps(zone)

    def read(self, line: bytes, seen_at: float, last: LastMoment = nothing) -> Header | None:
        """Return the header of a line of postgrey's; ``None`` for another program's line.

        ``seen_at`` is when the line was there at the latest: the present for a live log, the modification time for an
        archive. A stamp without a year means the latest year that does not put it after that (see `CLOCK_SKEW`).
        ``last`` returns the moment of the stamp before, which tells the two hours apart that end daylight saving.
        """
        outer, line = self.unwrap(line, seen_at)
        found = self._ours.match(line)
        if found is not None and not _is_broken(found):
            return Header(self._stamps.moment(found, seen_at, last), line, found.end())
        bare = _BARE.match(line)
        return None if bare is None else Header(outer, line, bare.end())

    def stamp(self, line: bytes, seen_at: float, last: LastMoment = nothing) -> float | None:
        """Return the moment of the stamp of anybody's line; ``None`` where there is none, or an impossible one."""
        outer, line = self.unwrap(line, seen_at)
        found = _STAMPED.match(line)
        moment = outer if found is None else self._stamps.moment(found, seen_at, last)
        return None if moment is None or moment != moment else moment  # noqa: PLR0124 - not a number

    def unwrap(self, line: bytes, seen_at: float) -> tuple[float | None, bytes]:
        """Return a line without what a log driver has put around it, and the moment that this tells."""
        # Docker writes a blank as one; a tag that rsyslog has broken can't hold one, see `_is_broken`.
        if _DOCKER_JSON.match(line) and b"\\u0020" not in line:
            return self._from_docker(line, seen_at)
        outer = _STAMPED.match(line)
        behind = None if outer is None else _BEHIND_OUTER.match(line, outer.end())
        if outer is None or behind is None or not _is_whole(line, behind.end()) or _is_repeated(line, behind.end()):
            return None, line
        return self._stamps.moment(outer, seen_at), line[behind.end() :]

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
        return None if found is None else self._stamps.hour(found, seen_at)

    def _from_docker(self, line: bytes, seen_at: float) -> tuple[float | None, bytes]:
        import json  # noqa: PLC0415 - only this form needs it

        try:
            entry = json.loads(line)
            text, time = entry["log"].encode("utf-8", "surrogatepass"), entry.get("time", "").encode()
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None, line
        found = _STAMPED.fullmatch(time)
        return (None if found is None else self._stamps.moment(found, seen_at)), text.rstrip(b"\n")


def _is_broken(found: re.Match[bytes]) -> bool:
    """Tell whether the host name repeats the end of a stamp without blanks.

    rsyslog's imuxsock keeps a line break inside a tag and writes the end of the tag again behind it: what such a
    line has as its header is the text of another program's message, see docs/bare-lines.md.
    """
    stamp, host = found["stamp"], found["host"] or found.groupdict().get("host_5424") or b""
    return b" " not in stamp and stamp[-REPEATED_SIZE:] in host


def _is_whole(line: bytes, at: int) -> bool:
    """Tell whether a bare message or a whole line begins at a place."""
    if _BARE_OR_JSON.match(line, at):
        return True
    return _PRIORITY_FIRST.match(line, at) is None and _STAMPED.match(line, at) is not None


def _is_repeated(line: bytes, at: int) -> bool:
    """Tell whether the word at a place repeats the end of the stamp before it, see `_is_broken`."""
    return line[:at].rstrip(b" ").endswith(line[at : 2 * at].partition(b" ")[0])
