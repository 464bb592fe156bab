"""The other system loggers of Debian, each writing from a socket of its own, never the system's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Final

from support.parts.daemon import Daemon
from support.parts.requirement import lacking
from support.parts.unpacked import FOLDER, libraries, require_unpacked
from support.parts.waiting import LIMIT, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

END: Final = b"<22>Nov 30 12:00:00 end[1]: this is the last message"


class SocketLogger(Daemon):
    """A program that reads messages from a datagram socket."""

    @property
    def socket(self) -> Path:
        """The socket that stands for ``/dev/log``."""
        return self.directory / "dev" / "log"

    def run_with(self, arguments: Sequence[str | Path]) -> None:
        self.socket.parent.mkdir()
        self.start(arguments, ready=self.socket.exists, environment=libraries())

    def written(self, messages: Sequence[bytes], *files: Path) -> None:
        """Have messages logged; return when these files hold them all."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(LIMIT)
            sender.connect(str(self.socket))
            for message in (*messages, END):
                sender.send(message)
        last = END.partition(b": ")[2]
        for file in files:
            wait_until(lambda file=file: file.exists() and last in file.read_bytes(), what=f"the end of {file}")  # type: ignore[misc]


_SYSLOG_NG: Final = """\
@version: 3.38
options {{ keep-hostname(yes); use-dns(no); dns-cache(no); stats-freq(0); }};
options {{ ts-format({format}); frac-digits({digits}); }};
source s {{ unix-dgram("{socket}"); }};
"""
_SYSLOG_NG_FILE: Final = """\
destination d_{name} {{ file("{file}"{template}); }};
log {{ source(s); destination(d_{name}); }};
"""


class SyslogNg(SocketLogger):
    """syslog-ng; writes a file for each template (an empty one is its own), see `file`."""

    def __init__(self, templates: Mapping[str, str], stamp: str = "bsd", digits: int = 0) -> None:
        """Take the templates by name, the form of stamps (``ts-format``), and the digits of their fraction."""
        super().__init__("syslog-ng")
        self._templates = templates
        self._stamp = stamp
        self._digits = digits

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def run(self) -> None:
        program = require_unpacked("usr/sbin/syslog-ng")
        text = _SYSLOG_NG.format(format=self._stamp, digits=self._digits, socket=self.socket)
        for name, template in self._templates.items():
            option = f' template("{template}")' if template else ""
            text += _SYSLOG_NG_FILE.format(name=name.replace("-", "_"), file=self.file(name), template=option)
        config = self.directory / "syslog-ng.conf"
        config.write_text(text)
        places = [f"--{name}={self.directory / name}" for name in ("persist-file", "pidfile", "control")]
        modules = f"--module-path={FOLDER}/usr/lib/syslog-ng/3.38"
        self.run_with([program, "--foreground", "--no-caps", modules, f"--cfgfile={config}", *places])


class InetutilsSyslogd(SocketLogger):
    """syslogd of GNU inetutils; writes ``logfile``."""

    def __init__(self) -> None:
        super().__init__("inetutils-syslogd")

    @property
    def logfile(self) -> Path:
        return self.directory / "log"

    def run(self) -> None:
        program = require_unpacked("usr/sbin/syslogd")
        config = self.directory / "syslog.conf"
        config.write_text(f"*.*\t{self.logfile}\n")
        options = ["--no-detach", "--no-klog", "--no-forward", "--mark=0", f"--rcdir={self.directory}/none"]
        places = [f"--socket={self.socket}", f"--pidfile={self.directory}/pid", f"--rcfile={config}"]
        self.run_with([program, *options, *places])


class BusyboxSyslogd(SocketLogger):
    """syslogd of BusyBox, which knows no other socket than ``/dev/log``: its root is the part's folder."""

    def __init__(self, *options: str) -> None:
        super().__init__("busybox-syslogd")
        self._options = options

    @property
    def logfile(self) -> Path:
        return self.directory / "log"

    def run(self) -> None:
        program = require_unpacked("bin/busybox")
        if os.geteuid() != 0:
            lacking("root's rights", how="run the tests as root")
        shutil.copy(program, self.directory / "busybox")
        self.run_with(["chroot", self.directory, "/busybox", "syslogd", "-n", "-O", "/log", *self._options])


class Socklog(SocketLogger):
    """socklog of runit's world; its standard output goes on to svlogd, multilog or s6-log, see `piped`."""

    def __init__(self) -> None:
        super().__init__("socklog")

    def run(self) -> None:
        self.run_with([require_unpacked("usr/sbin/socklog"), "unix", self.socket])


def piped(text: bytes, program: str, *options: str | Path, folder: Path) -> Path:
    """Return the file that svlogd, multilog or s6-log makes of a program's output."""
    folder.mkdir()
    logger = [require_unpacked(program), *options, folder]
    subprocess.run(logger, input=text, env=libraries(), check=True, timeout=LIMIT)
    return folder / "current"
