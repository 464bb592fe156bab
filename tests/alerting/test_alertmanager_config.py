"""The shipped Alertmanager configuration in a real Alertmanager: who gets which message, and what it says."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from support.parts import Alertmanager, SmtpSink, WebhookReceiver, require, wait_until

from alerting.shipped import CONFIG, TEMPLATES, alertmanager_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage

RETENTION_HOURS: Final = 120
"""Alertmanager's default for --data.retention."""


class Monitoring:
    """Alertmanager with the shipped configuration, and where its notifications arrive."""

    def __init__(self, alertmanager: Alertmanager, webhook: WebhookReceiver, mail: SmtpSink) -> None:
        self.alertmanager = alertmanager
        self.webhook = webhook
        self.mail = mail

    def post(self, *alerts: Mapping[str, Any]) -> None:
        self.alertmanager.post(alerts)

    def mails(self, count: int) -> list[EmailMessage]:
        return wait_until(
            lambda: self.mail.messages if len(self.mail.messages) >= count else [], what=f"mail {count}"
        )

    def states(self) -> dict[str, str]:
        """Return the state (active, suppressed) of each alert, by its name and source or domain."""
        return {
            " ".join(
                [one["labels"][name] for name in ("alertname", "source", "domain") if name in one["labels"]]
            ): one["status"]["state"]
            for one in self.alertmanager.alerts()
        }


@pytest.fixture
def monitoring() -> Iterator[Monitoring]:
    with WebhookReceiver() as webhook, SmtpSink() as mail:
        config = alertmanager_config(webhook.url, mail.address, group_wait="50ms", group_interval="200ms")
        with Alertmanager(config, TEMPLATES) as alertmanager:
            yield Monitoring(alertmanager, webhook, mail)


def domain_alert(domain: str, attempts: int = 15) -> dict[str, Any]:
    return {
        "labels": {"alertname": "PostgreyUnreviewedDomain", "severity": "warning", "domain": domain},
        "annotations": {
            "summary": f"Whitelist or ignore this sender: {domain}",
            "description": f"{domain} was greylisted {attempts} times in the last seven days.",
            "runbook_url": "https://example.org/runbook#postgreyunrevieweddomain",
        },
    }


def server_alert(name: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "warning", "job": "postgrey", "instance": "mx1:10123", **labels},
        "annotations": {
            "summary": f"{name} on mx1:10123",
            "description": "Look at the exporter.",
            "runbook_url": f"https://example.org/runbook#{name.lower()}",
        },
    }


def resolved(alert: Mapping[str, Any]) -> dict[str, Any]:
    return {**alert, "startsAt": "2024-01-01T00:00:00Z", "endsAt": "2024-01-01T00:01:00Z"}


def text(mail: EmailMessage) -> str:
    """Return the mail's text, which is all that it holds: no HTML."""
    (only,) = mail.iter_parts()
    assert only.get_content_type() == "text/plain"
    return str(only.get_content()).replace("\r\n", "\n")


