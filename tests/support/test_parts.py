"""The helpers that start real daemons do what their names say; each test needs the part's Debian package."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from support import parts
from support.parts.prometheus import scrape_config

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = ("mail.example.com", "192.0.2.1", "a@example.com", "b@example.org")
AT = 1_700_000_000


def test_postgrey_answers_and_logs_a_simulated_retry() -> None:
    with parts.Postgrey() as postgrey:
        answers = [postgrey.ask(*CLIENT, at=AT + seconds).split()[0] for seconds in (0, 10, 400)]
        lines = postgrey.log_lines()
    fields = "client_name=mail.example.com, client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org"
    assert answers == ["DEFER_IF_PERMIT", "DEFER_IF_PERMIT", "PREPEND"]
    assert [line for line in lines if line.startswith("action=")] == [
        f"action=greylist, reason=new, {fields}",
        f"action=greylist, reason=early-retry (290s missing), {fields}",
        f"action=pass, reason=triplet found, delay=400, {fields}",
    ]


def test_postgrey_obeys_a_whitelist_after_its_reload(tmp_path: Path) -> None:
    whitelist = tmp_path / "whitelist_clients"
    whitelist.touch()
    with parts.Postgrey(whitelist_files=[whitelist]) as postgrey:
        whitelist.write_text("example.com\n")
        before = postgrey.ask(*CLIENT, at=AT)
        postgrey.reload()
        after = postgrey.ask(*CLIENT, at=AT)
    assert before.startswith("DEFER_IF_PERMIT")
    assert after == "DUNNO"


def test_postgrey_keeps_a_given_database_over_restarts(tmp_path: Path) -> None:
    answers = []
    for seconds in (0, 400):
        with parts.Postgrey(tmp_path / "db") as postgrey:
            answers.append(postgrey.ask(*CLIENT, at=AT + seconds).split()[0])
    assert answers == ["DEFER_IF_PERMIT", "PREPEND"]


def test_postgrey_that_cannot_start_fails_with_its_own_words() -> None:
    with pytest.raises(parts.PartError, match="--retry-window must be"), parts.Postgrey(options=["--retry-window=x"]):
        pass


@pytest.mark.parametrize(
    ("template", "start"),
    [
        pytest.param("traditional", "Nov 14 22:13:20 mx1 postgrey[7]: ", id="traditional"),
        pytest.param("rfc3339", "2023-11-14T22:13:20+00:00 mx1 postgrey[7]: ", id="rfc3339"),
    ],
)
def test_rsyslog_writes_its_template_and_follows_a_rename(
    tmp_path: Path, template: parts.Template, start: str
) -> None:
    log = tmp_path / "mail.log"
    with parts.Rsyslog(template, log, own_clock=False) as rsyslog:
        rsyslog.log("postgrey", 7, "first", at=AT)
        rsyslog.written("first")
        log.rename(tmp_path / "mail.log.1")
        rsyslog.reopen()
        rsyslog.log("postgrey", 7, "second", at=AT)
        rsyslog.written("second")
    assert f"{start}first\n" in (tmp_path / "mail.log.1").read_text()
    assert f"{start}second\n" in log.read_text()
    assert "first" not in log.read_text()


RULE = """\
groups:
- name: test
  rules:
  - {alert: Always, expr: up == 1, labels: {severity: warning}}
"""
ALERTMANAGER = """\
global: {{smtp_smarthost: "{smtp}", smtp_from: alertmanager@example.org, smtp_require_tls: false}}
route: {{receiver: both, group_wait: 0s}}
receivers:
- name: both
  webhook_configs: [{{url: "{webhook}"}}]
  email_configs: [{{to: postmaster@example.org}}]
"""


def test_an_alert_goes_from_prometheus_over_alertmanager_to_both_receivers() -> None:
    with parts.WebhookReceiver() as webhook, parts.SmtpSink() as mail:
        config = ALERTMANAGER.format(smtp=mail.address, webhook=webhook.url)
        with parts.Alertmanager(config) as manager, parts.Prometheus("global: {}\n") as prometheus:
            assert prometheus.alerts() == []
            scrape = scrape_config(prometheus.url.removeprefix("http://"))
            alerting = f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{manager.address}"]}}]}}]}}\n'
            prometheus.reload(f"{scrape}rule_files: [rules.yml]\n{alerting}", {"rules.yml": RULE})
            prometheus.scraped()
            assert prometheus.value('up{job="postgrey"}') == 1
            (alert,) = parts.wait_until(prometheus.alerts)
            parts.wait_until(lambda: webhook.received and mail.messages, what="both notifications")
            held = manager.alerts()
    assert (alert.name, alert.state, alert.labels["severity"]) == ("Always", "firing", "warning")
    assert [one["labels"]["alertname"] for one in held] == ["Always"]
    assert webhook.received[0]["alerts"][0]["labels"]["alertname"] == "Always"
    assert "Always" in mail.messages[0]["Subject"]


def test_a_refused_prometheus_configuration_fails_with_its_own_words() -> None:
    with parts.Prometheus("global: {}\n") as prometheus, pytest.raises(AssertionError, match="nonsense"):
        prometheus.reload("nonsense: 1\n")


def test_the_mail_sink_undoes_dot_stuffing() -> None:
    with parts.SmtpSink() as sink:
        host, port = sink.address.split(":")
        with smtplib.SMTP(host, int(port)) as client:
            client.sendmail("a@example.com", ["b@example.org"], "Subject: x\r\n\r\n.dot\r\n")
    assert sink.messages[0].get_content() == ".dot\r\n"


def test_a_missing_part_is_named_with_its_package_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGREY_EXPORTER_TEST_REQUIRE_PARTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-part: apt-get install .* some-package"):
        parts.require("no-such-part", "some-package")


def test_a_missing_part_fails_where_every_part_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGREY_EXPORTER_TEST_REQUIRE_PARTS", "1")
    with pytest.raises(pytest.fail.Exception, match=r"apt-get install .* no-such-part"):
        parts.require("no-such-part")


def test_waiting_in_vain_ends_with_the_name_of_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"0 s in vain for the moon; last value: \[\]"):
        parts.wait_until(list, limit=0, what="the moon")
