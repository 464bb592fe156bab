"""The whole chain, all of it real.

postgrey, rsyslog, the exporter, Prometheus with the shipped rules, Alertmanager with the shipped configuration, and a
webhook and a mailbox on loopback. Two mail servers stand behind one Prometheus. Only addresses are replaced and
intervals shortened.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import pytest
from alerting.exporter import Exporter
from alerting.shipped import ALERTING, TEMPLATES, alertmanager_config
from support.parts import Alertmanager, Postgrey, Prometheus, Rsyslog, SmtpSink, WebhookReceiver, wait_until
from support.parts.prometheus import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMETHEUS: Final = """\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [postgrey.rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs:
- job_name: postgrey
  static_configs: [{{targets: {exporters}}}]
"""


class MailServer:
    """postgrey, whose lines rsyslog writes to a log, and the exporter that reads it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.whitelist = folder / f"{name}.whitelist_clients"
        self.ignore = folder / f"{name}.ignore"
        log = folder / f"{name}.log"
        for path in (self.whitelist, self.ignore, log):
            path.touch()
        self._postgrey = Postgrey(whitelist_files=[self.whitelist])
        self._rsyslog = Rsyslog("rfc3339", log, host=name)
        self._exporter = Exporter([log], self.whitelist, self.ignore)
        self._stack = ExitStack()
        self._attempts = 0
        self._forwarded = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for part in (self._postgrey, self._rsyslog, self._exporter):
                stack.enter_context(part)
            self._stack = stack.pop_all()
        self._forward()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        """Where the exporter is scraped."""
        return self._exporter.address

    def attempts(self, domain: str, count: int) -> list[str]:
        """Let ``count`` clients of ``domain`` try to deliver; return postgrey's answers once they are in the log.

        Each comes from another network, as a large provider's retries do.
        """
        answers = []
        for _ in range(count):
            self._attempts += 1
            answers.append(
                self._postgrey.ask(
                    f"out-{self._attempts}.mail.{domain}",
                    f"198.18.{self._attempts}.1",
                    f"news@{domain}",
                    "postmaster@example.org",
                )
            )
        self._forward()
        return answers

    def add_to_whitelist(self, entry: str) -> None:
        with self.whitelist.open("a") as file:
            file.write(f"{entry}\n")
        self._postgrey.reload()
        self._forward()

    def add_to_ignore_file(self, entry: str) -> None:
        with self.ignore.open("a") as file:
            file.write(f"{entry}\n")

    def _forward(self) -> None:
        """Hand postgrey's lines to rsyslog, as systemd does on Debian."""
        lines = self._postgrey.log_lines()[self._forwarded :]
        self._forwarded += len(lines)
        for line in lines:
            self._rsyslog.log("postgrey", self._postgrey.pid, line)
        if lines:
            self._rsyslog.written(lines[-1])


@dataclass(frozen=True)
class Chain:
    """Two mail servers and everything behind them."""

    first: MailServer
    second: MailServer
    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: WebhookReceiver
    mail: SmtpSink

    def counted(self, domain: str, attempts: int) -> None:
        """Return when Prometheus has scraped this sum over both servers and has judged the alert by it."""
        total = f'domain:postgrey_unreviewed_domain:sum{{domain="{domain}"}}'
        wait_until(lambda: self.prometheus.value(total) == attempts, what=f"{attempts} attempts of {domain}")
        # The sum is there before the alert on it has been judged: one evaluation more.
        before = self._last_evaluation()
        wait_until(lambda: self._last_evaluation() > before, what="the next evaluation")

    def firing(self) -> list[str]:
        return [
            alert.labels.get("domain", alert.name) for alert in self.prometheus.alerts() if alert.state == "firing"
        ]

    def message(self, number: int) -> dict[str, Any]:
        """Return the webhook's message of this number, from 1, once it is there; no more may have come."""
        wait_until(lambda: len(self.webhook.received) >= number, what=f"message {number}")
        assert len(self.webhook.received) == number
        return self.webhook.received[-1]

    def _last_evaluation(self) -> str:
        (group,) = json.loads(fetch(f"{self.prometheus.url}/api/v1/rules"))["data"]["groups"]
        last: str = group["lastEvaluation"]
        return last


def states(message: dict[str, Any]) -> dict[str, str]:
    """Return what a webhook message says of each domain."""
    return {alert["labels"]["domain"]: alert["status"] for alert in message["alerts"]}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with (
        MailServer("mx1", tmp_path) as first,
        MailServer("mx2", tmp_path) as second,
        WebhookReceiver() as webhook,
        SmtpSink() as mail,
        Alertmanager(
            alertmanager_config(webhook.url, mail.address, group_wait="100ms", group_interval="300ms"), TEMPLATES
        ) as alertmanager,
        Prometheus(
            PROMETHEUS.format(alertmanager=alertmanager.address, exporters=[first.address, second.address]),
            {"postgrey.rules.yml": (ALERTING / "postgrey.rules.yml").read_text()},
        ) as prometheus,
    ):
        yield Chain(first, second, prometheus, alertmanager, webhook, mail)


def test_14_attempts_are_silent_the_15th_notifies_once_and_an_ignore_line_resolves(chain: Chain) -> None:
    chain.first.attempts("example.com", 14)
    chain.counted("example.com", 14)

    assert chain.firing() == []
    assert chain.alertmanager.alerts() == []
    assert chain.webhook.received == []
    assert chain.mail.messages == []

    chain.first.attempts("example.com", 1)
    message = chain.message(1)
    wait_until(lambda: chain.mail.messages, what="the mail")

    assert states(message) == {"example.com": "firing"}
    assert message["commonAnnotations"]["summary"] == "Whitelist or ignore this sender: example.com"
    assert [mail["Subject"] for mail in chain.mail.messages] == ["Whitelist or ignore 1 sender: example.com"]

    chain.first.add_to_ignore_file("example.com")

    assert states(chain.message(2)) == {"example.com": "resolved"}
    assert chain.firing() == []
    assert len(chain.mail.messages) == 1


def test_8_attempts_on_one_server_and_7_on_the_other_notify_and_the_next_domain_joins_the_message(
    chain: Chain,
) -> None:
    chain.first.attempts("example.net", 8)
    chain.second.attempts("example.net", 6)
    chain.counted("example.net", 14)

    assert chain.firing() == []

    chain.second.attempts("example.net", 1)

    assert states(chain.message(1)) == {"example.net": "firing"}

    chain.second.attempts("example.org", 15)

    assert states(chain.message(2)) == {"example.net": "firing", "example.org": "firing"}

    for server in (chain.first, chain.second):
        server.add_to_whitelist("example.net")

    assert states(chain.message(3)) == {"example.net": "resolved", "example.org": "firing"}
    assert chain.first.attempts("example.net", 1) == ["DUNNO"]
    assert chain.second.attempts("example.org", 1) != ["DUNNO"]
    chain.counted("example.org", 16)
    assert not chain.prometheus.query('postgrey_unreviewed_domain{domain="example.net"}')
    assert not chain.prometheus.query("postgrey_whitelist_ineffective_total")
