"""From blocks of log lines to decisions.

A line is postgrey's only by its syslog tag at its place in the header or, where the log has no headers, by
``action=`` at the very start of the line. Everything else in a line may be an attacker's text.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Final, TypeVar

from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KEY_SIZE, KeyedHash
from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.line import (
    AUTO_WHITELISTED,
    DECISION,
    FOREIGN,
    MALFORMED,
    NEAR_MISS,
    NO_DECISION,
    Carry,
    Line,
)
from postgrey_exporter.parsing.message import AUTO_WHITELISTED_BEGIN, MessageReader, shape_of, times_of
from postgrey_exporter.parsing.stamp import CLOCK_SKEW, LastMoment
from postgrey_exporter.parsing.usual import UsualLines

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from postgrey_exporter.decision import Decision

T = TypeVar("T")

DEFAULT_TAG: Final = "postgrey"

_HOLE: Final = b"\0"  # see `sources.blocks.without_holes`
_DECISION_WORDS: Final = re.compile(rb"action=(?:greylist|pass), reason=")
# inetutils and the BSDs say so of the line before, without a tag.
_LAST_REPEATED: Final = re.compile(rb"last message repeated ([0-9]+) times?[ \r]*")
_LONGEST_LOOK_BACK: Final = 64 << 10
"""Bytes in front of a bare message in which a stamp is looked for, where no line of a usual form comes before."""
_MOST_ODDITIES: Final = 10


@dataclass(slots=True)
class Parsed:
    """What a block of lines held."""

    decisions: list[Decision] = field(default_factory=list)
    lines: Counter[str] = field(default_factory=Counter)
    """By outcome, see `OUTCOMES`, and by sign."""
    future: int = 0
    """How many decisions carried a stamp of the future, and are dated by when they were there."""


class Parser:
    """Parses blocks of whole lines; keeps nothing between them but caches."""

    def __init__(self, tag: str = DEFAULT_TAG, zone: tzinfo | None = None, secret: bytes | None = None) -> None:
        """Take the syslog tag that postgrey logs under, and the zone of stamps without one (None: the system's).

        ``secret`` is what senders and recipients are hashed with; without one the hashes hold for this parser only.
        """
        secret = os.urandom(KEY_SIZE) if secret is None else secret
        self.keyed = KeyedHash(secret)
        """What a tally hashes with that takes this parser's decisions."""
        self.tag = tag
        self._options = tag, zone, secret
        self.headers = HeaderReader(tag, zone)
        self._messages = MessageReader(self.keyed)
        self.usual = UsualLines(b" " + tag.encode(), self.headers, self.keyed)

    def another(self) -> Parser:
        """Return one for another thread, whose decisions go together with those of this one."""
        return Parser(*self._options)

    def read(
        self,
        lines: bytes | memoryview,
        seen_at: float,
        present: float = inf,
        before: Callable[[], Carry] = Carry,
    ) -> Decisions:
        """Return the decisions of whole lines, the last one with or without its newline.

        ``seen_at`` (seconds since the epoch) is when the lines were there at the latest: it gives the year to
        stamps without one, and the time to bare messages where no stamp comes before. A stamp more than
        `stamp.CLOCK_SKEW` ahead of the ``present`` can't be true: the line is dated by when it was there. ``before``
        returns what the lines before these have left; it is called only if these need it.
        """
        seen_at = min(seen_at, present)
        decisions = Decisions()
        context = _Context(self, decisions, seen_at, before)
        usual, foreign = self.usual.read(lines, seen_at, decisions, context.read_unusual)
        decisions.carry = Carry(context.last_moment(), context.last_decision())
        decisions.date_by_arrival(_latest(present), seen_at)
        decisions.lines[DECISION] += usual
        decisions.lines[FOREIGN] += foreign
        decisions.lines[NO_DECISION] += self.usual.no_decisions
        decisions.lines[AUTO_WHITELISTED] += self.usual.auto_whitelisted
        return decisions

    def parse(self, lines: bytes, seen_at: float, present: float = inf) -> Parsed:
        """Return what whole lines hold, each decision by itself; by the long way alone: the same as `read`."""
        parsed = Parsed()
        seen_at = min(seen_at, present)
        carry = Carry()
        for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
            read = self.read_line(line.lstrip(_HOLE), seen_at, _always(carry.moment), _always(carry.decision))
            parsed.lines.update(read.kinds)
            parsed.decisions += [] if read.decision is None else [read.decision]
            carry = Carry(carry.moment if read.moment is None else read.moment, read.decision)
        latest = _latest(present)
        parsed.future = sum(decision.time > latest for decision in parsed.decisions)
        parsed.decisions = [
            decision._replace(time=seen_at) if decision.time > latest else decision for decision in parsed.decisions
        ]
        return parsed

    def read_line(
        self,
        line: bytes,
        seen_at: float,
        last_moment: LastMoment,
        last_decision: Callable[[], Decision | None],
    ) -> Line:
        """Return what a line of any form holds; what came before it is asked for where it matters."""
        header = self.headers.read(line, seen_at, last_moment)
        if header is None:
            return self._read_foreign(line, seen_at, last_moment, last_decision)
        stamp = last_moment() if header.moment is None else header.moment
        if stamp is not None and isnan(stamp):
            return Line(MALFORMED)
        read = self._messages.read(header.line, header.start, len(header.line), seen_at if stamp is None else stamp)
        return read._replace(moment=stamp)

    def _read_foreign(
        self, line: bytes, seen_at: float, last_moment: LastMoment, last_decision: Callable[[], Decision | None]
    ) -> Line:
        """Return what a line without a header of postgrey's holds."""
        moment = self.headers.stamp(line, seen_at, last_moment)
        _, inner = self.headers.unwrap(line, seen_at)
        place = self.headers.place(inner)
        repeated = None if place is None else _LAST_REPEATED.fullmatch(inner, place)
        if repeated is not None and moment is not None and (decision := last_decision()) is not None:
            times = times_of(repeated[1])
            if not times:
                return Line(MALFORMED, moment=moment)
            return Line(DECISION, decision._replace(time=moment, times=times), moment)
        words = _DECISION_WORDS.search(inner)
        if words is not None and self.headers.bears_no_other_tag(inner):
            return Line(
                NEAR_MISS,
                moment=moment,
                oddity=f"a decision's words, but no known header before them: {shape_of(inner[: words.end()])}",
            )
        sign = AUTO_WHITELISTED if inner.startswith(AUTO_WHITELISTED_BEGIN) else None
        return Line(FOREIGN, moment=moment, sign=sign)


class _Context:
    """What came before the unusual lines of a block."""

    def __init__(self, parser: Parser, decisions: Decisions, seen_at: float, before: Callable[[], Carry]) -> None:
        """Create that of a block which was there at ``seen_at``, after the lines that ``before`` tells of."""
        self._parser = parser
        self._decisions = decisions
        self._seen_at = seen_at
        self._before = before
        self._known: float | None = None

    def read_unusual(self, line: bytes) -> float:
        """Add what an unusual line holds; return the moment of a bare message behind it, not a number if unclear."""
        decisions = self._decisions
        read = self._parser.read_line(line, self._seen_at, self.last_moment, self.last_decision)
        decisions.lines.update(read.kinds)
        if read.decision is not None:
            decisions.add(read.decision, self._parser.keyed)
        if read.oddity is not None and len(decisions.oddities) < _MOST_ODDITIES:
            decisions.oddities.add(read.oddity)
        if read.moment is not None:
            self._known = read.moment
            return read.moment
        return nan if read.decision is None else self._seen_at

    def last_moment(self) -> float | None:
        """Return the time of the last stamp; ``None`` if there is none."""
        for line in reversed(self._parser.usual.unclear(_LONGEST_LOOK_BACK).split(b"\n")):
            moment = self._parser.headers.stamp(line.lstrip(_HOLE), self._seen_at)
            if moment is not None:
                return moment
        usual = self._parser.usual.moment()
        if not isnan(usual):
            return usual
        return self._before().moment if self._known is None else self._known

    def last_decision(self) -> Decision | None:
        """Return what the line before said, if that was a decision."""
        if self._parser.usual.is_first:
            return self._before().decision
        return self._decisions.last() if self._parser.usual.is_after_decision else None


def _always(value: T) -> Callable[[], T]:
    return lambda: value


def _latest(present: float) -> float:
    """Return the latest moment that a stamp may tell."""
    return present + CLOCK_SKEW.total_seconds()
