"""postgrey-exporter itself as a part: `serve` in a process of its own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from support.parts import Daemon, free_port
from support.parts.prometheus import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def decision_line(moment: float, decision: str, number: int, domain: str) -> str:
    """Return a line of syslog with a decision (``action=…, reason=…``) about client ``number`` of ``domain``."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment))
    return (
        f"{stamp} mx1 postgrey[1]: {decision}, client_name=m{number}.{domain}, client_address=192.0.2.{number}, "
        f"sender=a@{domain}, recipient=b@example.org\n"
    )


class Exporter(Daemon):
    """The exporter over ``logs``; it has started when it has read them to their end.

    ``whitelist_file`` and ``ignore_file`` are its only lists.
    """

    def __init__(self, logs: Sequence[Path], whitelist_file: Path, ignore_file: Path) -> None:
        super().__init__("postgrey-exporter")
        self._logs = logs
        self._whitelist_file = whitelist_file
        self._ignore_file = ignore_file

    def run(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.start(
            [
                *(sys.executable, "-m", "postgrey_exporter", "serve"),
                *(option for log in self._logs for option in ("--mail-log", log)),
                *("--state", self.directory / "state.sqlite3"),
                *("--whitelist-file", self._whitelist_file),
                *("--ignore-file", self._ignore_file),
                *("--web.listen-address", self.address),
            ],
            ready=lambda: answers(f"{self.url}/-/ready"),
        )
