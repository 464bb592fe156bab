"""Whether the exporter answers, and whether Prometheus asks it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from postgrey_exporter.doctor.check import Check, mend, unknown, well
from postgrey_exporter.wording import command

if TYPE_CHECKING:
    from postgrey_exporter.doctor.machine import Machine

_HEALTHY: Final = "postgrey-exporter is healthy"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def port(machine: Machine, host: str, number: int) -> Check:
    """Check that the exporter answers on an address; an empty host stands for every address."""
    asked = host or "127.0.0.1"
    url = f"http://[{asked}]:{number}" if ":" in asked else f"http://{asked}:{number}"
    try:
        status, text = machine.fetch(f"{url}/-/healthy")
    except ConnectionRefusedError:
        return mend("port", f"nothing listens on {url}", "systemctl enable --now postgrey-exporter")
    except OSError as error:
        return unknown("port", f"{url}: {error}; with TLS it can't be asked in plain HTTP")
    if status == HTTPStatus.UNAUTHORIZED:
        return well("port", f"{url} wants a password, as it should")
    if _HEALTHY not in text:
        return mend("port", f"another program listens on {url}", f"ss -ltnp 'sport = :{number}'")
    return _sources(machine, url)


def _sources(machine: Machine, url: str) -> Check:
    """Check that the exporter has read its sources to their end once."""
    try:
        status, text = machine.fetch(f"{url}/-/ready")
    except OSError as error:
        return unknown("port", f"{url}: {error}")
    if status != HTTPStatus.OK:
        return unknown("port", f"{url} answers: {text.strip()}")
    return well("port", f"the exporter answers on {url}")


def prometheus(machine: Machine, url: str, number: int) -> Check:
    """Check that a Prometheus scrapes the exporter's port."""
    try:
        _, text = machine.fetch(f"{url.rstrip('/')}/api/v1/targets?state=active")
        targets: list[dict[str, Any]] = json.loads(text)["data"]["activeTargets"]
    except (OSError, ValueError, KeyError, TypeError):
        return unknown("scrape", f"no Prometheus to ask at {url}", "postgrey-exporter doctor --prometheus-url URL")
    ours = [target for target in targets if _port(target.get("scrapeUrl", "")) == number]
    if not ours:
        job = f"{{job_name: postgrey, static_configs: [{{targets: ['127.0.0.1:{number}']}}]}}"
        remedy = f"in prometheus.yml, under scrape_configs: {job}"
        return mend("scrape", f"the Prometheus at {url} has no target with the port {number}", remedy)
    for target in ours:
        if target.get("health") == "up":
            return well("scrape", f"Prometheus scrapes {target['scrapeUrl']} as job {_job(target)!r}")
    asked, error = ours[0]["scrapeUrl"], ours[0].get("lastError") or "not scraped yet"
    return mend("scrape", f"Prometheus can't scrape {asked}: {error}", command("curl", "-i", "--", asked))


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None


def _job(target: dict[str, Any]) -> str:
    labels = target.get("labels")
    return str(labels.get("job", "")) if isinstance(labels, dict) else ""
