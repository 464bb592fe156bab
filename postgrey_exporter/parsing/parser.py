"""From blocks of log lines to decisions: the one place that knows how postgrey writes.

A line is postgrey's only by its syslog tag at its place in the header or, where the log has no headers, by
``action=`` at the very start of the line. Everything else in a line may be an attacker's text. Inside a line of
postgrey's the fields are read from the left, so that what a sender address contains never takes part.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from math import inf, isnan
from typing import TYPE_CHECKING, Final

from postgrey_exporter.decision import PASS, TRIPLET_FOUND, Decision
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.fields import LONGEST_MESSAGE, client_of, message_of, verdict_of
from postgrey_exporter.parsing.hashing import KEY_SIZE, KeyedHash
from postgrey_exporter.parsing.syslog import CLOCK_SKEW, HeaderReader
from postgrey_exporter.parsing.usual import UsualLines

if TYPE_CHECKING:
    from datetime import tzinfo


DEFAULT_TAG: Final = "postgrey"

DECISION: Final = "decision"
NO_DECISION: Final = "no_decision"
FOREIGN: Final = "foreign"
MALFORMED: Final = "malformed"
OUTCOMES: Final = (DECISION, NO_DECISION, FOREIGN, MALFORMED)
"""What a line can be: a decision; postgrey's, but none; another program's; postgrey's and not understood."""

_HOLE: Final = b"\0"  # see `sources.lines.without_holes`
MOST_REPEATS: Final = (1 << 31) - 1
"""What rsyslog can count up to: it prints its counter by ``%d`` (ratelimitGenRepMsg in runtime/ratelimit.c)."""
_MOST_DIGITS: Final = 10
_MOST_DELAY_SECONDS: Final = (1 << 31) - 1  # what is kept of a delay; postgrey forgets a triplet long before
_FIELD: Final = rb"(?:delay|client_name|client_address|sender|recipient)="

# Source of the field order: mylog_action in postgrey 1.37; an empty field is left out. A reason of a patched
# build is free text, commas included, and ends where a known field begins.
_MESSAGE: Final = re.compile(
    rb"(?:[0-9A-Za-z]+: )?action=(greylist|pass)"
    rb"(?:, reason=([^,\n]*(?:,(?! " + _FIELD + rb")[^,\n]*)*))?"
    rb"(?:, delay=([0-9]{1,10}))?"
    rb"(?:, client_name=([^,\s]*))?"
    rb"(?:, client_address=([^,\s]+))?"
    rb"((?:, (?:sender|recipient)=[^\n]*)?)[ \r]*"
)
_CLAIMS_DECISION: Final = re.compile(rb"(?:[0-9A-Za-z]+: )?action=")
_BEFORE_1_28: Final = re.compile(rb"delayed ([0-9]{1,10}) seconds: client=([^,\s]*)((?:, [^\n]*)?)")
# rsyslog's $RepeatedMsgReduction, the default on Ubuntu.
_REPEATED_BEGIN: Final = b"message repeated "
_REPEATED: Final = re.compile(_REPEATED_BEGIN + rb"([0-9]+) times: \[ ([^\n]*)\][ \r]*")


