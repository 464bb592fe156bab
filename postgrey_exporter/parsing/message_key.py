"""Messages: what became of a mail that was greylisted, followed over all the networks that it was tried from.

A message is one (domain, sender, recipient) while it is open: it was greylisted, has not been accepted, and its last
attempt is less than the retry window ago. Only a keyed hash of the addresses is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from postgrey_exporter.parsing.hashing import KeyedHash

RETRY_WINDOW: Final = 2 * 86400.0
"""Seconds after its last attempt for which a message is open: postgrey's own ``--retry-window``."""
MOST_BACK: Final = 256
"""Of so many messages with one sender and recipient, the latest, one may take an attempt that is stamped earlier."""

_BATV_TAG: Final = re.compile(rb"[0-9a-z]{10}")
_BATV_PARTS: Final = 3
_NUMBER: Final = re.compile(rb"\b[0-9]+\b")


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
