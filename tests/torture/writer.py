"""Who writes the log: every line numbered, every client its own, and what they have to add up to.

Like a syslog daemon it holds the file open and writes on to it after a rename, until it is told to open the log anew.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from pathlib import Path

DOMAINS: Final = ("example.com", "example.net", "example.org", "outlook.com", "google.com", "yahoo.com", "gmx.net")
_GREYLISTED: Final = (("new", "new"), ("early-retry", "early-retry (173s missing)"))
_PASSED: Final = (
    ("triplet found", "triplet found, delay=400"),
    ("client whitelist", "client whitelist"),
    ("client AWL", "client AWL"),
)
_FOREIGN: Final = "postfix/smtpd[9]: connect from unknown[192.0.2.9]"
_NO_DECISION: Final = "postgrey[12]: cleaning up old logs..."


class Writer:
    """Appends lines to a log and knows what they are."""

    def __init__(self, log: Path, chance: random.Random) -> None:
        self._log = log
        self._chance = chance
        self._file: int | None = None
        self._half: tuple[bytes, str] | None = None
        self.number = 0
        self.greylisted: Counter[tuple[str, str]] = Counter()
        """By domain and reason."""
        self.decisions: Counter[tuple[str, str]] = Counter()
        """By action and reason."""
        self.lines: Counter[str] = Counter()
        """By outcome."""
        self.clients: set[str] = set()
        """Names of greylisted clients; each was greylisted once."""

    def write(self, count: int) -> None:
        """Append lines, several of them in one write now and then."""
        self.finish_line()
        while count > 0:
            together = self._chance.randint(1, min(count, 20))
            self._append(b"".join(self._line() for _ in range(together)))
            count -= together

    def write_elsewhere(self, path: Path, count: int) -> None:
        """Write lines to a file from which another program appends them to the log."""
        if count:
            self.close()
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.write(count)
            self.close()

    def begin_line(self) -> None:
        """Write the first half of a line of another program's; it counts once, finished or not."""
        self.finish_line()
        line = self._formatted(_FOREIGN)
        cut = self._chance.randint(1, len(line) - 2)
        self._append(line[:cut])
        self._half = (line[cut:], "foreign")

    def finish_line(self) -> None:
        """Write the second half of the line that was begun."""
        if self._half is not None:
            rest, outcome = self._half
            self._append(rest)
            self.lines[outcome] += 1
            self._half = None

    def abandon_line(self) -> None:
        """Leave a line unfinished for good, as a daemon that is killed does; it still counts as one."""
        if self._half is not None:
            self.lines[self._half[1]] += 1
            self._half = None

    @property
    def in_line(self) -> bool:
        """Whether a line was begun and is not finished."""
        return self._half is not None

    def reopen(self) -> None:
        """Open the log anew at the next line, as a syslog daemon does upon its HUP."""
        self.finish_line()
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, content: bytes) -> None:
        if self._file is None:
            self._file = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.write(self._file, content)

    def _line(self) -> bytes:
        self.number += 1
        kind = self._chance.random()
        if kind < 0.3:
            self.lines["foreign"] += 1
            return self._formatted(_FOREIGN)
        if kind < 0.35:
            self.lines["no_decision"] += 1
            return self._formatted(_NO_DECISION)
        self.lines["decision"] += 1
        domain = self._chance.choice(DOMAINS)
        name = f"n{self.number:07}.{domain}"
        if kind < 0.5:
            label, text = self._chance.choice(_PASSED)
            self.decisions["pass", label] += 1
            return self._formatted(f"postgrey[12]: action=pass, reason={text}, {self._rest(name)}")
        label, text = self._chance.choice(_GREYLISTED)
        self.decisions["greylist", label] += 1
        self.greylisted[domain, label] += 1
        self.clients.add(name)
        return self._formatted(f"postgrey[12]: action=greylist, reason={text}, {self._rest(name)}")

    def _rest(self, name: str) -> str:
        address = f"198.18.{self.number // 250 % 250}.{self.number % 250}"
        sender, recipient = f"s{self.number}@example.com", "r@example.org"
        return f"client_name={name}, client_address={address}, sender={sender}, recipient={recipient}"

    def _formatted(self, message: str) -> bytes:
        stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
        return f"{stamp} mx {message}\n".encode()