def test_amtool_has_nothing_to_say_about_the_configuration() -> None:
    command = [require("amtool", "prometheus-alertmanager"), "check-config", str(CONFIG)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (result.returncode, result.stderr) == (0, "")
    assert "1 templates" in result.stdout


def test_alertmanager_starts_with_the_shipped_waits_without_a_warning() -> None:
    with Alertmanager(CONFIG.read_text(), TEMPLATES) as alertmanager:
        assert not re.findall(r".*level=(?:warn|error).*", alertmanager.output.read_text())


def test_the_digest_repeats_daily_and_nothing_repeats_after_alertmanager_has_forgotten_it() -> None:
    route = yaml.safe_load(CONFIG.read_text())["route"]
    (digest,) = [child for child in route["routes"] if child["receiver"] == "postgrey-digest"]

    def hours(duration: str) -> int:
        assert duration.endswith("h")
        return int(duration.removesuffix("h"))

    assert hours(digest["group_interval"]) == 24
    # Alertmanager asks at each group_interval whether the last message is older than repeat_interval.
    assert hours(digest["repeat_interval"]) < hours(digest["group_interval"])
    assert all(hours(one["repeat_interval"]) < RETENTION_HOURS for one in (route, *route["routes"]))


def test_one_message_names_all_the_domains_as_the_plugin_did(monitoring: Monitoring) -> None:
    monitoring.post(*(domain_alert(domain) for domain in ("example.org", "example.com", "example.net")))

    (mail,) = monitoring.mails(1)
    wait_until(lambda: monitoring.webhook.received, what="the webhook")

    assert mail["Subject"] == "Whitelist or ignore 3 senders: example.com example.net example.org"
    assert mail["To"] == "postmaster@example.org"
    assert text(mail) == (
        "Whitelist or ignore these senders: example.com example.net example.org\n"
        "\n"
        "- example.com was greylisted 15 times in the last seven days.\n"
        "- example.net was greylisted 15 times in the last seven days.\n"
        "- example.org was greylisted 15 times in the last seven days.\n"
        "\n"
        "What to look at: https://example.org/runbook#postgreyunrevieweddomain\n"
    )
    (message,) = monitoring.webhook.received
    assert message["receiver"] == "postgrey-chat"
    assert [alert["labels"]["domain"] for alert in message["alerts"]] == ["example.com", "example.net", "example.org"]


def test_the_subject_stays_short_and_the_text_names_every_domain(monitoring: Monitoring) -> None:
    domains = [f"d{number:03}.example" for number in range(200)]
    monitoring.post(*(domain_alert(domain) for domain in domains))

    (mail,) = monitoring.mails(1)

    assert mail["Subject"] == (
        "Whitelist or ignore 200 senders: d000.example d001.example d002.example d003.example d004.example …"
    )
    assert text(mail).splitlines()[0] == f"Whitelist or ignore these senders: {' '.join(domains)}"


def test_one_domain_is_one_sender(monitoring: Monitoring) -> None:
    monitoring.post(domain_alert("example.com"))

    assert monitoring.mails(1)[0]["Subject"] == "Whitelist or ignore 1 sender: example.com"


def test_a_reviewed_domain_leaves_the_next_message_and_the_last_ends_it(monitoring: Monitoring) -> None:
    first, second = domain_alert("example.com"), domain_alert("example.net")
    received = monitoring.webhook.received
    monitoring.post(first, second)
    wait_until(lambda: received, what="the webhook")
    monitoring.post(resolved(first))
    wait_until(lambda: len(received) == 2, what="the second message")
    monitoring.post(resolved(second))
    wait_until(lambda: len(received) == 3, what="the last message")

    assert [message["status"] for message in received] == ["firing", "firing", "resolved"]
    assert [(alert["labels"]["domain"], alert["status"]) for alert in received[1]["alerts"]] == [
        ("example.com", "resolved"),
        ("example.net", "firing"),
    ]


def test_trouble_with_the_exporter_is_mailed_to_the_operator_with_its_end(monitoring: Monitoring) -> None:
    alert = server_alert("PostgreyExporterDown")
    monitoring.post(alert)
    monitoring.mails(1)
    monitoring.post(resolved(alert))
    begin, end = monitoring.mails(2)

    assert begin["Subject"] == "[postgrey] PostgreyExporterDown on mx1:10123"
    assert text(begin) == (
        "PostgreyExporterDown on mx1:10123\n"
        "Look at the exporter.\n"
        "https://example.org/runbook#postgreyexporterdown\n\n"
    )
    assert end["Subject"] == "[postgrey] Resolved: PostgreyExporterDown on mx1:10123"
    assert text(end) == "Resolved: PostgreyExporterDown on mx1:10123\n"
    assert not monitoring.webhook.received


def pool_alert(domain: str, delay: str = "3h 10m 0s") -> dict[str, Any]:
    return {
        "labels": {"alertname": "PostgreyPoolDelayed", "severity": "warning", "domain": domain},
        "annotations": {
            "summary": f"Greylisting delays mail from {domain} by up to {delay}",
            "description": f"Mail from {domain} took up to {delay} to come through.",
            "runbook_url": "https://example.org/runbook#postgreypooldelayed",
        },
    }


def test_delayed_pools_come_in_one_message_of_their_own_beside_the_domains_to_review(monitoring: Monitoring) -> None:
    monitoring.post(pool_alert("example.com"), pool_alert("example.net"), domain_alert("example.com"))
    received = wait_until(
        lambda: monitoring.webhook.received if len(monitoring.webhook.received) >= 2 else [], what="both messages"
    )
    (mail,) = monitoring.mails(1)

    assert sorted(
        (message["groupLabels"]["alertname"], *(alert["labels"]["domain"] for alert in message["alerts"]))
        for message in received
    ) == [("PostgreyPoolDelayed", "example.com", "example.net"), ("PostgreyUnreviewedDomain", "example.com")]
    assert mail["Subject"] == "Whitelist or ignore 1 sender: example.com"
    monitoring.post(resolved(pool_alert("example.com")), resolved(pool_alert("example.net")))
    wait_until(lambda: received[-1]["status"] == "resolved", what="their end")


@pytest.mark.parametrize("cause", ["PostgreyExporterDown", "PostgreyExporterAbsent"])
def test_delayed_pools_wait_as_well_while_an_exporter_is_down(monitoring: Monitoring, cause: str) -> None:
    monitoring.post(server_alert(cause), pool_alert("example.com"))
    monitoring.mails(1)

    assert monitoring.states() == {cause: "active", "PostgreyPoolDelayed example.com": "suppressed"}


def test_nothing_is_said_about_domains_while_an_exporter_is_down(monitoring: Monitoring) -> None:
    monitoring.post(server_alert("PostgreyExporterDown"), domain_alert("example.com"))
    monitoring.mails(1)
    # When the message about a later alert is here, one about the domain would be too.
    monitoring.post(server_alert("PostgreyListUnreadable", instance="mx2:10123"))
    monitoring.mails(2)

    assert monitoring.states() == {
        "PostgreyExporterDown": "active",
        "PostgreyListUnreadable": "active",
        "PostgreyUnreviewedDomain example.com": "suppressed",
    }
    assert len(monitoring.mail.messages) == 2
    assert not monitoring.webhook.received
    monitoring.post(resolved(server_alert("PostgreyExporterDown")))
    assert wait_until(lambda: monitoring.webhook.received, what="the webhook, after the exporter is back")


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        ("PostgreySourceUnreadable", "PostgreyLogSilent"),
        ("PostgreySourceUnreadable", "PostgreyLogWithoutDecisions"),
        ("PostgreyLogBytesLost", "PostgreyLogGap"),
        ("PostgreyExporterDown", "PostgreyListUnreadable"),
    ],
)
def test_a_consequence_is_not_reported_beside_its_cause_on_the_same_server(
    monitoring: Monitoring, cause: str, consequence: str
) -> None:
    monitoring.post(
        server_alert(cause, source="/var/log/mail.log"),
        server_alert(consequence, source="/var/log/mail.log"),
        server_alert(consequence, source="/var/log/syslog", instance="mx2:10123"),
    )

    monitoring.mails(2)

    assert monitoring.states() == {
        f"{cause} /var/log/mail.log": "active",
        f"{consequence} /var/log/mail.log": "suppressed",
        f"{consequence} /var/log/syslog": "active",
    }


def test_a_readable_log_of_the_same_server_may_be_called_silent(monitoring: Monitoring) -> None:
    monitoring.post(
        server_alert("PostgreySourceUnreadable", source="/var/log/mail.log"),
        server_alert("PostgreyLogSilent", source="/var/log/syslog"),
    )

    monitoring.mails(2)

    assert set(monitoring.states().values()) == {"active"}
