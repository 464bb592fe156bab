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

from postgrey_exporter import addresses
from postgrey_exporter.decision import (
    CLIENT_AWL,
    CLIENT_WHITELIST,
    EARLY_RETRY,
    GREYLIST,
    NEW,
    OTHER_REASON,
    PASS,
    RECIPIENT_WHITELIST,
    TRIPLET_FOUND,
    Client,
    Decision,
)
from postgrey_exporter.messages import KEY_SIZE, message_key
from postgrey_exporter.syslog import HeaderReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

DEFAULT_TAG: Final = "postgrey"

DECISION: Final = "decision"
NO_DECISION: Final = "no_decision"
FOREIGN: Final = "foreign"
MALFORMED: Final = "malformed"
OUTCOMES: Final = (DECISION, NO_DECISION, FOREIGN, MALFORMED)
"""What a line can be: a decision; postgrey's, but none; another program's; postgrey's and not understood."""

_UNKNOWN_NAME: Final = "unknown"
_MOST_REPEATS_DIGITS: Final = 5
_MOST_CLIENTS_REMEMBERED: Final = 20_000
_MOST_MESSAGES_REMEMBERED: Final = 20_000
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

_EARLY_RETRY: Final = re.compile(rb"early-retry \([0-9]+s missing\)")
_PASS_REASONS: Final = {
    b"triplet found": TRIPLET_FOUND,
    b"client whitelist": CLIENT_WHITELIST,
    b"recipient whitelist": RECIPIENT_WHITELIST,
    b"client AWL": CLIENT_AWL,
}


@dataclass(slots=True)
class Parsed:
    """What a block of lines held."""

    decisions: list[Decision] = field(default_factory=list)
    no_decision: int = 0
    malformed: int = 0
    foreign: int = 0


