"""The main job, all of it real: postgrey answers, rsyslog writes, `serve` counts, Prometheus shows the same numbers.

The counts are held against the answers that the policy client got, which know nothing of logs.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from support.parts import Postgrey, Prometheus, Rsyslog
from support.running import Files, Serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.parts import Template

HOUR: Final = 3600
TEMPLATES: Final[tuple[Template, ...]] = ("traditional", "rfc3339")
FORGED: Final = (
    "4Wx7Ls1bJL: warning: header Subject: postgrey[1]: action=greylist, reason=new, "
    "client_name=mail.forged.example.org, client_address=192.0.2.66, sender=a@example.com, recipient=b@example.org"
)
SCRAPE: Final = """\
global: {{scrape_interval: 200ms}}
scrape_configs:
- job_name: postgrey
  static_configs:
  - {{targets: ["{traditional}"], labels: {{template: traditional}}}}
  - {{targets: ["{rfc3339}"], labels: {{template: rfc3339}}}}
"""


@dataclass(slots=True)
class Answers:
    """What the policy client got to hear."""

    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By action and reason, as far as an answer tells: the reason of a pass without a delay is not in it."""
    greylisted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By domain and reason."""
    last: float = 0.0

    def note(self, answer: str, domain: str, at: float) -> None:
        word, _, text = answer.partition(" ")
        self.last = max(self.last, at)
        if word == "DEFER_IF_PERMIT":
            reason = "new" if text == "wait 300" else "early-retry"
            self.decisions["greylist", reason] += 1
            self.greylisted[domain, reason] += 1
        elif word == "PREPEND":
            self.decisions["pass", "delayed"] += 1
        else:
            assert word == "DUNNO", answer
            self.decisions["pass", "at once"] += 1


def requests(base: float) -> Iterator[tuple[str, str, str, str, str, float]]:
    """Yield domain, client, sender, recipient and time of what a mail server asks in some hours."""
    to = "postmaster@example.org"
    for number in range(40):  # a pool that comes from another network each time
        yield (
            "example.com",
            f"o{number}.mail.example.com",
            f"198.18.{number}.7",
            "news@example.com",
            to,
            base + number,
        )
    for seconds in (0, 0, 60, 400, 500):  # a server that comes back too early, then in time, then again
        yield "example.net", "mail.example.net", "203.0.113.1", "a@example.net", to, base + seconds
    for hour in range(6):  # a server that is taken into the auto-whitelist by and by
        for seconds in (0, 310):
            at = base + hour * HOUR + seconds
            yield "outlook.com", "mx.outlook.com", "203.0.113.9", f"{hour}x@outlook.com", to, at
    for number in range(7):  # bots without a name
        yield "unknown", "unknown", f"198.51.100.{number}", f"b{number}@example.com", to, base + number
    for number in range(5):  # whitelisted by its name, and by the recipient
        yield "google.com", "mail.google.com", "203.0.113.30", f"c{number}@gmail.com", to, base + number
        yield "example.org", "mx.example.org", "203.0.113.40", f"d{number}@example.org", "all@example.org", base
    odd = (
        "",
        '"x, client_name=mail.forged.example.org"@example.com',
        "caf\u00e9=%1@example.com",
        '"a b"@example.com',
    )
    for sender in odd:
        yield "example.org", "mx.example.org", "203.0.113.41", sender, to, base + 10
    yield "example.org", "MX.Example.ORG", "2001:db8::1", "v6@example.org", to, base + 11
    yield "unknown", "unknown", "2001:db8:0:1::1", "v6@example.org", to, base + 12


@dataclass(frozen=True, slots=True)
class Result:
    """What Prometheus shows in the end, and what it should."""

    prometheus: Prometheus
    answers: Answers

    def counts(self, metric: str, template: str, *labels: str) -> dict[tuple[str, ...], float]:
        samples = self.prometheus.query(f'{metric}{{template="{template}"}}')
        return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    folder = tmp_path_factory.mktemp("end")
    base = time.time() // HOUR * HOUR - 10 * HOUR
    answers = Answers()
    with ExitStack() as stack:
        logs = {template: Log(folder, template) for template in TEMPLATES}
        postgrey = stack.enter_context(whitelisting_postgrey(folder))
        for log in logs.values():
            stack.enter_context(log.rsyslog)
            log.rsyslog.log("postfix/smtpd", 9, "connect from mail.example.com[198.18.0.7]", base)
            log.rsyslog.written("connect from")
            stack.enter_context(log.serve)
        targets = {template: log.serve.address for template, log in logs.items()}
        prometheus = stack.enter_context(Prometheus(SCRAPE.format(**targets)))
        said = 0
        for number, (domain, name, address, sender, recipient, at) in enumerate(requests(base)):
            answers.note(postgrey.ask(name, address, sender, recipient, at), domain, at)
            lines = postgrey.log_lines()
            for log in logs.values():
                for line in lines[said:]:
                    log.rsyslog.log("postgrey", 12, line, at)
                log.rsyslog.log("postfix/cleanup", 9, FORGED, at)
                if number == 50:
                    log.rotate()
            said = len(lines)
        for log in logs.values():
            log.rsyslog.log("postfix/smtpd", 9, "that was all", answers.last)
            log.rsyslog.written("that was all")
        prometheus.scraped()
        yield Result(prometheus, answers)


class Log:
    """A log that rsyslog writes with one template, and the exporter that reads it."""

    def __init__(self, folder: Path, template: Template) -> None:
        (folder / template).mkdir()
        files = Files(folder / template)
        files.ignore.write_text("outlook.com\n")
        self._log = files.log
        self.rsyslog = Rsyslog(template, files.log, own_clock=False)
        self.serve = Serve(files, "--timezone", "UTC")  # in which the lines are handed over

    def rotate(self) -> None:
        self._log.rename(self._log.with_name("mail.log.1"))
        self.rsyslog.reopen()


def whitelisting_postgrey(folder: Path) -> Postgrey:
    clients, recipients = folder / "whitelist_clients", folder / "whitelist_recipients"
    clients.write_text("google.com\n")
    recipients.write_text("all@example.org\n")
    return Postgrey(
        whitelist_files=[clients],
        options=[f"--whitelist-recipients={recipients}", "--greylist-text=wait %s", "--auto-whitelist-clients=2"],
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_prometheus_counts_the_answers_by_action_and_reason(result: Result, template: str) -> None:
    shown = result.counts("postgrey_decisions_total", template, "action", "reason")
    answers = result.answers.decisions

    assert answers["greylist", "new"] > 50
    assert answers["greylist", "early-retry"] == 1
    assert shown["greylist", "new"] == answers["greylist", "new"]
    assert shown["greylist", "early-retry"] == answers["greylist", "early-retry"]
    assert shown["pass", "client whitelist"] == 5
    assert shown["pass", "recipient whitelist"] == 5
    assert shown["pass", "client AWL"] > 0
    assert shown["pass", "other"] == 0
    passed = sum(count for (action, _), count in shown.items() if action == "pass")
    assert passed == answers["pass", "delayed"] + answers["pass", "at once"]
    at_once = shown["pass", "triplet found"] - answers["pass", "delayed"]
    assert at_once + shown["pass", "client AWL"] == answers["pass", "at once"] - 10


@pytest.mark.parametrize("template", TEMPLATES)
def test_prometheus_counts_the_greylistings_by_domain(result: Result, template: str) -> None:
    shown = result.counts("postgrey_greylisted_total", template, "domain", "reason")

    assert {labels: count for labels, count in shown.items() if count} == dict(result.answers.greylisted)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_unreviewed_domains_are_those_on_no_list(result: Result, template: str) -> None:
    shown = result.counts("postgrey_unreviewed_domain", template, "domain")

    expected: Counter[tuple[str]] = Counter()
    for (domain, _), count in result.answers.greylisted.items():
        if domain not in {"unknown", "outlook.com"}:
            expected[domain,] += count
    assert shown == dict(expected)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_times_of_the_log_are_understood_and_no_line_is_lost(result: Result, template: str) -> None:
    value = "postgrey_exporter_source_{}"

    def one(name: str) -> float:
        (found,) = result.counts(value.format(name), template, "template").values()
        return found

    lines = result.counts(value.format("lines_total"), template, "outcome")
    assert one("last_event_timestamp_seconds") == result.answers.last
    assert (one("up"), one("unread_bytes"), one("lost_bytes_total"), one("rotations_total")) == (1, 0, 0, 1)
    assert lines["decision",] == sum(result.answers.decisions.values())
    assert lines["malformed",] == 0
    assert lines["no_decision",] > 0
    assert lines["foreign",] > sum(result.answers.decisions.values())
