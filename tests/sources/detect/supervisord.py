"""The real supervisord, keeping a postgrey and its log as docker-mailserver does."""

from __future__ import annotations

import grp
import os
import pwd
import socket
from typing import TYPE_CHECKING, Final

from support.parts import Daemon, free_port, require, wait_until
from support.parts.waiting import LIMIT, accepts

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG: Final = """\
[supervisord]
nodaemon=true
user={user}
logfile={directory}/supervisord.log
pidfile={directory}/supervisord.pid

[program:postgrey]
command={command}
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={size}
stdout_logfile_backups=50
stopsignal=TERM
"""


class Supervised(Daemon):
    """supervisord with one program, postgrey; its log is rotated by supervisord as soon as it has ``size`` bytes."""

    def __init__(self, log: Path, size: int) -> None:
        super().__init__("supervisord")
        self.log = log
        self._size = size

    def run(self) -> None:
        program, postgrey = require("supervisord", "supervisor"), require("postgrey")
        self.port = free_port()
        (self.directory / "db").mkdir()
        (self.directory / "none").touch()
        account, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        command = (
            f"{postgrey} --inet=127.0.0.1:{self.port} --dbdir={self.directory}/db --user={account} --group={group} "
            f"--whitelist-clients={self.directory}/none --whitelist-recipients={self.directory}/none"
        )
        config = self.directory / "supervisord.conf"
        config.write_text(
            _CONFIG.format(user=account, directory=self.directory, command=command, log=self.log, size=self._size)
        )
        self.start([program, "-n", "-c", config], ready=lambda: accepts(self.port))

    def ask(self, number: int) -> None:
        """Have postgrey decide about one delivery attempt, another one for each number."""
        attributes = {
            "request": "smtpd_access_policy",
            "client_name": f"m{number}.example.com",
            "client_address": f"198.18.{number // 250}.{number % 250}",
            "sender": f"a{number}@example.com",
            "recipient": "b@example.org",
        }
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as connection:
            connection.sendall("".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n")
            assert connection.recv(4096).startswith(b"action=DEFER_IF_PERMIT")

    def logged(self, number: int) -> None:
        """Return when the decision of that number is in the log or in a rotated file."""
        wanted = f"client_name=m{number}.example.com".encode()
        wait_until(
            lambda: any(wanted in path.read_bytes() for path in self.log.parent.glob(f"{self.log.name}*")),
            what=f"decision {number} in the log",
        )
