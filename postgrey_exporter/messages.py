"""Messages: what became of a mail that was greylisted, followed over all the networks that it was tried from.

A message is one (domain, sender, recipient) while it is open: it was greylisted, has not been accepted, and its last
attempt is less than the retry window ago. Only a keyed hash of the addresses is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, nextafter
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.hashing import KeyedHash

RETRY_WINDOW: Final = 2 * 86400.0
"""Seconds after its last attempt for which a message is open: postgrey's own ``--retry-window``."""

_SAME_MOMENT: Final = 1e-3
"""Seconds; stamps have microseconds at best, and more than a thousand messages of one key are not begun in one."""
_BATV_TAG: Final = re.compile(rb"[0-9a-z]{10}")
_BATV_PARTS: Final = 3
_NUMBER: Final = re.compile(rb"\b[0-9]+\b")


class Message(NamedTuple):
    """What is known of one message; times are seconds since the epoch."""

    first: float
    """Its first greylisting."""
    last: float
    """Its last attempt, greylisted or accepted."""
    network: int
    """A number that stands for the network it was first tried from."""
    moved: bool
    """Whether it was greylisted from two or more networks."""
    accepted: float | None
    """When it was let through."""
    reported: int | None
    """postgrey's ``delay=`` for it: from the accepted network's first attempt, not the message's."""
    line: bool = False
    """Whether it was first tried from what is named like a customer's line, see `clientnames`."""

    @property
    def delay(self) -> float | None:
        """Seconds from the first greylisting to the acceptance, whatever the networks."""
        return None if self.accepted is None else max(0.0, self.accepted - self.first)

    def is_open(self, moment: float) -> bool:
        """Tell whether an attempt at a moment belongs to it."""
        return self.accepted is None and moment - self.last < RETRY_WINDOW


class Attempt(NamedTuple):
    """One attempt to deliver a message: an event of its life."""

    time: float
    network: int
    passed: bool
    reported: int | None
    line: bool = False


def replay(before: Message | None, attempts: Iterable[Attempt]) -> list[Message]:
    """Return the messages after some attempts, in order of time: ``before`` as it is then, and those begun since.

    ``before`` is the latest message of the same key; what is only a pass and belongs to no message leaves no trace.
    """
    messages: list[Message] = [] if before is None else [before]
    for attempt in attempts:
        latest = messages[-1] if messages else None
        if latest is None or not latest.is_open(attempt.time):
            if not attempt.passed:
                messages.append(_begun(attempt, latest))
        elif attempt.passed:
            last = max(attempt.time, latest.last)
            messages[-1] = Message(
                latest.first, last, latest.network, latest.moved, attempt.time, attempt.reported, latest.line
            )
        else:
            last = max(attempt.time, latest.last)
            moved = latest.moved or attempt.network != latest.network
            messages[-1] = Message(latest.first, last, latest.network, moved, None, None, latest.line)
    return messages


def _begun(attempt: Attempt, before: Message | None) -> Message:
    first = attempt.time
    if before is not None and 0 <= before.first - first < _SAME_MOMENT:
        # Messages of one key are told apart by their begin.
        first = nextafter(before.first, inf)
    return Message(first, max(first, attempt.time), attempt.network, False, None, None, attempt.line)


def message_key(keyed: KeyedHash, sender: bytes, recipient: bytes) -> int:
    """Return the keyed hash of a sender and a recipient, a signed number of 64 bits.

    The sender is substituted and both are lower-cased, as postgrey does for its own key (smtpd_access_policy).
    """
    return keyed.number((canonical_sender(sender) + b"\0" + recipient).lower())


def canonical_sender(sender: bytes) -> bytes:
    """Return a sender without what changes from mail to mail: BATV tags, VERP extensions, numbers.

    The same as ``do_sender_substitutions`` in postgrey 1.37.
    """
    user, at, domain = sender.partition(b"@")
    if not at:
        return sender
    if user.startswith(b"prvs="):
        # prvs=tag-value=local-part, sometimes the other way round. Perl's split drops empty fields at the end.
        parts = user.rstrip(b"=").split(b"=")
        if len(parts) == _BATV_PARTS:
            one_is_tag, two_is_tag = (_BATV_TAG.match(part) is not None for part in parts[1:])
            user = parts[1] if two_is_tag and not one_is_tag else parts[2]
    user = _NUMBER.sub(b"#", user.partition(b"+")[0])
    return user + at + domain


class Delays(NamedTuple):
    """Seconds that deliveries took."""

    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What became of a domain's messages."""

    messages: int = 0
    moved: int = 0
    """Greylisted from two or more networks: the pool problem itself."""
    delivered: int = 0
    moved_delivered: int = 0
    """Moved and delivered."""
    lost: int = 0
    """Never accepted, and the retry window is over."""
    delays: Delays | None = None
    """From the first greylisting to the acceptance, whatever the networks; none where nothing was delivered."""
    reported: Delays | None = None
    """The same as postgrey's ``delay=`` has it, which forgets the time lost on other networks."""
    worst_moved: float = 0.0
    """The longest delay of one that moved and did not begin at a customer's line: what a pool lost by greylisting."""


def evidence(messages: Iterable[Message], now: float) -> Evidence:
    """Sum up the messages of one domain at a moment."""
    count = moved = moved_delivered = lost = 0
    delays: list[float] = []
    reported: list[float] = []
    worst_moved = 0.0
    for first, last, _network, has_moved, accepted, said, line in messages:
        count += 1
        moved += has_moved
        if accepted is None:
            lost += now - last >= RETRY_WINDOW
            continue
        delay = max(0.0, accepted - first)
        delays.append(delay)
        if has_moved:
            moved_delivered += 1
            worst_moved = worst_moved if line else max(worst_moved, delay)
        if said is not None:
            reported.append(float(said))
    return Evidence(
        messages=count,
        moved=moved,
        delivered=len(delays),
        moved_delivered=moved_delivered,
        lost=lost,
        delays=_delays(delays),
        reported=_delays(reported),
        worst_moved=worst_moved,
    )


def _delays(seconds: Sequence[float]) -> Delays | None:
    return Delays(median(seconds), max(seconds)) if seconds else None
