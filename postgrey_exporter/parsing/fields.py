"""The fields of a line of postgrey's: what they mean, not where they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients import addresses
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
)
from postgrey_exporter.parsing.message_key import message_key

if TYPE_CHECKING:
    from postgrey_exporter.parsing.hashing import KeyedHash

Verdict = tuple[str, str]
"""An action and a reason, as in `Decision`."""

_UNKNOWN_NAME: Final = "unknown"
LONGEST_NAME: Final = 512
"""Bytes of a client's name that postgrey keeps (mux_input); a longer one is not postgrey's."""
LONGEST_MESSAGE: Final = 16 << 10
"""Bytes of a message that may be postgrey's: it has four fields of 512 bytes (mux_input), and no syslog takes more
than 8 KiB by default. To look for a pattern in a longer one could take a hundred times its size in memory."""
_REPEATED_TAG: Final = b"action="
"""Where rsyslog's imuxsock keeps a line break inside a tag, it repeats the tag behind it: see docs/bare-lines.md."""
_EARLY_RETRY: Final = re.compile(rb"early-retry \([0-9]+s missing\)")
_EARLY_RETRY_BEGIN: Final = b"early-retry"
_PASS_REASONS: Final = {
    b"triplet found": TRIPLET_FOUND,
    b"client whitelist": CLIENT_WHITELIST,
    b"recipient whitelist": RECIPIENT_WHITELIST,
    b"client AWL": CLIENT_AWL,
}


def verdict_of(action: bytes, reason: bytes | None) -> Verdict | None:
    """Return action and reason as this program names them; ``None`` when postgrey can't have said it.

    Whatever the reason, what is greylisted is: for a reason that postgrey does not have, it counts as new.
    """
    reason = (reason or b"").rstrip()
    if _REPEATED_TAG in reason:
        return None
    if action == b"pass":
        return PASS, _PASS_REASONS.get(reason, OTHER_REASON)
    return GREYLIST, EARLY_RETRY if reason.startswith(_EARLY_RETRY_BEGIN) else NEW


def is_known(action: bytes, reason: bytes | None) -> bool:
    """Tell whether postgrey has a reason; patched builds have many to let a mail pass."""
    reason = (reason or b"").rstrip()
    return action == b"pass" or reason == b"new" or _EARLY_RETRY.fullmatch(reason) is not None


def client_of(name: bytes | None, address: bytes | None) -> Client | None:
    """Return a client by its two fields, either of which may be missing; ``None`` when one can't be what it says."""
    if name and (len(name) > LONGEST_NAME or b"=" in name):
        return None
    try:
        spelled = addresses.normalise(address.decode("ascii")) if address else ""
    except ValueError:
        return None
    return Client(name_of(name), spelled)


def name_of(raw: bytes | None) -> str:
    """Return a client's name in lower case, without the dot of the root."""
    return raw.decode("ascii", "replace").lower().rstrip(".") if raw else _UNKNOWN_NAME


def message_of(keyed: KeyedHash, text: bytes, sender: bytes, recipient: bytes) -> int:
    """Return the key of the message whose addresses stand in ``text`` behind the two field names.

    A sender may contain the recipient's field name: the last one is the recipient's own.
    """
    before, _, to = text.rstrip(b" \r").rpartition(recipient)
    return message_key(keyed, before.removeprefix(sender), to)
