"""What the lines of a log tell about who writes there: postgrey, a silent one, an old one, or another program."""

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
"""Programs that greylist too, by their syslog tags. None of their lines is a decision of postgrey's."""

_GREYLISTS: Final = re.compile(rb"grey", re.IGNORECASE)
_TAG_AT_ITS_PLACE: Final = re.compile(
    rb"(?:[A-Z][a-z][a-z] [ 0-3]?[0-9] [0-9:.]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ \n]+)"
    rb" (?:<[^> \n]+> )?[^ \n]+ ([^\s:\[\]]+)(?:\[[0-9]+\])?: (?:\[ID [^\]\n]+\] )?"
)
_BEFORE_1_28: Final = re.compile(rb"delayed [0-9]+ seconds: client=")
_DECISION: Final = re.compile(rb"(?:[0-9A-Za-z]+: )?action=(?:greylist|pass), (?:reason|client_)")
_RELOAD: Final = re.compile(rb"HUP received: reloading")
_WHITELISTED: Final = re.compile(rb"whitelisted: ")


class Remark(NamedTuple):
    """Something about the lines of a log that an operator has to know."""

    text: str
    remedy: str | None = None
    """What to do; ``None`` when it is no fault."""

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen in some lines of a log."""

    newest_decision: float | None = None
    """The time of postgrey's latest decision, in seconds since the epoch; at most a day ahead of the present."""
    ours: bool = False
    """Whether any line is postgrey's, decision or not."""
    whitelisted: bool = False
    """Whether postgrey took clients into its auto-whitelist: all that it says with ``--quiet``."""
    old: bool = False
    """Whether a postgrey before 1.28 writes here: it names deliveries only, what it greylists goes unsaid."""
    other_tags: frozenset[str] = frozenset()
    """Syslog tags that are not postgrey's and have lines that look like its decisions."""
    other_greylisters: frozenset[str] = frozenset()
    disowned: frozenset[str] = frozenset()
    """Who logs to the journal under postgrey's identifier without being postgrey, see `journal_entry`."""

    def merged(self, other: Evidence) -> Evidence:
        """Return what was seen in both."""
        decisions = [e.newest_decision for e in (self, other) if e.newest_decision is not None]
        return Evidence(
            max(decisions, default=None),
            self.ours or other.ours,
            self.whitelisted or other.whitelisted,
            self.old or other.old,
            self.other_tags | other.other_tags,
            self.other_greylisters | other.other_greylisters,
            self.disowned | other.disowned,
        )

    @property
    def quiet(self) -> bool:
        """Whether postgrey seems to run with ``--quiet``."""
        return self.whitelisted and self.newest_decision is None

    def remarks(self) -> list[Remark]:
        """Return what an operator has to know."""
        said = []
        if self.quiet:
            said.append(
                Remark(
                    "postgrey says 'whitelisted:' and no decision, it runs with --quiet",
                    "remove --quiet from postgrey's options and restart it",
                )
            )
        if self.old:
            said.append(
                Remark(
                    "a postgrey before 1.28 writes here, it logs deliveries only", "update postgrey to 1.28 or newer"
                )
            )
        if self.newest_decision is None:
            said += [
                Remark(
                    f"postgrey's decisions come under the tag {tag!r}",
                    f"start the exporter with {command('--syslog-tag', tag)}",
                )
                for tag in sorted(self.other_tags)
            ]
        said += [
            Remark(f"{name} greylists here, which is another program") for name in sorted(self.other_greylisters)
        ]
        said += [
            Remark(
                f"entries under postgrey's identifier by {who} don't count: neither its unit nor root nor its account"
            )
            for who in sorted(self.disowned)
        ]
        return said


class Examiner:
    """Gathers evidence from blocks of lines."""

    def __init__(self, tag: str, zone: tzinfo | None) -> None:
        """Take postgrey's syslog tag, and the zone of stamps without one (``None``: the system's)."""
        self._tag = tag
        self._parser = Parser(tag, zone)
        self._headers = HeaderReader(zone)

    def examine(self, lines: bytes, seen_at: float, present: float = inf) -> Evidence:
        """Return what whole lines show. ``seen_at`` and ``present`` as in `Parser.parse`.

        Stamps of the future tell no time beside others that can be true.
        """
        seen_at = min(seen_at, present)
        parsed = self._parser.parse(lines, seen_at)
        latest = present + CLOCK_SKEW.total_seconds()
        credible = [decision.time for decision in parsed.decisions if decision.time <= latest]
        tags = {text for text, _ in _messages(lines, b"action=", _DECISION)}
        tag = self._tag
        return Evidence(
            newest_decision=max(credible, default=seen_at) if parsed.decisions else None,
            ours=bool(parsed.decisions or parsed.no_decision or parsed.malformed),
            whitelisted=any(text in {tag, ""} for text, _ in _messages(lines, b"whitelisted: ", _WHITELISTED)),
            old=any(text == tag for text, _ in _messages(lines, b"delayed ", _BEFORE_1_28)),
            other_tags=frozenset(tags - {tag, "", *OTHER_GREYLISTERS}),
            other_greylisters=frozenset(name for name in OTHER_GREYLISTERS if _greylists(lines, name)),
        )

    def newest_reload(self, lines: bytes, seen_at: float, present: float) -> float | None:
        """Return when postgrey last read its whitelists again, by whole lines; without a header: ``seen_at``.

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
    """Yield the tag and the start of each message that has a shape; a message without a header has the tag ``""``.

    ``needle`` is a text that each such message has near its start.
    """
    at = lines.find(needle)
    while at >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        header = _TAG_AT_ITS_PLACE.match(lines, start)
        message = header.end() if header else start
        if message <= at and shape.match(lines, message):
            yield header[1].decode("ascii", "replace") if header else "", message
        at = lines.find(needle, at + 1)


def _greylists(lines: bytes, name: str) -> bool:
    for opening in (b" %s[" % name.encode(), b" %s: " % name.encode()):
        at = lines.find(opening)
        while at >= 0:
            header = _TAG_AT_ITS_PLACE.match(lines, lines.rfind(b"\n", 0, at) + 1)
            if header and header.start(1) == at + 1:
                end = lines.find(b"\n", header.end())
                if name != "rspamd" or _GREYLISTS.search(lines, header.end(), len(lines) if end < 0 else end):
                    return True
            at = lines.find(opening, at + 1)
    return False
