"""`serve` on a journal folder, as a process that can be killed."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from support.parts import Daemon, free_port, wait_until
from support.parts.prometheus import answers, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Serve(Daemon):
    """The exporter with options of the test's; its state outlives the process, not the part."""

    def __init__(
        self, options: Sequence[str | Path], *, window: str = "3650d", whitelist: Path | None = None
    ) -> None:
        super().__init__("serve")
        self._options = options
        self._window = window
        self._whitelist = whitelist
        self.port = free_port()

    def run(self) -> None:
        url = f"http://127.0.0.1:{self.port}/-/healthy"
        self.start(
            [
                sys.executable,
                "-m",
                "postgrey_exporter",
                "serve",
                *self._options,
                f"--state={self.directory / 'state.sqlite3'}",
                f"--whitelist-file={self._whitelist or self._none('whitelist_clients')}",
                f"--ignore-file={self._none('ignore')}",
                f"--window={self._window}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            ready=lambda: answers(url),
        )

    def _none(self, name: str) -> Path:
        """Return an empty list: without the option the machine's own would be read."""
        path = self.directory / name
        path.touch()
        return path

    def metrics(self) -> str:
        return fetch(f"http://127.0.0.1:{self.port}/metrics").decode()

    def value(self, series: str) -> float:
        """Return the sum of the series that begin like this, after a scrape."""
        return total(self.metrics(), series)

    def caught_up(self) -> None:
        """Return when everything that was there has been read."""
        wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), what="the first reading", limit=120)

    def log(self) -> str:
        return self.output.read_text()


def total(exposition: str, series: str) -> float:
    """Return the sum of the values of all series whose text begins with ``series``."""
    found = re.findall(rf"^{re.escape(series)}[^ ]* (\S+)$", exposition, re.MULTILINE)
    return sum(map(float, found))
