"""What a log's lines show about their writer: postgrey, a quiet or an old postgrey, or another greylister."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.line import DECISION, FOREIGN, MALFORMED, NO_DECISION
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.parsing.remarks import Remark, remarks
from postgrey_exporter.parsing.stamp import CLOCK_SKEW
from postgrey_exporter.wording import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

OTHER_GREYLISTERS: Final = ("sqlgrey", "gld", "milter-greylist", "rspamd", "cbpolicyd")
"""Other programs that greylist, by their syslog tags. None of their lines is a decision of postgrey's."""

_GREYLISTS: Final = re.compile(rb"grey", re.IGNORECASE)
_TAG: Final = re.compile(rb"([^\s:\[\]]+)(?:\[[0-9]+\])?: +")
_DECISION: Final = re.compile(rb"(?:[0-9A-Za-z]+: )?action=(?:greylist|pass), (?:reason|client_)")
_RELOAD: Final = re.compile(rb"HUP received: reloading")


@dataclass(frozen=True, slots=True)
class Signs:
    """What some lines of a log show."""

    newest_decision: float | None = None
    """The time of postgrey's latest decision, or of a delivery that a postgrey before 1.28 logs.

    In seconds since the epoch, at most a day ahead of the present.
    """
    lines: Counter[str] = field(default_factory=Counter)
    """The lines by outcome and sign, see `parser.OUTCOMES`, without other programs' lines."""
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
            self.lines + other.lines,
            self.other_tags | other.other_tags,
            self.other_greylisters | other.other_greylisters,
            self.unverified | other.unverified,
        )

    @property
    def ours(self) -> bool:
        """Whether any line is postgrey's, a decision or not."""
        return any(self.lines[outcome] for outcome in (DECISION, NO_DECISION, MALFORMED))

    def remarks(self) -> list[Remark]:
        """Return what an operator has to know."""
        return remarks(self.lines) + self.others()

    def others(self) -> list[Remark]:
        """Return what an operator has to know of other writers."""
        found = []
        for tag in sorted(self.other_tags) if self.newest_decision is None else ():
            remedy = f"start the exporter with {command('--syslog-tag', tag)}"
            found.append(Remark(f"postgrey's decisions come under the tag {tag!r}", remedy))
        texts = [f"{name} greylists here, which is another program" for name in sorted(self.other_greylisters)]
        texts += [
            f"entries under postgrey's identifier by {who} don't count: neither its unit nor root nor its account"
            for who in sorted(self.unverified)
        ]
        return found + [Remark(text) for text in texts]


class Examiner:
    """Finds signs in blocks of lines."""

    def __init__(self, tag: str, zone: tzinfo | None) -> None:
        """Create an examiner for postgrey's syslog tag. ``zone`` is for times without one (``None``: local time)."""
        self._tag = tag
        self._parser = Parser(tag, zone)
        self._headers = HeaderReader(tag, zone)

    def examine(self, lines: bytes, seen_at: float, present: float = inf) -> Signs:
        """Return what whole lines show. ``seen_at`` and ``present`` as in `Parser.read`.

        Stamps of the future tell no time beside others that can be true.
        """
        seen_at = min(seen_at, present)
        decisions = self._parser.read(lines, seen_at)
        newest = decisions.newest(present + CLOCK_SKEW.total_seconds())
        tags = {text for text, _ in self._messages(lines, b"action=", _DECISION)}
        return Signs(
            newest_decision=(seen_at if newest is None else newest) if len(decisions) else None,
            lines=Counter({kind: count for kind, count in decisions.lines.items() if count and kind != FOREIGN}),
            other_tags=frozenset(tags - {self._tag, "", *OTHER_GREYLISTERS}),
            other_greylisters=frozenset(name for name in OTHER_GREYLISTERS if self._greylists(lines, name)),
        )

    def stamp(self, line: bytes, seen_at: float) -> float | None:
        """Return the moment of a line's stamp; ``None`` where there is none, or an impossible one."""
        return self._headers.stamp(line, seen_at)

    def newest_reload(self, lines: bytes, seen_at: float, present: float) -> float | None:
        """Return when postgrey last reloaded its whitelists; ``seen_at`` for a line without a header.

        A stamp of the future tells nothing.
        """
        reloads = []
        for tag, start in self._messages(lines, b"HUP received: ", _RELOAD):
            if tag in {self._tag, ""}:
                line = lines[lines.rfind(b"\n", 0, start) + 1 : start]
                moment = self._headers.stamp(line, seen_at) if tag else seen_at
                reloads += [] if moment is None or moment > present + CLOCK_SKEW.total_seconds() else [moment]
        return max(reloads, default=None)

    def _messages(self, lines: bytes, needle: bytes, shape: re.Pattern[bytes]) -> Iterator[tuple[str, int]]:
        """Yield the tag and the start of each message that ``shape`` matches; the tag is ``""`` without a header.

        ``needle`` is a text that every such message has near its start.
        """
        at = lines.find(needle)
        while at >= 0:
            start = lines.rfind(b"\n", 0, at) + 1
            place = self._headers.place(lines[start:at])
            tag = None if place is None else _TAG.match(lines, start + place)
            message = tag.end() if tag else start
            if message <= at and shape.match(lines, message):
                yield tag[1].decode("ascii", "replace") if tag else "", message
            at = lines.find(needle, at + 1)

    def _greylists(self, lines: bytes, name: str) -> bool:
        """Tell whether another greylister of this name writes here."""
        for opening in (b" %s[" % name.encode(), b" %s: " % name.encode()):
            at = lines.find(opening)
            while at >= 0:
                start = lines.rfind(b"\n", 0, at) + 1
                end = lines.find(b"\n", at)
                line = lines[start : len(lines) if end < 0 else end]
                place = self._headers.place(line)
                if place == at + 1 - start and (name != "rspamd" or _GREYLISTS.search(line, place + len(name))):
                    return True
                at = lines.find(opening, at + 1)
        return False
