"""Where postgrey's lines are, whether the exporter reads that place, and whether it may."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sources.detect.roots import NOW as LOG_NOW
from sources.detect.roots import Root, rfc3339, traditional
from sources.journal.journals import Journal, decisions
from support.parts import require

from doctor.fakes import NOW
from postgrey_exporter.doctor import Check, Examination, Process, Verdict
from postgrey_exporter.lists import ListFiles

if TYPE_CHECKING:
    from doctor.fakes import FakeMachine

assert NOW == LOG_NOW


@pytest.fixture
def root(fake: FakeMachine) -> Root:
    return Root(fake.root)


def examine(fake: FakeMachine, **settings: Any) -> list[Check]:
    given: dict[str, Any] = {
        "mail_logs": (),
        "journal": False,
        "journal_directory": None,
        "tag": "postgrey",
        "zone": UTC,
        "lists": ListFiles([], []),
        "state": fake.root / "state",
        "listen_addresses": (),
        "prometheus_url": "",
        "exporter": None,
    }
    return Examination(**given | settings).checks(fake.machine)


def check(name: str, checks: list[Check]) -> Check:
    (found,) = [one for one in checks if one.name == name]
    return found


def test_a_fresh_log_that_is_detected_is_well(fake: FakeMachine, root: Root) -> None:
    log = root.write("var/log/mail.log", traditional([500, 90]))
    found = check("log", examine(fake))
    assert found.verdict is Verdict.WELL
    assert found.text == f"{log}: last decision 2 min ago (detected: the only place with decisions of postgrey's)"


def test_an_old_last_decision_asks_for_postfix(fake: FakeMachine, root: Root) -> None:
    root.write("var/log/mail.log", traditional([400_000]))
    found = check("log", examine(fake))
    assert found.verdict is Verdict.MEND
    assert "last decision 4 d " in found.text
    assert "does Postfix still ask" in found.text
    assert "check_policy_service" in str(found.remedy)


def test_stamps_of_the_future_do_not_hide_that_postgrey_is_silent(fake: FakeMachine, root: Root) -> None:
    log = root.write("var/log/mail.log", traditional([400_000]) + rfc3339([-400_000]) + traditional([9], "cron[1]"))
    assert "last decision 4 d 15 h ago" in check("log", examine(fake)).text
    assert "last decision 4 d 15 h ago" in check("log", examine(fake, mail_logs=[log])).text


def test_nothing_found_says_what_was_tried(fake: FakeMachine) -> None:
    found = check("log", examine(fake))
    assert found.verdict is Verdict.MEND
    assert "not on this machine" in found.text
    assert "--mail-log" in str(found.remedy)


def test_a_named_log_without_decisions_points_to_where_they_are(fake: FakeMachine, root: Root) -> None:
    named = root.write("var/log/mail.log", traditional([9], "postfix/smtpd[1]"))
    right = root.write("var/log/syslog", rfc3339([9]))
    found = check("log", examine(fake, mail_logs=[named]))
    assert found.verdict is Verdict.MEND
    assert found.text == f"no decision of postgrey's in {named}; they are in {right}"
    assert found.remedy == f"start the exporter with --mail-log {right}"


def test_a_named_log_that_fell_behind_points_to_the_newer_place(fake: FakeMachine, root: Root) -> None:
    named = root.write("var/log/mail.log", traditional([400_000]))
    right = root.write("var/log/syslog", rfc3339([9]))
    found = check("log", examine(fake, mail_logs=[named]))
    assert found.verdict is Verdict.MEND
    assert found.remedy == f"start the exporter with --mail-log {right}"


def test_two_named_logs_with_the_same_lines_are_counted_twice(fake: FakeMachine, root: Root) -> None:
    logs = [root.write(f"var/log/{name}", traditional([50, 9])) for name in ("mail.log", "syslog")]
    found = check("log twice", examine(fake, mail_logs=logs))
    assert found.verdict is Verdict.MEND
    assert str(logs[0]) in found.text


@pytest.mark.parametrize(
    ("line", "verdict", "words"),
    [
        pytest.param("postgrey[1]: whitelisted: x.example.com[192.0.2.1]", Verdict.MEND, "--quiet", id="quiet"),
        pytest.param("postgrey-in: action=pass, reason=client AWL", Verdict.MEND, "--syslog-tag", id="tag"),
        pytest.param("sqlgrey: grey: new: 192.0.2.1", Verdict.UNKNOWN, "sqlgrey greylists here", id="sqlgrey"),
    ],
)
def test_what_the_lines_tell_is_a_check(
    fake: FakeMachine, root: Root, line: str, verdict: Verdict, words: str
) -> None:
    root.write("var/log/mail.log", f"Oct  9 08:00:00 mx1 {line}\n".encode())
    found = check("log lines", examine(fake))
    assert found.verdict is verdict
    assert words in f"{found.text} {found.remedy}"


def test_a_missing_named_log_is_to_mend(fake: FakeMachine, root: Root) -> None:
    root.write("var/log/syslog", rfc3339([9]))
    missing = fake.root / "var/log/mail.log"
    found = check("permission", examine(fake, mail_logs=[missing]))
    assert found.verdict is Verdict.MEND
    assert f"{missing}: no such file" in found.text


def exporter(uid: int, *groups: int) -> Process:
    return Process(99, ("postgrey-exporter", "serve"), None, None, uid, frozenset(groups), {}, frozenset({uid}), None)


def test_the_running_exporters_right_to_read_is_judged(fake: FakeMachine, root: Root) -> None:
    log = root.write("var/log/mail.log", traditional([9]))
    log.chmod(0o640)
    group = log.stat().st_gid
    allowed = check("permission", examine(fake, exporter=exporter(4711, group)))
    assert (allowed.verdict, allowed.text) == (Verdict.WELL, f"{log}: the exporter (pid 99) may read it")
    refused = check("permission", examine(fake, exporter=exporter(4711, group + 1)))
    assert refused.verdict is Verdict.MEND
    assert str(refused.remedy).startswith("usermod -aG ")
    log.chmod(0o600)
    assert check("permission", examine(fake, exporter=exporter(4711, group))).remedy == f"chmod g+r {log}"
    log.chmod(0o640)
    assert "members of the group" in check("permission", examine(fake)).text


def test_the_journal_is_named_with_its_group_and_age(fake: FakeMachine) -> None:
    require("journalctl", "systemd")
    journal = Journal(fake.root / "var/log/journal" / ("a" * 32))
    journal.append(decisions([0]))
    journal.live.chmod(0o640)
    checks = examine(fake)
    assert "journal: last decision 0 s ago" in check("log", checks).text
    assert check("permission", checks).verdict is Verdict.WELL
    named = examine(fake, journal=True, journal_directory=journal.directory)
    assert f"journal:{journal.directory}: last decision 0 s ago" in check("log", named).text


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        pytest.param("08:50:00 mx1 postgrey[1]: HUP received: reloading whitelists...", Verdict.WELL, id="after"),
        pytest.param("08:40:00 mx1 postgrey[1]: HUP received: reloading whitelists...", Verdict.MEND, id="before"),
        pytest.param("08:50:00 mx1 postfix[1]: HUP received: reloading whitelists...", Verdict.MEND, id="another's"),
        pytest.param(
            "08:40:00 mx1 postgrey[1]: started\n"
            "9999-12-31T23:59:59Z mx1 postgrey[1]: HUP received: reloading whitelists...",
            Verdict.MEND,
            id="never, by a stamp of the future",
        ),
    ],
)
def test_a_reload_is_looked_for_in_the_log(fake: FakeMachine, root: Root, line: str, verdict: Verdict) -> None:
    root.write("var/log/mail.log", traditional([1200]) + f"Oct  9 {line}\n".encode() + traditional([9]))
    whitelist = fake.write("/etc/postgrey/whitelist_clients", "example.com\n")
    os.utime(whitelist, (NOW - 400, NOW - 400))  # at 08:46:40
    fake.run(812, ["postgrey --inet=10023"], started=NOW - 9000)
    assert check("reload", examine(fake, lists=ListFiles([whitelist], []))).verdict is verdict


def test_every_remedy_is_one_line_and_nothing_is_changed(fake: FakeMachine, root: Root) -> None:
    root.write("var/log/mail.log", traditional([9], "postfix/smtpd[1]"))
    before = sorted((str(path), path.stat().st_mtime_ns) for path in fake.root.rglob("*"))
    checks = examine(fake, listen_addresses=[("127.0.0.1", 10123)], prometheus_url="http://127.0.0.1:9090")
    assert all("\n" not in f"{one.text}{one.remedy}" for one in checks)
    assert all(one.remedy for one in checks if one.verdict is Verdict.MEND)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in fake.root.rglob("*")) == before
    assert not Path(fake.root / "state").exists()
