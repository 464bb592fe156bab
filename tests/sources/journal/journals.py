"""Journal files for tests: entries as the export format has them, written by the real systemd-journal-remote."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from support.parts import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

BOOT: Final = "0123456789abcdef0123456789abcdef"
BEGIN: Final = 1_760_000_000
"""The second since the epoch at which the entries of these tests begin."""

SERVICE: Final = {
    "SYSLOG_IDENTIFIER": "postgrey",
    "_SYSTEMD_UNIT": "postgrey.service",
    "_UID": "114",
    "_PID": "812",
    "_COMM": "postgrey",
    "_HOSTNAME": "mx1",
    "_TRANSPORT": "stdout",
    "PRIORITY": "6",
}
"""The fields of what postgrey's unit says on Debian 12."""
POSTFIX: Final = SERVICE | {"SYSLOG_IDENTIFIER": "postfix/smtpd", "_SYSTEMD_UNIT": "postfix.service", "_UID": "110"}


def greylisted(number: int, client: int | None = None) -> str:
    """Return the message of a decision, another one for each number; by default about another client too."""
    who = number if client is None else client
    return (
        f"action=greylist, reason=new, client_name=mail{who}.example.com, "
        f"client_address=198.18.{who // 250 % 250}.{who % 250}, sender=a{number}@example.com, "
        "recipient=b@example.org"
    )


def entry(message: str | bytes | None, at: float, fields: Mapping[str, str] = SERVICE) -> bytes:
    """Return one entry in the export format; ``at`` in seconds since `BEGIN`."""
    moment = BEGIN * 1_000_000 + round(at * 1_000_000)
    text = b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n" % (
        moment,
        moment - (BEGIN - 1000) * 1_000_000,
        BOOT.encode(),
    )
    for name, value in fields.items():
        text += f"{name}={value}\n".encode()
    if message is not None:
        content = message.encode() if isinstance(message, str) else message
        text += b"MESSAGE\n" + len(content).to_bytes(8, "little") + content + b"\n"
    return text + b"\n"


def decisions(numbers: Iterable[int], seconds_apart: float = 1.0, clients: int | None = None) -> bytes:
    """Return entries of decisions, one for each number, at that many seconds since `BEGIN`."""
    return b"".join(
        entry(greylisted(number, number % clients if clients else None), number * seconds_apart) for number in numbers
    )


class Journal:
    """A folder of journal files as journald keeps it: one that is written, and archived ones."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.live = directory / "system.journal"
        self._archived = 0

    def append(self, entries: bytes, to: Path | None = None) -> None:
        """Have entries written behind those that are there."""
        writer = require("systemd-journal-remote")
        written = subprocess.run(
            [writer, f"--output={to or self.live}", "-"], input=entries, check=False, capture_output=True
        )
        assert written.returncode == 0, written.stderr.decode()

    def rotate(self) -> Path:
        """Archive the live file under the kind of name that journald gives; the next entry begins a new one."""
        self._archived += 1
        archived = (
            self.directory / f"system@{self._archived:032x}-{self._archived:016x}-{self._archived:016x}.journal"
        )
        self.live.rename(archived)
        return archived

    def vacuum(self, keep: int = 0) -> None:
        """Remove the oldest archived files but some, as ``journalctl --vacuum-files`` does."""
        archived = sorted(self.directory.glob("system@*.journal"))
        for file in archived[: len(archived) - keep]:
            file.unlink()
