"""What a log's lines show about their writer: postgrey, a quiet or an old postgrey, or another greylister."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.parsing.syslog import CLOCK_SKEW, HeaderReader
from postgrey_exporter.wording import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

OTHER_GREYLISTERS: Final = ("sqlgrey", "gld", "milter-greylist", "rspamd", "cbpolicyd")
"""Other programs that greylist, by their syslog tags. None of their lines is a decision of postgrey's."""

_GREYLISTS: Final = re.compile(rb"grey", re.IGNORECASE)
_HEADER: Final = re.compile(
    rb"(?:[A-Z][a-z][a-z] [ 0-3]?[0-9] [0-9:.]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ \n]+)"
    rb" (?:<[^> \n]+> )?[^ \n]+ ([^\s:\[\]]+)(?:\[[0-9]+\])?: (?:\[ID [^\]\n]+\] )?"
)
_BEFORE_1_28: Final = re.compile(rb"delayed [0-9]+ seconds: client=")
_DECISION: Final = re.compile(rb"(?:[0-9A-Za-z]+: )?action=(?:greylist|pass), (?:reason|client_)")
_RELOAD: Final = re.compile(rb"HUP received: reloading")
_WHITELISTED: Final = re.compile(rb"whitelisted: ")


class Remark(NamedTuple):
    """What an operator has to know about a log."""

    text: str
    remedy: str | None = None
    """What to do; ``None`` if it is no fault."""

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True, slots=True)
class Signs:
    """What some lines of a log show."""

    newest_decision: float | None = None
    """The time of postgrey's latest decision, in seconds since the epoch; at most a day ahead of the present."""
    ours: bool = False
    """Whether any line is postgrey's, a decision or not."""
    whitelisted: bool = False
    """Whether postgrey added clients to its auto-whitelist: the only thing that it logs with ``--quiet``."""
    old: bool = False
    """Whether a postgrey before 1.28 writes here: it logs deliveries and not what it greylists."""
    other_tags: frozenset[str] = frozenset()
    """Syslog tags other than postgrey's whose lines look like its decisions."""
    other_greylisters: frozenset[str] = frozenset()
    unverified: frozenset[str] = frozenset()
    """Units and accounts that log to the journal under postgrey's identifier and are not postgrey's."""

    def __or__(self, other: Signs) -> Signs:
        """Return what both show."""
        decisions = [one.newest_decision for one in (self, other) if one.newest_decision is not None]
        return Signs(
            max(decisions, default=None),
            self.ours or other.ours,
            self.whitelisted or other.whitelisted,
            self.old or other.old,
            self.other_tags | other.other_tags,
            self.other_greylisters | other.other_greylisters,
            self.unverified | other.unverified,
        )

    @property
    def quiet(self) -> bool:
        """Whether postgrey seems to run with ``--quiet``."""
        return self.whitelisted and self.newest_decision is None

    def remarks(self) -> list[Remark]:
        """Return what an operator has to know."""
        remarks = []
        if self.quiet:
            text = "postgrey says 'whitelisted:' and no decision, it runs with --quiet"
            remarks.append(Remark(text, "remove --quiet from postgrey's options and restart it"))
        if self.old:
            text = "a postgrey before 1.28 writes here, it logs deliveries only"
            remarks.append(Remark(text, "update postgrey to 1.28 or newer"))
        for tag in sorted(self.other_tags) if self.newest_decision is None else ():
            remedy = f"start the exporter with {command('--syslog-tag', tag)}"
            remarks.append(Remark(f"postgrey's decisions come under the tag {tag!r}", remedy))
        texts = [f"{name} greylists here, which is another program" for name in sorted(self.other_greylisters)]
        texts += [
            f"entries under postgrey's identifier by {who} don't count: neither its unit nor root nor its account"
            for who in sorted(self.unverified)
        ]
        return remarks + [Remark(text) for text in texts]


class Examiner:
    """Finds signs in blocks of lines."""

    def __init__(self, tag: str, zone: tzinfo | None) -> None:
        """Create an examiner for postgrey's syslog tag. ``zone`` is for times without one (``None``: local time)."""
        self._tag = tag
        self._parser = Parser(tag, zone)
        self._headers = HeaderReader(zone)

    def examine(self, lines: bytes, seen_at: float, present: float = inf) -> Signs:
        """Return what whole lines show. ``seen_at`` and ``present`` as in `Parser.parse`.

        Stamps of the future tell no time beside others that can be true.
        """
        seen_at = min(seen_at, present)
        parsed = self._parser.parse(lines, seen_at)
        latest = present + CLOCK_SKEW.total_seconds()
        credible = [decision.time for decision in parsed.decisions if decision.time <= latest]
        tags = {text for text, _ in _messages(lines, b"action=", _DECISION)}
        tag = self._tag
        return Signs(
            newest_decision=max(credible, default=seen_at) if parsed.decisions else None,
            ours=bool(parsed.decisions or parsed.no_decision or parsed.malformed),
            whitelisted=any(text in {tag, ""} for text, _ in _messages(lines, b"whitelisted: ", _WHITELISTED)),
            old=any(text == tag for text, _ in _messages(lines, b"delayed ", _BEFORE_1_28)),
            other_tags=frozenset(tags - {tag, "", *OTHER_GREYLISTERS}),
            other_greylisters=frozenset(name for name in OTHER_GREYLISTERS if _greylists(lines, name)),
        )

    def newest_reload(self, lines: bytes, seen_at: float, present: float) -> float | None:
        """Return when postgrey last reloaded its whitelists; ``seen_at`` for a line without a header.

        A stamp of the future tells nothing.
        """
        reloads = []
        for tag, start in _messages(lines, b"HUP received: ", _RELOAD):
            if tag in {self._tag, ""}:
                line = lines.rfind(b"\n", 0, start) + 1
                end = lines.rfind(b" ", line, max(line, start - 1))
                moment = self._headers.moment(lines, line, end, seen_at) if tag else seen_at
                reloads += [] if moment is None or moment > present + CLOCK_SKEW.total_seconds() else [moment]
        return max(reloads, default=None)


def _messages(lines: bytes, needle: bytes, shape: re.Pattern[bytes]) -> Iterator[tuple[str, int]]:
    """Yield the tag and the start of each message that ``shape`` matches; the tag is ``""`` without a header.

    ``needle`` is a text that every such message has near its start.
    """
    at = lines.find(needle)
    while at >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        header = _HEADER.match(lines, start)
        message = header.end() if header else start
        if message <= at and shape.match(lines, message):
            yield header[1].decode("ascii", "replace") if header else "", message
        at = lines.find(needle, at + 1)


def _greylists(lines: bytes, name: str) -> bool:
    for opening in (b" %s[" % name.encode(), b" %s: " % name.encode()):
        at = lines.find(opening)
        while at >= 0:
            header = _HEADER.match(lines, lines.rfind(b"\n", 0, at) + 1)
            if header and header.start(1) == at + 1:
                end = lines.find(b"\n", header.end())
                if name != "rspamd" or _GREYLISTS.search(lines, header.end(), len(lines) if end < 0 else end):
                    return True
            at = lines.find(opening, at + 1)
    return False
