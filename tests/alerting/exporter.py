"""postgrey-exporter itself as a part: `serve` in a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from parts import Daemon, free_port
from parts.prometheus import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