@dataclass(slots=True)
class Parsed:
    """What a block of lines held."""

    decisions: list[Decision] = field(default_factory=list)
    no_decision: int = 0
    malformed: int = 0
    foreign: int = 0
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
        self._options = tag, zone, secret
        tag_text = b" " + tag.encode()
        self._tag = re.compile(re.escape(tag_text) + rb"(?:\[[0-9]+\])?: (?:\[ID [0-9]+ [a-z0-9]+\.[a-z]+\] )?")
        self._headers = HeaderReader(zone)
        self._usual = UsualLines(tag_text, self._headers, self.keyed)

    def another(self) -> Parser:
        """Return one for another thread, whose decisions go together with those of this one."""
        return Parser(*self._options)

    def read(self, lines: bytes | memoryview, seen_at: float, present: float = inf) -> Decisions:
        """Return the decisions of whole lines, the last one with or without its newline.

        ``seen_at`` (seconds since the epoch) is when the lines were there at the latest: it gives the year to
        stamps without one, and the time to lines without a header. A stamp more than `syslog.CLOCK_SKEW` ahead of the
        ``present`` can't be true: the line is dated by when it was there.
        """
        decisions = Decisions()
        seen_at = min(seen_at, present)
        others = Parsed()

        def read_unusual(line: bytes) -> None:
            before = len(others.decisions)
            others.foreign += not self._read_line(line, seen_at, others)
            for decision in others.decisions[before:]:
                decisions.add(decision, self.keyed)

        usual, foreign = self._usual.read(lines, seen_at, decisions, read_unusual)
        decisions.date_by_arrival(_latest(present), seen_at)
        decisions.lines[DECISION] = usual + len(others.decisions)
        decisions.lines[NO_DECISION] = others.no_decision
        decisions.lines[FOREIGN] = foreign + others.foreign
        decisions.lines[MALFORMED] = others.malformed
        return decisions

    def parse(self, lines: bytes, seen_at: float, present: float = inf) -> Parsed:
        """Return what whole lines hold, each decision by itself; by the long way alone: the same as `read`."""
        parsed = Parsed()
        seen_at = min(seen_at, present)
        for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
            parsed.foreign += not self._read_line(line.lstrip(_HOLE), seen_at, parsed)
        latest = _latest(present)
        parsed.future = sum(decision.time > latest for decision in parsed.decisions)
        if parsed.future:
            parsed.decisions = [
                decision._replace(time=seen_at) if decision.time > latest else decision
                for decision in parsed.decisions
            ]
        return parsed

    def _read_line(self, line: bytes, seen_at: float, parsed: Parsed) -> bool:
        """Note what a line of any form is, and tell whether it is postgrey's."""
        moment, start = self._header(line, seen_at)
        if moment is None:
            return False
        if isnan(moment):
            parsed.malformed += 1
        else:
            self._read_message(line, start, len(line), moment, parsed)
        return True

    def _header(self, line: bytes, seen_at: float) -> tuple[float | None, int]:
        """Return the moment of a line that is postgrey's, and where its message begins."""
        tag = self._tag.search(line)
        while tag is not None:
            moment = self._headers.moment(line, 0, tag.start(), seen_at)
            if moment is not None:
                return moment, tag.end()
            # The blank behind what is no tag may be the one before the tag.
            tag = self._tag.search(line, tag.start() + 1)
        return (seen_at if _CLAIMS_DECISION.match(line) else None), 0

    def _read_message(self, line: bytes, start: int, end: int, moment: float, parsed: Parsed) -> None:
        if end - start > LONGEST_MESSAGE:
            # Postgrey writes none like it, and to look into it takes a hundred times its memory.
            if _CLAIMS_DECISION.match(line, start, end) or line.startswith(_REPEATED_BEGIN, start, end):
                parsed.malformed += 1
            else:
                parsed.no_decision += 1
            return
        message = _MESSAGE.fullmatch(line, start, end)
        if message is not None:
            decision = self._decision(moment, *message.groups())
            if decision is None:
                parsed.malformed += 1
            else:
                parsed.decisions.append(decision)
        elif _CLAIMS_DECISION.match(line, start, end):
            parsed.malformed += 1
        elif repeated := _REPEATED.fullmatch(line, start, end):
            self._read_repeated(repeated, moment, parsed)
        # ``client=`` was the name where there was one, else the address.
        elif old := _BEFORE_1_28.fullmatch(line, start, end):
            client = client_of(None, old[2]) or client_of(old[2], None)
            if client is None:
                parsed.malformed += 1
            else:
                key = message_of(self.keyed, old[3], b", from=", b", to=")
                parsed.decisions.append(
                    Decision(moment, PASS, TRIPLET_FOUND, client, min(int(old[1]), _MOST_DELAY_SECONDS), key)
                )
        else:
            parsed.no_decision += 1

    def _read_repeated(self, repeated: re.Match[bytes], moment: float, parsed: Parsed) -> None:
        times = int(repeated[1]) if len(repeated[1]) <= _MOST_DIGITS else 0
        line, (start, end) = repeated.string, repeated.span(2)
        if not 0 < times <= MOST_REPEATS or _REPEATED.fullmatch(line, start, end):
            parsed.malformed += 1
            return
        once = Parsed()
        self._read_message(line, start, end, moment, once)
        parsed.decisions.extend(decision._replace(times=times) for decision in once.decisions)
        parsed.malformed += once.malformed
        parsed.no_decision += once.no_decision

    def _decision(
        self,
        moment: float,
        action: bytes,
        reason: bytes | None,
        delay: bytes | None,
        name: bytes | None,
        address: bytes | None,
        sender_recipient: bytes,
    ) -> Decision | None:
        client = client_of(name, address)
        verdict = verdict_of(action, reason)
        if client is None or verdict is None:
            return None
        seconds = None if delay is None else min(int(delay), _MOST_DELAY_SECONDS)
        return Decision(
            moment, *verdict, client, seconds, message_of(self.keyed, sender_recipient, b", sender=", b", recipient=")
        )


def _latest(present: float) -> float:
    """Return the latest moment that a stamp may tell."""
    return present + CLOCK_SKEW.total_seconds()
