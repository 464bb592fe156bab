"""From blocks of log lines to decisions: the one place that knows how postgrey writes.

A line is postgrey's only by its syslog tag at its place in the header or, where the log has no headers, by
``action=`` at the very start of the line. Everything else in a line may be an attacker's text. Inside a line of
postgrey's the fields are read from the left, so that what a sender address contains never takes part.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Final

from postgrey_exporter.decision import PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.fields import Memo, client_of, message_of, name_of, verdict_of
from postgrey_exporter.hashing import KEY_SIZE, KeyedHash
from postgrey_exporter.syslog import HeaderReader
from postgrey_exporter.usual import UsualLines

if TYPE_CHECKING:
    from datetime import tzinfo

DEFAULT_TAG: Final = "postgrey"

DECISION: Final = "decision"
NO_DECISION: Final = "no_decision"
FOREIGN: Final = "foreign"
MALFORMED: Final = "malformed"
OUTCOMES: Final = (DECISION, NO_DECISION, FOREIGN, MALFORMED)
"""What a line can be: a decision; postgrey's, but none; another program's; postgrey's and not understood."""

_SAMPLE_SIZE: Final = 1 << 16
_CROWDED: Final = 4
_MOST_REPEATS_DIGITS: Final = 5
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
_REPEATED: Final = re.compile(rb"message repeated ([0-9]+) times: \[ ([^\n]*)\][ \r]*")


@dataclass(slots=True)
class Parsed:
    """What a block of lines held."""

    decisions: list[Decision] = field(default_factory=list)
    no_decision: int = 0
    malformed: int = 0
    foreign: int = 0


class Parser:
    """Parses blocks of whole lines; keeps nothing between them but caches."""

    def __init__(
        self,
        tag: str = DEFAULT_TAG,
        zone: tzinfo | None = None,
        secret: bytes | None = None,
        *,
        counts_foreign: bool = True,
    ) -> None:
        """Take the syslog tag that postgrey logs under, and the zone of stamps without one (None: the system's).

        ``secret`` is what senders and recipients are hashed with; without one the hashes hold for this parser only.
        Who does not ask for the lines of other programs is spared the time to count them.
        """
        self._counts_foreign = counts_foreign
        self._keyed = KeyedHash(secrets.token_bytes(KEY_SIZE) if secret is None else secret)
        self._tag_text = b" " + tag.encode()
        tag_pattern = re.escape(self._tag_text) + rb"(?:\[[0-9]+\])?: (?:\[ID [0-9]+ [a-z0-9]+\.[a-z]+\] )?"
        self._tag = re.compile(tag_pattern)
        self._headers = HeaderReader(zone)
        self._usual = UsualLines(tag_pattern, self._headers, self._keyed)
        self._clients: Memo[tuple[bytes | None, bytes | None], Client | None] = Memo(lambda key: client_of(*key))
        self._messages: Memo[bytes, int] = Memo(
            lambda text: message_of(self._keyed, text, b", sender=", b", recipient=")
        )

    def parse(self, lines: bytes, seen_at: float) -> Parsed:
        """Parse whole lines, the last one with or without its newline.

        ``seen_at`` (seconds since the epoch) is when the lines were there at the latest: it gives the year to
        stamps without one, and the time to lines without a header.
        """
        parsed = Parsed()
        candidates = self._candidates(lines)
        unusual = self._usual.read(candidates, seen_at, parsed.decisions)
        ours = len(candidates) - sum(not self._read_line(line, seen_at, parsed) for line in unusual)
        if self._counts_foreign:
            total = lines.count(b"\n") + (bool(lines) and not lines.endswith(b"\n"))
            parsed.foreign = total - ours
        return parsed

    def _candidates(self, lines: bytes) -> list[bytes]:
        """Return the lines that may be postgrey's, without their ends, in their order.

        Where they are few they are found by searching the block for the tag: several times faster than looking at
        each line.
        """
        tag = self._tag_text
        if lines.count(tag, 0, _SAMPLE_SIZE) * _CROWDED >= lines.count(b"\n", 0, _SAMPLE_SIZE):
            return lines.split(b"\n")
        tagged = []
        at = lines.find(tag)
        while at >= 0:
            end = _line_end(lines, at)
            tagged.append(lines[lines.rfind(b"\n", 0, at) + 1 : end])
            at = lines.find(tag, end)
        if lines.count(b"action=") == sum(line.count(b"action=") for line in tagged):
            return tagged
        # Some of the other lines may be postgrey's without a header.
        return [line for line in lines.split(b"\n") if tag in line or b"action=" in line]

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
        for tag in self._tag.finditer(line):
            moment = self._headers.moment(line, 0, tag.start(), seen_at)
            if moment is not None:
                return moment, tag.end()
        return (seen_at if _CLAIMS_DECISION.match(line) else None), 0

    def _read_message(self, line: bytes, start: int, end: int, moment: float, parsed: Parsed) -> None:
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
        elif old := _BEFORE_1_28.fullmatch(line, start, end):
            client = self._old_client(old[2])
            key = message_of(self._keyed, old[3], b", from=", b", to=")
            parsed.decisions.append(Decision(moment, PASS, TRIPLET_FOUND, client, int(old[1]), key))
        else:
            parsed.no_decision += 1

    def _read_repeated(self, repeated: re.Match[bytes], moment: float, parsed: Parsed) -> None:
        times = int(repeated[1]) if len(repeated[1]) <= _MOST_REPEATS_DIGITS else 0
        line, (start, end) = repeated.string, repeated.span(2)
        if not times or _REPEATED.fullmatch(line, start, end):
            parsed.malformed += 1
            return
        once = Parsed()
        self._read_message(line, start, end, moment, once)
        parsed.decisions.extend(once.decisions * times)
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
        client = self._clients[name, address]
        verdict = verdict_of(action, reason)
        if client is None or verdict is None:
            return None
        seconds = None if delay is None else int(delay)
        return Decision(moment, *verdict, client, seconds, self._messages[sender_recipient])

    def _old_client(self, text: bytes) -> Client:
        """Read ``client=`` of postgrey before 1.28, which is a name where there was one, else an address."""
        return self._clients[None, text] or Client(name_of(text), "")


def _line_end(lines: bytes, start: int) -> int:
    end = lines.find(b"\n", start)
    return len(lines) if end < 0 else end
