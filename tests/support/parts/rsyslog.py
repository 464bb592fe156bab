"""The real system logger, writing one log file from a socket of its own (never the system's)."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import time
from pathlib import Path
from typing import Final, Literal

from support.parts.daemon import Daemon
from support.parts.requirement import lacking, require
from support.parts.waiting import LIMIT, accepts, free_port, wait_until

Template = Literal["traditional", "rfc3339"]

_TEMPLATES: Final = {"traditional": "RSYSLOG_TraditionalFileFormat", "rfc3339": "RSYSLOG_FileFormat"}
_MAIL_INFO: Final = 2 << 3 | 6

_DEBIANS: Final = Path("/etc/rsyslog.conf")
_ELSEWHERE: Final = re.compile(r"imklog|IncludeConfig|omusrmsg|^\*\.emerg|FileOwner|FileGroup")
"""Lines that are left out: they read from the machine, write to it, or need root."""

_CONFIG: Final = """\
global(workDirectory="{directory}" net.enableDNS="off"
       processInternalMessages="on")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" CreatePath="on" IgnoreTimestamp="{receipt}" UsePIDFromSystem="off"
      RateLimit.Interval="0" ParseHostname="on" UseSpecialParser="off")
action(type="omfile" file="{logfile}" template="{template}" fileCreateMode="0640" dirCreateMode="0755")
"""


class Rsyslog(Daemon):
    """rsyslogd with one rule: everything goes to ``logfile`` in the traditional or the RFC 3339 template.

    Its own messages go there too (as on Debian, where syslog receives all), so a log holds foreign lines.
    With ``own_clock=False`` the times given to `log` are kept instead of the time of receipt.
    ``zone`` is its TZ, which matters to the traditional template.
    """

    def __init__(
        self, template: Template, logfile: Path, *, host: str = "mx1", own_clock: bool = True, zone: str | None = None
    ) -> None:
        super().__init__("rsyslog")
        self._template = template
        self.logfile = logfile
        self._host = host
        self._own_clock = own_clock
        self._zone = zone
        self._sender: socket.socket | None = None

    def run(self) -> None:
        program = require("rsyslogd", "rsyslog")
        self._socket = self.directory / "log.sock"
        config = self.directory / "rsyslog.conf"
        config.write_text(
            _CONFIG.format(
                directory=self.directory,
                socket=self._socket,
                receipt="on" if self._own_clock else "off",
                logfile=self.logfile,
                template=_TEMPLATES[self._template],
            )
        )
        environment = dict(os.environ)
        if self._zone is not None:
            environment["TZ"] = self._zone
        self.start(
            [program, "-n", "-f", config, "-i", self.directory / "pid"],
            ready=self._socket.exists,
            environment=environment,
        )
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.settimeout(LIMIT)
        self._sender.connect(str(self._socket))

    def log(self, tag: str, pid: int, text: str, at: float | None = None) -> None:
        """Hand over one message, as ``syslog(3)`` does; it is in the file some moments later (`written`)."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at))
        if self._sender is None:
            raise RuntimeError("rsyslog is not running")
        message = f"<{_MAIL_INFO}>{moment} {self._host} {tag}[{pid}]: {text}"
        self._sender.send(message.encode(errors="surrogateescape"))

    def written(self, text: str) -> None:
        """Return when the log file holds ``text``; messages are written in the order of their sending."""
        wanted = text.encode(errors="surrogateescape")
        wait_until(lambda: self.logfile.exists() and wanted in self.logfile.read_bytes(), what=f"{text!r} in the log")

    def reopen(self) -> None:
        """Send SIGHUP, as logrotate's postrotate does, and return when the file that it wrote is closed.

        rsyslog opens ``logfile`` anew with its next message. Its own word about the signal cannot be waited for
        in the new file: it may still reach the old one.
        """
        held = self._open_logs()
        in_place = self.logfile.exists() and self.logfile.stat().st_ino in held
        said = self._times_told() if in_place else 0
        self.signal(signal.SIGHUP)
        if in_place:
            wait_until(lambda: self._times_told() > said, what="rsyslog to take the signal")
        else:
            wait_until(lambda: not held & self._open_logs(), what="rsyslog to close its file")

    def _times_told(self) -> int:
        return self.logfile.read_bytes().count(b"rsyslogd was HUPed")

    def _open_logs(self) -> set[int]:
        """Return the inodes of the regular files that the process holds open, its output and id file apart."""
        inodes = set()
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target, status = descriptor.readlink(), descriptor.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) and self.directory not in target.parents:
                inodes.add(status.st_ino)
        return inodes

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        super().close()


class DebianRsyslog(Daemon):
    """rsyslogd with the configuration that Debian installs; its places lie in the part's own folder.

    ``added`` stands before that configuration; ``{directory}`` and ``{port}`` in it are the folder and a free port.
    """

    def __init__(self, added: str = "") -> None:
        super().__init__("rsyslog")
        self._added = added
        self.port = free_port()

    @property
    def socket(self) -> Path:
        """The socket that stands for ``/dev/log``."""
        return self.directory / "log.sock"

    @property
    def config(self) -> Path:
        return self.directory / "rsyslog.conf"

    @property
    def logfile(self) -> Path:
        """What stands for ``/var/log/syslog``."""
        return self.directory / "log" / "syslog"

    def run(self) -> None:
        program = require("rsyslogd", "rsyslog")
        if not _DEBIANS.exists():
            lacking(str(_DEBIANS), "rsyslog")
        (self.directory / "log").mkdir()
        kept = [line for line in _DEBIANS.read_text().splitlines() if not _ELSEWHERE.search(line)]
        moved = "\n".join(kept).replace("/var/log/", f"{self.directory}/log/")
        moved = moved.replace("/var/spool/rsyslog", str(self.directory))
        moved = moved.replace('load="imuxsock"', f'load="imuxsock" SysSock.Name="{self.socket}"')
        added = self._added.replace("{directory}", str(self.directory)).replace("{port}", str(self.port))
        self.config.write_text(f"{added}\n{moved}\n")
        self.start(
            [program, "-n", "-f", self.config, "-i", self.directory / "pid"],
            ready=self._listens,
        )

    def _listens(self) -> bool:
        if "imudp" in self._added and f":{self.port:04X} " not in Path("/proc/net/udp").read_text():
            return False
        return self.socket.exists() and ("imtcp" not in self._added or accepts(self.port))

    def send(self, *messages: bytes) -> None:
        """Send datagrams to the socket that stands for ``/dev/log``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(LIMIT)
            sender.connect(str(self.socket))
            for message in messages:
                sender.send(message)
