"""One entry of the systemd journal, whose it is, and the log line that stands for it.

Anybody with a shell may log under the identifier ``postgrey``; the fields that begin with ``_`` are journald's own
and say who did. An entry is postgrey's when

- it comes from postgrey's unit (``postgrey.service``, ``postgrey@NAME.service``, ``postgrey-NAME.service``: only root
  can make one), whatever its identifier; or
- it has postgrey's identifier and comes from root or from the account ``postgrey``: a daemon without a unit; or
- it has postgrey's identifier and no ``_UID``: no process of this machine logged it, it was imported.

With ``--syslog-tag X`` the same holds for identifier, units and account of the name X.
"""

from __future__ import annotations

import pwd
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

ROOT: Final = b"0"
IMPOSSIBLE_STAMP: Final = b"0000-00-00T00:00:00Z"
"""Stands for a time that can't be read; the parser counts the line as malformed if it is postgrey's."""
UNVERIFIED: Final = b"[unverified]"
"""The tag of entries that look like postgrey's and are not; no ``--syslog-tag`` can be like it."""

_NO_TAG: Final = re.compile(rb"[^!-9;-Z^-~]+")
MICROSECOND: Final = 1_000_000
_MOST_TAGS: Final = 1000
"""Origins whose tag is kept: few on any host, but identifiers are the senders' to choose."""


class Entry(NamedTuple):
    """What is needed of a journal entry. An empty value means that the entry has no such field."""

    cursor: str
    realtime: int
    """When journald got it, in microseconds since the epoch; negative when that can't be read."""
    identifier: bytes
    """``SYSLOG_IDENTIFIER``: the sender's choice."""
    unit: bytes
    """``_SYSTEMD_UNIT``: journald's finding."""
    uid: bytes
    """``_UID``: the kernel's word for the account of the process."""
    message: bytes | None
    """``None`` when journalctl left it out because of its length (JSON without ``--all``)."""


class Renderer:
    """Makes lines with an RFC 3339 header of entries, so that the one parser serves the journal too."""

    def __init__(self, tag: str, accounts: frozenset[bytes]) -> None:
        """Take the syslog tag of postgrey's lines and the numbers of the accounts whose word counts."""
        self._tag = tag.encode()
        self._units = re.compile(re.escape(self._tag) + rb"(?:[@-][^/\s]*)?\.service")
        self._accounts = accounts
        self._tags: dict[tuple[bytes, bytes, bytes], bytes] = {}
        self._second = -1
        self._stamp = b""

    def line(self, entry: Entry) -> bytes:
        """Return one line with its newline. What would break it in two is written as rsyslog does: ``#012``."""
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

    def disowns(self, entry: Entry) -> bool:
        """Tell whether an entry carries postgrey's identifier without being postgrey's."""
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


def trusted_accounts(tag: str) -> frozenset[bytes]:
    """Return the numbers of root and of the accounts that a postgrey without a unit runs under on this machine."""
    numbers = {ROOT}
    for name in {"postgrey", tag}:
        try:
            numbers.add(str(pwd.getpwnam(name).pw_uid).encode())
        except KeyError:
            continue
    return frozenset(numbers)
