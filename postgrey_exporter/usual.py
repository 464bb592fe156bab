"""The usual line: header, verdict and all fields, as nearly every line of postgrey's is.

It is cut at the commas, and each part that was met before is looked up: a third of the time of a pattern. What a part
must look like is written down here once more, strictly: a line that is not of this form is the parser's business.
"""

from __future__ import annotations

import re
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Final

from postgrey_exporter.decision import Client, Decision
from postgrey_exporter.fields import Memo, Verdict, client_of, message_of, verdict_of
from postgrey_exporter.syslog import HOST, TRADITIONAL_STAMP_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postgrey_exporter.hashing import KeyedHash
    from postgrey_exporter.syslog import HeaderReader

_PARTS: Final = 5
_NONE: Final = -1
_REASON: Final = b"reason="
_DELAY: Final = re.compile(rb"delay=([0-9]{1,10})")
_CLIENT: Final = re.compile(rb"client_name=([^,\s]*), client_address=([^,\s]+)")


class UsualLines:
    """Reads usual lines. Strict: what it returns is what the parser would have made of the line."""

    def __init__(self, tag: bytes, headers: HeaderReader, keyed: KeyedHash) -> None:
        """Take the pattern of the tag with the blanks around it, what reads stamps, and what hashes addresses."""
        self._headers = headers
        self._origin = re.compile(HOST + tag + rb"(?:[0-9A-Za-z]+: )?action=(greylist|pass)")
        self._verdicts: Memo[tuple[bytes, bytes], Verdict | None] = Memo(self._verdict)
        self._clients: Memo[tuple[bytes, bytes], Client | None] = Memo(_client)
        self._delays: Memo[bytes, int] = Memo(_delay)
        self._messages: Memo[bytes, int | None] = Memo(partial(_message, keyed))

    def read(self, lines: Iterable[bytes], seen_at: float, decisions: list[Decision]) -> Iterator[bytes]:
        """Append the decisions of usual lines, and yield every other line when its turn comes.

        One loop without a function of its own for a line: calls would take a third of the time.
        """
        verdicts, clients, messages = self._verdicts, self._clients, self._messages
        moment_of_stamp = self._headers.moment_of_stamp
        for line in lines:
            parts = line.split(b", ", _PARTS - 1)
            if len(parts) < _PARTS:
                yield line
                continue
            head, reason, name, address, addresses = parts
            delay = None
            if name.startswith(b"delay="):
                delay = self._delays[name]
                name = address
                address, _, addresses = addresses.partition(b", ")
            end = head.find(b" ") if head.startswith(b"2") else TRADITIONAL_STAMP_SIZE
            verdict = verdicts[head[end:], reason]
            client = clients[name, address]
            message = messages[addresses]
            moment = moment_of_stamp(head[:end], seen_at)
            if (
                verdict is None
                or client is None
                or message is None
                or delay == _NONE
                or moment is None
                or isnan(moment)
            ):
                yield line
            else:
                decisions.append(Decision(moment, verdict[0], verdict[1], client, delay, message))

    def _verdict(self, parts: tuple[bytes, bytes]) -> Verdict | None:
        origin, reason = parts
        found = self._origin.fullmatch(origin)
        if found is None or not reason.startswith(_REASON):
            return None
        return verdict_of(found[1], reason[len(_REASON) :])


def _client(parts: tuple[bytes, bytes]) -> Client | None:
    found = _CLIENT.fullmatch(b", ".join(parts))
    return client_of(found[1], found[2]) if found else None


def _message(keyed: KeyedHash, text: bytes) -> int | None:
    if not text.startswith((b"sender=", b"recipient=")):
        return None
    return message_of(keyed, b", " + text, b", sender=", b", recipient=")


def _delay(text: bytes) -> int:
    found = _DELAY.fullmatch(text)
    return int(found[1]) if found else _NONE
