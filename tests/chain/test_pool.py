"""A pool's mail is delayed: from a real postgrey to the alert, and by the proposed entry to its end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from alerting.exporter import Exporter
from alerting.shipped import ALERTING, TEMPLATES, alertmanager_config
from support.parts import Alertmanager, Postgrey, Prometheus, SmtpSink, WebhookReceiver, wait_until
from support.running import run

if TYPE_CHECKING:
    from pathlib import Path

PROMETHEUS: Final = """\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [postgrey.rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs:
- job_name: postgrey
  static_configs: [{{targets: ["{exporter}"]}}]
"""
HOUR: Final = 3600


def server(number: int) -> tuple[str, str]:
    return f"mta{number}.mail.example.com", f"198.51.{number}.7"


def delayed_mails(postgrey: Postgrey, count: int, now: int) -> str:
    """Let mails be tried from two networks, and accepted two hours after their first attempt; return the log."""
    log = ""
    for mail in range(count):
        sender = f"letter-{'abcdefgh'[mail]}@example.com"
        for host, ago in ((2 * mail, 4.0), (2 * mail + 1, 2.2), (2 * mail + 1, 2.0)):
            at = int(now - ago * HOUR)
            before = len(postgrey.log_lines())
            postgrey.ask(*server(host), sender, "office@example.org", at=at)
            stamp = datetime.fromtimestamp(at, UTC).isoformat()
            for line in postgrey.log_lines()[before:]:
                log += f"{stamp} mx1 postgrey[1]: {line}\n"
    return log


def test_a_delayed_pool_is_announced_before_the_threshold_and_its_entry_ends_it(tmp_path: Path) -> None:
    whitelist, ignore, log = (tmp_path / name for name in ("whitelist_clients", "ignore", "mail.log"))
    for path in (whitelist, ignore):
        path.touch()
    lists = ("--whitelist-file", whitelist, "--ignore-file", ignore)
    with (
        Postgrey(whitelist_files=[whitelist]) as postgrey,
        WebhookReceiver() as webhook,
        SmtpSink() as mail,
    ):
        log.write_text(delayed_mails(postgrey, 3, int(time.time())))
        config = alertmanager_config(webhook.url, mail.address, group_wait="100ms", group_interval="300ms")
        with (
            Exporter([log], whitelist, ignore) as exporter,
            Alertmanager(config, TEMPLATES) as alertmanager,
            Prometheus(
                PROMETHEUS.format(alertmanager=alertmanager.address, exporter=exporter.address),
                {"postgrey.rules.yml": (ALERTING / "postgrey.rules.yml").read_text()},
            ),
        ):
            (message,) = wait_until(lambda: webhook.received, what="the message about the pool")
            assert [alert["labels"] for alert in message["alerts"]] == [
                {"alertname": "PostgreyPoolDelayed", "domain": "example.com", "severity": "warning"}
            ]
            summary = message["commonAnnotations"]["summary"]
            assert summary == "Greylisting delays mail from example.com by up to 2h 0m 0s"

            (domain,) = json.loads(run("report", log, *lists, "--format", "json").stdout)["domains"]
            assert (domain["advice"], domain["greylisted"]) == ("whitelist", 6)
            assert run("whitelist", *lists, domain["entry"]).returncode == 0
            postgrey.reload()

            wait_until(lambda: len(webhook.received) > 1, what="the end of the alert")
            assert webhook.received[1]["status"] == "resolved"
        assert postgrey.ask(*server(9), "letter-z@example.com", "office@example.org") == "DUNNO"
        assert "DEFER" in postgrey.ask("www.example.com", "198.51.9.7", "letter-z@example.com", "office@example.org")
