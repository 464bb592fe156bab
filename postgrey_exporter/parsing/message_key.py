"""Messages: what became of a mail that was greylisted, followed over all the networks that it was tried from.

A message is one (domain, sender, recipient) while it is open: it was greylisted, has not been accepted, and its last
attempt is less than the retry window ago. Only a keyed hash of the addresses is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.parsing.field import message_text

if TYPE_CHECKING:
    from postgrey_exporter.parsing.hashing import KeyedHash

RETRY_WINDOW: Final = 2 * 86400.0
"""Seconds after its last attempt for which a message is open: postgrey's own ``--retry-window``."""
MOST_BACK: Final = 256
"""Of so many messages with one sender and recipient, the latest, one may take an attempt that is stamped earlier."""


def message_key(keyed: KeyedHash, sender: bytes, recipient: bytes) -> int:
    """Return the keyed hash of a sender and a recipient, a signed number of 64 bits.

    The sender is substituted and both are lower-cased, as postgrey does for its own key (smtpd_access_policy).
    """
    return keyed.number(message_text(sender, recipient))
