"""The real Prometheus server, with a configuration given as text."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.parts.daemon import Daemon
from support.parts.requirement import require
from support.parts.waiting import LIMIT, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCRAPE: Final = """\
global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}
scrape_configs:
- job_name: postgrey
  static_configs: [{{targets: ["{target}"]}}]
"""


def scrape_config(target: str, interval: str = "200ms") -> str:
    """Return a configuration that scrapes ``target`` (``HOST:PORT``) as job ``postgrey``."""
    return _SCRAPE.format(target=target, interval=interval)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant query's result."""

    labels: Mapping[str, str]
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class Alert:
    """One pending or firing alert."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def fetch(url: str, body: bytes | None = None, method: str | None = None) -> bytes:
    """Return the body of an answer from loopback; an HTTP error is raised with what the server says."""
    request = urllib.request.Request(  # noqa: S310 - the URL is this module's own
        url, body, {"Content-Type": "application/json"} if body else {}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=LIMIT) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{url}: {error.code} {error.read().decode(errors='replace')}") from None


def answers(url: str) -> bool:
    """Tell whether ``url`` is answered with success; while a server starts up it is not."""
    try:
        fetch(url)
    except (AssertionError, OSError, http.client.HTTPException):
        return False
    return True


class Prometheus(Daemon):
    """Prometheus with ``config`` as its configuration file; relative names in it start at ``directory``."""

    def __init__(self, config: str, files: Mapping[str, str] | None = None) -> None:
        """Take the configuration, and the text of further files beside it (rules) by their names."""
        super().__init__("prometheus")
        self._config = config
        self._files = files or {}

    def run(self) -> None:
        program = require("prometheus")
        self._write(self._config, self._files)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.start(
            [
                program,
                f"--config.file={self.directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ],
            ready=lambda: answers(f"{self.url}/-/ready"),
        )

    def reload(self, config: str | None = None, files: Mapping[str, str] | None = None) -> None:
        """Put new texts in place and have them read; a configuration that it refuses fails the test."""
        self._write(config or self._config, files or {})
        fetch(f"{self.url}/-/reload", method="POST")

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Return the series of an instant query, at ``at`` in seconds since the epoch or now."""
        parameters = {"query": promql} | ({} if at is None else {"time": str(at)})
        data = self._api("query", parameters)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]), float(data["result"][0]))]
        return [Sample(one["metric"], float(one["value"][1]), float(one["value"][0])) for one in data["result"]]

    def value(self, promql: str) -> float | None:
        """Return the only value of a query, None for an empty result; more than one fails."""
        samples = self.query(promql)
        assert len(samples) <= 1, samples
        return samples[0].value if samples else None

    def alerts(self) -> list[Alert]:
        """Return the alerts that are pending or firing."""
        return [
            Alert(one["labels"]["alertname"], one["state"], one["labels"], one["annotations"])
            for one in self._api("alerts")["alerts"]
        ]

    def targets(self) -> list[dict[str, Any]]:
        """Return the scrape targets as the server describes them (``health``, ``lastError``, ``labels``)."""
        active: list[dict[str, Any]] = self._api("targets")["activeTargets"]
        return active

    def scraped(self) -> None:
        """Return when every target has been scraped with success once more from now on."""
        before = {target["scrapeUrl"]: target["lastScrape"] for target in self.targets()}

        def again() -> bool:
            targets = self.targets()
            return bool(targets) and all(
                target["health"] == "up" and target["lastScrape"] != before.get(target["scrapeUrl"])
                for target in targets
            )

        # Twice: a scrape that was under way when this was called may hold older values.
        wait_until(again, what="a scrape")
        before = {target["scrapeUrl"]: target["lastScrape"] for target in self.targets()}
        wait_until(again, what="a second scrape")

    def _write(self, config: str, files: Mapping[str, str]) -> None:
        for name, text in {"prometheus.yml": config, **files}.items():
            (self.directory / name).write_text(text)

    def _api(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        question = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        answer = json.loads(fetch(f"{self.url}/api/v1/{path}{question}"))
        data: dict[str, Any] = answer["data"]
        return data
