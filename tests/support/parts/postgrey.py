"""The real greylisting daemon, asked over its policy protocol as Postfix would."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
from typing import TYPE_CHECKING

from support.parts.daemon import Daemon, PartError
from support.parts.requirement import require
from support.parts.waiting import LIMIT, accepts, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_RELOADED = "HUP received: reloading whitelists..."


class Postgrey(Daemon):
    """postgrey in the foreground: every decision is one line without a syslog header on its standard error.

    ``dbdir`` holds its databases over restarts; by default they live and go with the part. It runs under the
    account of the tests, so that whitelist files may lie in pytest's ``tmp_path``, which is closed to others.
    Without ``whitelist_files`` no client is whitelisted; a file that is missing must be named ``….local``.
    """

    def __init__(
        self, dbdir: Path | None = None, whitelist_files: Sequence[Path] = (), options: Sequence[str] = ()
    ) -> None:
        super().__init__("postgrey")
        self._dbdir = dbdir
        self._whitelist_files = whitelist_files
        self._options = options
        self._connection: socket.socket | None = None

    def run(self) -> None:
        program = require("postgrey")
        dbdir = self._dbdir or self.directory / "db"
        dbdir.mkdir(exist_ok=True)
        # An empty list must be named: without the option postgrey reads the machine's own files.
        nobody = self.directory / "whitelist_none"
        nobody.touch()
        self.port = free_port()
        self.start(
            [
                program,
                f"--inet=127.0.0.1:{self.port}",
                f"--dbdir={dbdir}",
                f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
                f"--group={grp.getgrgid(os.getegid()).gr_name}",
                f"--whitelist-recipients={nobody}",
                *(f"--whitelist-clients={path}" for path in (self._whitelist_files or [nobody])),
                *self._options,
            ],
            ready=lambda: accepts(self.port),
        )

    def ask(
        self,
        client_name: str,
        client_address: str,
        sender: str,
        recipient: str,
        at: float | None = None,
        **extra: str,
    ) -> str:
        """Return the answer (``DEFER_IF_PERMIT …``, ``PREPEND …``, ``DUNNO``) about one RCPT.

        ``at`` is the daemon's clock for this request, in seconds since the epoch and cut to the second; its own
        without. ``extra`` are further attributes of the protocol, such as ``queue_id``. When this returns, the
        line of the decision is in the log.
        """
        if at is not None:
            extra["policy_test_time"] = str(int(at))
        attributes = {
            "request": "smtpd_access_policy",
            "client_name": client_name,
            "client_address": client_address,
            "sender": sender,
            "recipient": recipient,
            **extra,
        }
        return self.ask_raw("".join(f"{name}={value}\n" for name, value in attributes.items()).encode())

    def ask_raw(self, attributes: bytes) -> str:
        """Send ``name=value`` lines as they are (whatever their bytes) and return the answer."""
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        self._connection.sendall(attributes + b"\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            part = self._connection.recv(65536)
            if not part:
                raise PartError(f"postgrey closed the connection\n{self._words()}")
            answer += part
        return answer.removeprefix(b"action=").rstrip(b"\n").decode(errors="replace")

    def log_lines(self) -> list[str]:
        """Return everything that postgrey has said since its first start, one line each, without line ends."""
        return self.output.read_text(errors="surrogateescape").splitlines()

    def reload(self) -> None:
        """Have the whitelists read again and return when postgrey says that it does.

        One process serves requests and signals in turn: a later `ask` is judged by the new lists. Raises `PartError`
        where it ends or hangs instead: rarely, a signal meets Perl in the wrong place.
        """
        before = self.log_lines().count(_RELOADED)
        self.signal(signal.SIGHUP)

        def reloaded() -> bool:
            self.wake()
            self.check_runs()
            return self.log_lines().count(_RELOADED) > before

        try:
            wait_until(reloaded, what="postgrey to reload")
        except TimeoutError as error:
            raise PartError(f"{error}\n{self._words()}") from None

    def wake(self) -> None:
        """Connect once: Net::Server looks for signals after an event, and may go to sleep on one just received."""
        accepts(self.port)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()