class Parser:
    """Parses blocks of whole lines; keeps nothing between them but caches."""

    def __init__(self, tag: str = DEFAULT_TAG, zone: tzinfo | None = None, secret: bytes | None = None) -> None:
        """Take the syslog tag that postgrey logs under, and the zone of stamps without one (None: the system's).

        ``secret`` is what senders and recipients are hashed with; without one the hashes hold for this parser only.
        """
        self._secret = secrets.token_bytes(KEY_SIZE) if secret is None else secret
        self._message_keys: dict[bytes, int] = {}
        self._tag = re.compile(
            rb" " + re.escape(tag.encode()) + rb"(?:\[[0-9]+\])?: (?:\[ID [0-9]+ [a-z0-9]+\.[a-z]+\] )?"
        )
        self._headers = HeaderReader(zone)
        self._clients: dict[tuple[bytes | None, bytes | None], Client | None] = {}

    def parse(self, lines: bytes, seen_at: float) -> Parsed:
        """Parse whole lines, the last one with or without its newline.

        ``seen_at`` (seconds since the epoch) is when the lines were there at the latest: it gives the year to
        stamps without one, and the time to lines without a header.
        """
        parsed = Parsed()
        ours = 0
        for moment, start, end in self._messages(lines, seen_at):
            ours += 1
            if isnan(moment):
                parsed.malformed += 1
                continue
            self._read_message(lines, start, end, moment, parsed)
        total = lines.count(b"\n") + (bool(lines) and not lines.endswith(b"\n"))
        parsed.foreign = total - ours
        return parsed

    def _messages(self, lines: bytes, seen_at: float) -> Iterator[tuple[float, int, int]]:
        """Yield the moment and the bounds of each message that is postgrey's."""
        done = 0
        for tag in self._tag.finditer(lines):
            at = tag.start()
            if at < done:
                continue
            moment = self._headers.moment(lines, lines.rfind(b"\n", 0, at) + 1, at, seen_at)
            if moment is None:
                continue
            done = _line_end(lines, tag.end())
            yield moment, tag.end(), done
        for start in _headerless(lines):
            yield seen_at, start, _line_end(lines, start)

    def _read_message(self, lines: bytes, start: int, end: int, moment: float, parsed: Parsed) -> None:
        message = _MESSAGE.fullmatch(lines, start, end)
        if message is not None:
            decision = self._decision(moment, *message.groups())
            if decision is None:
                parsed.malformed += 1
            else:
                parsed.decisions.append(decision)
        elif _CLAIMS_DECISION.match(lines, start, end):
            parsed.malformed += 1
        elif repeated := _REPEATED.fullmatch(lines, start, end):
            self._read_repeated(repeated, moment, parsed)
        elif old := _BEFORE_1_28.fullmatch(lines, start, end):
            client = self._old_client(old[2])
            key = self._message_key(old[3], b", from=", b", to=")
            parsed.decisions.append(Decision(moment, PASS, TRIPLET_FOUND, client, int(old[1]), key))
        else:
            parsed.no_decision += 1

    def _read_repeated(self, repeated: re.Match[bytes], moment: float, parsed: Parsed) -> None:
        times = int(repeated[1]) if len(repeated[1]) <= _MOST_REPEATS_DIGITS else 0
        lines, (start, end) = repeated.string, repeated.span(2)
        if not times or _REPEATED.fullmatch(lines, start, end):
            parsed.malformed += 1
            return
        once = Parsed()
        self._read_message(lines, start, end, moment, once)
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
        client = self._client(name, address)
        if client is None:
            return None
        key = self._message_key(sender_recipient, b", sender=", b", recipient=")
        seconds = None if delay is None else int(delay)
        reason = (reason or b"").rstrip()
        if action == b"pass":
            return Decision(moment, PASS, _PASS_REASONS.get(reason, OTHER_REASON), client, seconds, key)
        if reason == b"new":
            return Decision(moment, GREYLIST, NEW, client, seconds, key)
        if _EARLY_RETRY.fullmatch(reason):
            return Decision(moment, GREYLIST, EARLY_RETRY, client, seconds, key)
        return None

    def _client(self, name: bytes | None, address: bytes | None) -> Client | None:
        key = (name, address)
        try:
            return self._clients[key]
        except KeyError:
            if len(self._clients) >= _MOST_CLIENTS_REMEMBERED:
                self._clients.clear()
        try:
            spelled = addresses.normalise(address.decode("ascii")) if address else ""
        except ValueError:
            client = None
        else:
            client = Client(_name(name), spelled)
        self._clients[key] = client
        return client

    def _message_key(self, text: bytes, sender: bytes, recipient: bytes) -> int:
        """Return the key of the message whose addresses stand in ``text`` behind the two field names."""
        try:
            return self._message_keys[text]
        except KeyError:
            if len(self._message_keys) >= _MOST_MESSAGES_REMEMBERED:
                self._message_keys.clear()
        # A sender may contain the recipient's field name: the last one is the recipient's own.
        before, _, to = text.rstrip(b" \r").rpartition(recipient)
        key = self._message_keys[text] = message_key(self._secret, before.removeprefix(sender), to)
        return key

    def _old_client(self, text: bytes) -> Client:
        """Read ``client=`` of postgrey before 1.28, which is a name where there was one, else an address."""
        return self._client(None, text) or Client(_name(text), "")


def _name(raw: bytes | None) -> str:
    return raw.decode("ascii", "replace").lower().rstrip(".") if raw else _UNKNOWN_NAME


def _line_end(lines: bytes, start: int) -> int:
    end = lines.find(b"\n", start)
    return len(lines) if end < 0 else end


def _headerless(lines: bytes) -> Iterator[int]:
    """Yield where lines start that begin with ``action=``, or with a queue id and then that."""
    if lines.startswith(b"action="):
        yield 0
    at = lines.find(b"\naction=")
    while at >= 0:
        yield at + 1
        at = lines.find(b"\naction=", at + 1)
    at = lines.find(b": action=")
    while at >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        if lines[start:at].isalnum():
            yield start
        at = lines.find(b": action=", at + 1)
