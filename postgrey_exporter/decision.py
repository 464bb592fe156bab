"""What postgrey said about one delivery attempt: the record that everything else adds up.

The module holds names only. It does not know what a log looks like (parser) nor how counts are kept (tally).
"""

from __future__ import annotations

from typing import Final, NamedTuple

GREYLIST: Final = "greylist"
PASS: Final = "pass"  # noqa: S105 - postgrey's word for an accepted attempt, no password

NEW: Final = "new"
EARLY_RETRY: Final = "early-retry"
TRIPLET_FOUND: Final = "triplet found"
CLIENT_WHITELIST: Final = "client whitelist"
RECIPIENT_WHITELIST: Final = "recipient whitelist"
CLIENT_AWL: Final = "client AWL"
OTHER_REASON: Final = "other"

GREYLIST_REASONS: Final = (NEW, EARLY_RETRY)
PASS_REASONS: Final = (TRIPLET_FOUND, CLIENT_WHITELIST, RECIPIENT_WHITELIST, CLIENT_AWL, OTHER_REASON)
DECISION_LABELS: Final = tuple(
    [(GREYLIST, reason) for reason in GREYLIST_REASONS] + [(PASS, reason) for reason in PASS_REASONS]
)
"""Every (action, reason) that a decision can have; the label sets of ``postgrey_decisions_total``."""


class Client(NamedTuple):
    """The server that tried to deliver, as Postfix named it to postgrey."""

    name: str
    """Verified reverse name, lower case; ``unknown`` where there is none."""
    address: str
    """IPv4 or IPv6 address in its canonical spelling, without a mask; empty where the log has none."""


class Decision(NamedTuple):
    """One line of postgrey's: one RCPT of one delivery attempt.

    A tuple rather than a dataclass because a log holds millions of them and building one is most of its cost.
    """

    time: float
    """Seconds since the epoch, by the log's own time stamp."""
    action: str
    """`GREYLIST` or `PASS`."""
    reason: str
    """One of `GREYLIST_REASONS` or `PASS_REASONS`; free text of patched builds is `OTHER_REASON`."""
    client: Client
    delay: int | None
    """postgrey's ``delay=``: seconds since *this network's* first attempt; only on a message's first pass."""
    message: int = 0
    """Keyed hash of sender and recipient, see `messages.message_key`; the addresses themselves are not kept."""
    times: int = 1
    """How often it was said: a line that syslog wrote for several stands for all of them."""
