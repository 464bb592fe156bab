"""One entry of the systemd journal: who logged it, and its log line.

Anybody with a shell may log under the identifier ``postgrey``. journald itself sets the fields that begin with ``_``;
they tell who did. An entry is postgrey's if

- it comes from postgrey's unit (``postgrey.service``, ``postgrey@NAME.service``, ``postgrey-NAME.service``; only root
  can create one), whatever its identifier; or
- it has postgrey's identifier and comes from root or from the account ``postgrey``: a daemon without a unit; or
- it has postgrey's identifier and no ``_UID``: it was imported, no process of this machine logged it.

With ``--syslog-tag X``, X replaces ``postgrey`` in the identifier, the units and the account.
"""

from __future__ import annotations

import pwd
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

ROOT: Final = b"0"
IMPOSSIBLE_STAMP: Final = b"0000-00-00T00:00:00Z"
"""Replaces a time that can't be read: the parser counts the line as malformed if it is postgrey's."""
UNVERIFIED: Final = b"[unverified]"
"""The tag of entries that claim to be postgrey's and are not; no ``--syslog-tag`` can be equal to it."""

_NO_TAG: Final = re.compile(rb"[^!-9;-Z^-~]+")
MICROSECOND: Final = 1_000_000
_MOST_TAGS: Final = 1000
"""Origins whose tag is remembered: a host has few, but anybody may invent identifiers."""


class Entry(NamedTuple):
    """The fields of a journal entry that are needed. A missing field is empty."""

    cursor: str
    realtime: int
    """When journald received it, in microseconds since the epoch; negative if that can't be read."""
    identifier: bytes
    """``SYSLOG_IDENTIFIER``, which the sender chooses."""
    unit: bytes
    """``_SYSTEMD_UNIT``, which journald sets."""
    uid: bytes
    """``_UID``, the account of the process, which journald gets from the kernel."""
    message: bytes | None
    """``None`` if journalctl left it out because of its length (JSON without ``--all``)."""


class Renderer:
    """Writes entries as lines with an RFC 3339 header, which the parser of log files can read."""

    def __init__(self, tag: str, accounts: frozenset[bytes]) -> None:
        """Create a renderer for postgrey's syslog tag and the user ids of the accounts that are trusted."""
        self._tag = tag.encode()
        self._units = units_of(tag)
        self._accounts = accounts
        self._tags: dict[tuple[bytes, bytes, bytes], bytes] = {}
        self._second = -1
        self._stamp = b""

    def line(self, entry: Entry) -> bytes:
        """Return an entry as one line with its newline; a line break inside becomes ``#012``, as with rsyslog."""
        message = b"action=" if entry.message is None else entry.message
        if b"\n" in message:
            message = message.rstrip(b"\n").replace(b"\n", b"#012")
        origin = (entry.identifier, entry.unit, entry.uid)
        tag = self._tags.get(origin)
        if tag is None:
            if len(self._tags) >= _MOST_TAGS:
                self._tags.clear()
            tag = self._tags[origin] = self._tag_of(entry)
        return b"%s journal %s: %s\n" % (self._time(entry.realtime), tag, message)

    def _tag_of(self, entry: Entry) -> bytes:
        if self._units.fullmatch(entry.unit):
            return self._tag
        if entry.identifier == self._tag and (not entry.uid or entry.uid in self._accounts):
            return self._tag
        shown = _NO_TAG.sub(b"_", entry.identifier) or b"-"
        return UNVERIFIED if shown == self._tag else shown

    def is_unverified(self, entry: Entry) -> bool:
        """Tell whether an entry has postgrey's identifier and is not postgrey's."""
        return entry.identifier == self._tag and self._tag_of(entry) == UNVERIFIED

    def _time(self, realtime: int) -> bytes:
        second, fraction = divmod(realtime, MICROSECOND)
        if second != self._second:
            try:
                self._stamp = (
                    f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}".encode() if second >= 0 else b""
                )
            except (OverflowError, ValueError, OSError):
                self._stamp = b""
            self._second = second
        return b"%s.%06dZ" % (self._stamp, fraction) if self._stamp else IMPOSSIBLE_STAMP


def units_of(tag: str) -> re.Pattern[bytes]:
    """Return the pattern of the names of postgrey's units."""
    return re.compile(re.escape(tag.encode()) + rb"(?:[@-][^/\s]*)?\.service")


def trusted_accounts(tag: str) -> frozenset[bytes]:
    """Return the user ids of root and of the accounts that a postgrey without a unit uses on this machine."""
    user_ids = {ROOT}
    for name in {"postgrey", tag}:
        try:
            user_ids.add(str(pwd.getpwnam(name).pw_uid).encode())
        except KeyError:
            continue
    return frozenset(user_ids)
