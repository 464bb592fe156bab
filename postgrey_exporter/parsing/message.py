"""What a message of postgrey's says, behind its header: the one place that knows postgrey's own words.

The fields are read from the left, so that what a sender address contains never takes part.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postgrey_exporter.decision import PASS, TRIPLET_FOUND, Decision
from postgrey_exporter.parsing.fields import LONGEST_MESSAGE, client_of, is_known, message_of, verdict_of
from postgrey_exporter.parsing.header import QUEUE_ID
from postgrey_exporter.parsing.line import AUTO_WHITELISTED, BEFORE_1_28, DECISION, MALFORMED, NO_DECISION, Line

if TYPE_CHECKING:
    from postgrey_exporter.parsing.hashing import KeyedHash

MOST_REPEATS: Final = (1 << 31) - 1
"""What rsyslog can count up to: it prints its counter by ``%d`` (ratelimitGenRepMsg in runtime/ratelimit.c)."""
_MOST_DIGITS: Final = 10
_MOST_DELAY_SECONDS: Final = (1 << 31) - 1  # what is kept of a delay; postgrey forgets a triplet long before
_FIELD: Final = rb"(?:delay|client_name|client_address|sender|recipient)="

# Source of the field order: mylog_action in postgrey 1.37; an empty field is left out. A reason of a patched
# build is free text, commas included, and ends where a known field begins.
_MESSAGE: Final = re.compile(
    QUEUE_ID + rb"action=(greylist|pass)"
    rb"(?:, reason=([^,\n]*(?:,(?! " + _FIELD + rb")[^,\n]*)*))?"
    rb"(?:, delay=([0-9]{1,10}))?"
    rb"(?:, client_name=([^,\s]*))?"
    rb"(?:, client_address=([^,\s]+))?"
    rb"((?:, (?:sender|recipient)=[^\n]*)?)[ \r]*"
)
_CLAIMS_DECISION: Final = re.compile(QUEUE_ID + rb"action=")
_BEFORE_1_28: Final = re.compile(rb"delayed ([0-9]{1,10}) seconds: client=([^,\s]*)((?:, [^\n]*)?)")
AUTO_WHITELISTED_BEGIN: Final = b"whitelisted: "
# rsyslog's $RepeatedMsgReduction, the default on Ubuntu.
_REPEATED_BEGIN: Final = b"message repeated "
_REPEATED: Final = re.compile(_REPEATED_BEGIN + rb"([0-9]+) times: \[ ([^\n]*)\][ \r]*")
_LONGEST_SHAPE: Final = 60
_NUMBER: Final = re.compile(rb"[0-9]+")


class MessageReader:
    """Reads messages."""

    def __init__(self, keyed: KeyedHash) -> None:
        """Take what senders and recipients are hashed with."""
        self._keyed = keyed

    def read(self, line: bytes, start: int, end: int, moment: float) -> Line:
        """Return what ``line[start:end]`` says; ``moment`` is when, in seconds since the epoch."""
        if end - start > LONGEST_MESSAGE:
            # Postgrey writes none like it, and to look into it takes a hundred times its memory.
            claims = _CLAIMS_DECISION.match(line, start, end) or line.startswith(_REPEATED_BEGIN, start, end)
            return Line(MALFORMED if claims else NO_DECISION, moment=moment)
        message = _MESSAGE.fullmatch(line, start, end)
        if message is not None:
            return self._decision(moment, *message.groups())
        if _CLAIMS_DECISION.match(line, start, end):
            return Line(MALFORMED, moment=moment)
        if repeated := _REPEATED.fullmatch(line, start, end):
            return self._read_repeated(repeated, moment)
        if old := _BEFORE_1_28.fullmatch(line, start, end):
            return self._read_old(old, moment)
        sign = AUTO_WHITELISTED if line.startswith(AUTO_WHITELISTED_BEGIN, start, end) else None
        return Line(NO_DECISION, moment=moment, sign=sign)

    def _read_old(self, old: re.Match[bytes], moment: float) -> Line:
        # ``client=`` was the name where there was one, else the address.
        client = client_of(None, old[2]) or client_of(old[2], None)
        if client is None:
            return Line(MALFORMED, moment=moment)
        key = message_of(self._keyed, old[3], b", from=", b", to=")
        delay = min(int(old[1]), _MOST_DELAY_SECONDS)
        return Line(NO_DECISION, Decision(moment, PASS, TRIPLET_FOUND, client, delay, key), moment, BEFORE_1_28)

    def _read_repeated(self, repeated: re.Match[bytes], moment: float) -> Line:
        times = times_of(repeated[1])
        line, (start, end) = repeated.string, repeated.span(2)
        if not times or _REPEATED.fullmatch(line, start, end):
            return Line(MALFORMED, moment=moment)
        once = self.read(line, start, end, moment)
        return once if once.decision is None else once._replace(decision=once.decision._replace(times=times))

    def _decision(
        self,
        moment: float,
        action: bytes,
        reason: bytes | None,
        delay: bytes | None,
        name: bytes | None,
        address: bytes | None,
        sender_recipient: bytes,
    ) -> Line:
        client = client_of(name, address)
        verdict = verdict_of(action, reason)
        # What a message ends in may have been cut there when its log was rotated.
        is_cut = not (address or sender_recipient) and (name or not is_known(action, reason))
        if client is None or verdict is None or is_cut:
            return Line(MALFORMED, moment=moment)
        seconds = None if delay is None else min(int(delay), _MOST_DELAY_SECONDS)
        key = message_of(self._keyed, sender_recipient, b", sender=", b", recipient=")
        oddity = None
        if not is_known(action, reason):
            oddity = f"greylisted for a reason that postgrey does not have: {shape_of(reason or b'none')}"
        return Line(DECISION, Decision(moment, *verdict, client, seconds, key), moment, oddity=oddity)


def times_of(digits: bytes) -> int:
    """Return how often a line says that another one was repeated; 0 where no syslog counts so far."""
    times = int(digits) if len(digits) <= _MOST_DIGITS else 0
    return times if times <= MOST_REPEATS else 0


def shape_of(text: bytes) -> str:
    """Return the end of a text with each number as a 0, and nothing that could be an address of a mail."""
    shown = _NUMBER.sub(b"0", text)[-_LONGEST_SHAPE:].decode("ascii", "replace")
    return " ".join("…" if "@" in word else word for word in shown.split())
