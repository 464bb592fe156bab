"""The real journald, in a namespace of its own beside the system's: other sockets, other files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.parts import Daemon, require, wait_until
from support.parts.waiting import LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

MACHINE_ID: Final = Path("/etc/machine-id")
_STORE: Final = Path("/var/log/journal")


class Journald(Daemon):
    """journald as systemd starts it for ``LogNamespace=``; needs root, and removes its files in the end."""

    def __init__(self) -> None:
        super().__init__("journald")
        self._namespace = f"test{os.getpid()}"
        self._store_was_there = _STORE.exists()

    @property
    def files(self) -> Path:
        """The folder of its journal files."""
        return _STORE / f"{MACHINE_ID.read_text().strip()}.{self._namespace}"

    @property
    def _sockets(self) -> Path:
        return Path("/run/systemd") / f"journal.{self._namespace}"

    def run(self) -> None:
        program = require("systemd-journald", "systemd")
        if os.geteuid() != 0 or not MACHINE_ID.exists() or not MACHINE_ID.read_text().strip():
            pytest.skip("needs root and a machine id: journald writes below /var/log/journal")
        self.start([program, self._namespace], ready=lambda: list(self.files.glob("*.journal")))

    def stream(self, identifier: str, unit: str) -> socket.socket:
        """Return a connection whose lines become entries, as systemd makes it for a unit's standard output.

        The header's lines are identifier, unit, priority, and flags; see connect_logger_as in systemd's source.
        """
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(LIMIT)
        stream.connect(str(self._sockets / "stdout"))
        stream.sendall(f"{identifier}\n{unit}\n30\n1\n0\n0\n0\n".encode())
        return stream

    def send(self, fields: Sequence[tuple[str, bytes]]) -> None:
        """Send one entry by the native protocol, as any process may (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)."""
        content = b"".join(
            name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n" for name, value in fields
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self._sockets / "socket"))
            sender.send(content)

    def send_syslog(self, message: bytes) -> None:
        """Send one datagram as ``syslog(3)`` does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self._sockets / "dev-log"))
            sender.send(message)

    def control(self, *arguments: str) -> str:
        """Have journalctl do something: ``--rotate``, ``--vacuum-files=1``, ``--sync``."""
        done = subprocess.run(
            ["journalctl", f"--namespace={self._namespace}", *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    def holds(self, text: str) -> None:
        """Return when an entry with this text is in the journal."""
        wait_until(
            lambda: text in self.control("--no-pager", "--output=cat", "--lines=1000"),
            what=f"{text!r} in the journal",
        )

    def close(self) -> None:
        files, sockets = self.files if MACHINE_ID.exists() else None, self._sockets
        super().close()
        shutil.rmtree(sockets, ignore_errors=True)
        if files is not None:
            shutil.rmtree(files, ignore_errors=True)
        if not self._store_was_there:
            with suppress(OSError):  # another test's is in it still
                _STORE.rmdir()
