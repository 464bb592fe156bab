"""The real Alertmanager, with a configuration given as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.parts.daemon import Daemon
from support.parts.prometheus import answers, fetch
from support.parts.requirement import require
from support.parts.waiting import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Alertmanager(Daemon):
    """Alertmanager with ``config`` as its configuration file; relative names in it start at ``directory``."""

    def __init__(self, config: str, files: Mapping[str, str] | None = None) -> None:
        """Take the configuration, and the text of further files beside it (templates) by their names."""
        super().__init__("alertmanager")
        self._config = config
        self._files = files or {}

    def run(self) -> None:
        program = require("prometheus-alertmanager")
        for name, text in {"alertmanager.yml": self._config, **self._files}.items():
            (self.directory / name).write_text(text)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        self.start(
            [
                program,
                f"--config.file={self.directory / 'alertmanager.yml'}",
                f"--storage.path={self.directory / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
            ],
            ready=lambda: answers(f"{self.url}/-/ready"),
        )

    def reload(self, config: str) -> None:
        """Put another configuration in place and have it read; one that it refuses fails the test."""
        (self.directory / "alertmanager.yml").write_text(config)
        fetch(f"{self.url}/-/reload", method="POST")

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds (``labels``, ``annotations``, ``status``, ``receivers``)."""
        held: list[dict[str, Any]] = json.loads(fetch(f"{self.url}/api/v2/alerts"))
        return held

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Send it alerts as Prometheus would: ``labels``, ``annotations``, ``startsAt``, ``endsAt``."""
        fetch(f"{self.url}/api/v2/alerts", json.dumps(alerts).encode())
