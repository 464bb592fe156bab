from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support import article
from support.tallies import tally_of_log

from postgrey_exporter.lists import Lists
from postgrey_exporter.state.store import LOOK_SECONDS, Store
from postgrey_exporter.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Check = Callable[..., tuple[int, str]]

LINE = (
    "2026-11-20T10:00:00+00:00 mail postgrey[5]: action=greylist, reason=new, client_name=mx{n}.example.com, "
    "client_address=192.0.2.{n}, sender=a@example.com, recipient=b@example.org\n"
)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    (tmp_path / "whitelist").touch()
    (tmp_path / "ignore").write_text(article.IGNORE_FILE)
    lists = {
        "POSTGREY_EXPORTER_WHITELIST_FILE": str(tmp_path / "whitelist"),
        "POSTGREY_EXPORTER_IGNORE_FILE": str(tmp_path / "ignore"),
        "XDG_STATE_HOME": str(tmp_path / "xdg"),
    }

    def run(*arguments: object, stdin: str = "") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "postgrey_exporter", "check", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, **lists},
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


def mail_log(tmp_path: Path, attempts: int) -> Path:
    log = tmp_path / "mail.log.1"
    log.write_text("".join(LINE.format(n=number + 1) for number in range(attempts)))
    return log


def test_the_articles_log_and_ignore_file_name_exactly_the_rest(check: Check, tmp_path: Path) -> None:
    log = tmp_path / "mail.log.1"
    log.write_text(article.log())
    status, output = check(log)
    first, *evidence = output.splitlines()
    said, _, perfdata = first.partition(" | ")
    assert status == 1
    assert said == (
        "POSTGREY WARNING - Whitelist or ignore these senders: "
        "amazonses.com facebook.com mcdlv.net mcsv.net outlook.com rsgsv.net"
    )
    assert perfdata.split()[:2] == ["'outlook.com'=579;14;;0", "'amazonses.com'=531;14;;0"]
    assert "asianet.co.th" not in output
    assert evidence[0].startswith("WARNING outlook.com: 579 attempts (579 new, 0 early retries)")


def test_a_whitelisted_domain_is_not_named(check: Check, tmp_path: Path) -> None:
    log = tmp_path / "mail.log.1"
    log.write_text(article.log())
    (tmp_path / "whitelist").write_text("/.*\\.protection\\.outlook\\.com$/\n")
    status, output = check(log)
    assert status == 1
    assert "outlook.com" not in output


@pytest.mark.parametrize(("attempts", "status"), [(14, 0), (15, 1)])
def test_fifteen_attempts_warn_and_fourteen_do_not(check: Check, tmp_path: Path, attempts: int, status: int) -> None:
    (tmp_path / "ignore").write_text("")
    found, output = check(mail_log(tmp_path, attempts))
    assert found == status
    words = "Whitelist or ignore these senders: example.com" if status else "Okay, the top domains are whitelisted or"
    assert words in output


def test_early_retries_count_as_in_the_articles_plugin(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("")
    log = mail_log(tmp_path, 15)
    log.write_text(log.read_text().replace("reason=new", "reason=early-retry (30s missing)"))
    assert check(log)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(("-w", "30", "-c", "40"), 0, id="below both"),
        pytest.param(("-w", "20", "-c", "40"), 1, id="warning"),
        pytest.param(("--warning", "10", "--critical", "20"), 2, id="critical"),
        pytest.param(("--threshold", "20"), 1, id="threshold is warning"),
        pytest.param(("-w", "0:19"), 1, id="Nagios range outside"),
        pytest.param(("-w", "@5:30"), 1, id="Nagios range inside"),
        pytest.param(("-w", "~:20"), 0, id="Nagios range holds"),
    ],
)
def test_thresholds_are_counts_or_nagios_ranges(
    check: Check, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    (tmp_path / "ignore").write_text("")
    assert check(*arguments, mail_log(tmp_path, 20))[0] == status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("/nowhere/mail.log",), "no such file", id="no log"),
        pytest.param(("-w", "1x"), "is no threshold", id="typo in a range"),
        pytest.param(("-w", "20:10"), "no Nagios range", id="range upside down"),
        pytest.param(("--frobnicate",), "No such option", id="unknown option"),
        pytest.param(("--timeout", "soon"), "--timeout", id="typo in a number"),
        pytest.param(("--max-age", "long"), "is no duration", id="typo in a duration"),
        pytest.param(("--since", "2026-02-01", "--until", "2026-01-01"), "is not before", id="since after until"),
        pytest.param(("--state", "/nowhere/state.sqlite3"), "there is no state", id="no state"),
        pytest.param(("--whitelist-file", "/nowhere/list", "LOG"), "/nowhere/list", id="no whitelist"),
        pytest.param(("--ignore-file", "/nowhere/list", "LOG"), "/nowhere/list", id="no ignore file"),
    ],
)
def test_whatever_hinders_it_is_unknown_with_the_reason(
    check: Check, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    log = mail_log(tmp_path, 20)
    status, output = check(*(log if argument == "LOG" else argument for argument in arguments))
    assert status == 3
    assert output.startswith("POSTGREY UNKNOWN - ")
    assert words in output


def stamped(text: str, seconds_ago: float = 60) -> str:
    return f"{datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()} mail {text}\n"


DECIDED = "action=greylist, reason=new, client_name=mx.example.com, client_address=192.0.2.1, recipient=b@example.org"


@pytest.mark.parametrize(
    ("log", "rotated", "status", "words"),
    [
        pytest.param(stamped(f"postgrey[1]: {DECIDED}"), "", 0, "Okay", id="a decision"),
        pytest.param(stamped(f"postgrey[1]: {DECIDED}") * 15, "", 1, "senders: example.com", id="fifteen"),
        pytest.param(stamped("postfix/smtpd[1]: connect"), "", 3, "no line of postgrey's", id="other programs"),
        pytest.param("", "", 3, "no line of postgrey's", id="nothing"),
        pytest.param(stamped("postgrey[1]: cleaning up old logs..."), "", 3, "does Postfix still ask", id="no mail"),
        pytest.param(stamped("postgrey[1]: whitelisted: a.example[192.0.2.1]"), "", 3, "--quiet", id="--quiet"),
        pytest.param(
            stamped("postgrey: delayed 300 seconds: client=a.example, from=a@example.com, to=b@example.org"),
            "",
            3,
            "before 1.28",
            id="an old postgrey",
        ),
        pytest.param(
            f"[20/Nov/2026:10:00] mail postgrey[1]: {DECIDED}\n", "", 3, "a header of no known form", id="a near miss"
        ),
        pytest.param(stamped(f"greylister[1]: {DECIDED}"), "", 3, "--syslog-tag greylister", id="another tag"),
        pytest.param(stamped(f"sqlgrey[1]: {DECIDED}"), "", 3, "another program", id="another greylister"),
        pytest.param(
            stamped(f"postfix/cleanup[1]: Subject: postgrey[1]: {DECIDED}"),
            "",
            3,
            "no line of postgrey's",
            id="forged",
        ),
        pytest.param(
            stamped("postgrey[1]: Server closing!"),
            stamped(f"postgrey[1]: {DECIDED}", 86_400),
            0,
            "Okay",
            id="rotated a minute ago",
        ),
        pytest.param(
            stamped("postgrey[1]: Server closing!"),
            stamped(f"postgrey[1]: {DECIDED}", 9 * 86_400),
            3,
            "no decision",
            id="nothing for more than a window",
        ),
    ],
)
def test_okay_rests_on_decisions_that_were_seen(
    check: Check, tmp_path: Path, log: str, rotated: str, status: int, words: str
) -> None:
    (tmp_path / "ignore").write_text("")
    (tmp_path / "mail.log").write_text(log)
    if rotated:
        (tmp_path / "mail.log.1").write_text(rotated)
    found, output = check(tmp_path / "mail.log")
    assert (found, words in output) == (status, True), output


@pytest.mark.parametrize(
    ("seconds_ago", "status"),
    [pytest.param(6 * 86_400, 0, id="quiet days"), pytest.param(9 * 86_400, 3, id="silence")],
)
def test_okay_of_a_state_rests_on_decisions_inside_the_window(
    check: Check, tmp_path: Path, seconds_ago: float, status: int
) -> None:
    now = time.time()
    store = Store(tmp_path / "state", window=Window(168), max_domains=1000)
    lines = stamped(f"postgrey[1]: {DECIDED}", seconds_ago).encode()
    store.merge("/var/log/mail.log", tally_of_log(lines, now), {}, Lists(), now)
    store.note_look(now)
    store.close()
    found, output = check("--state", tmp_path / "state")
    assert found == status, output


def test_a_log_that_is_too_old_is_unknown(check: Check, tmp_path: Path) -> None:
    log = mail_log(tmp_path, 20)
    old = time.time() - 9 * 86400
    os.utime(log, (old, old))
    status, output = check(log)
    assert status == 3
    assert "9 d 0 h ago" in output
    assert check("--max-age", "10d", log)[0] == 0


def test_a_log_that_cannot_be_read_among_others_is_never_ok(check: Check, tmp_path: Path) -> None:
    log = mail_log(tmp_path, 5)
    status, output = check(log, tmp_path / "missing")
    assert status == 3
    assert "missing: no such file" in output


def test_a_warning_that_is_certain_is_given_though_a_log_is_missing(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("")
    status, output = check(mail_log(tmp_path, 20), tmp_path / "missing")
    assert status == 1
    assert "incomplete" in output.splitlines()[0]
    assert "missing: no such file" in output


def test_it_gives_up_in_time(check: Check, tmp_path: Path) -> None:
    log = tmp_path / "endless"
    with log.open("wb") as file:
        file.truncate(1 << 40)  # a hole of a terabyte takes for ever to read
        file.seek(0)
        file.write(b"x" * 100 + b"\n")
    started = time.monotonic()
    status, output = check("--timeout", "1", log)
    assert (status, "not done within 1 s" in output) == (3, True)
    assert time.monotonic() - started < 20


def state_of(path: Path, attempts: int, looked_at: float) -> None:
    stamp = datetime.fromtimestamp(looked_at, UTC).isoformat()
    lines = "".join(LINE.format(n=number + 1) for number in range(attempts)).replace(
        "2026-11-20T10:00:00+00:00", stamp
    )
    store = Store(path, window=Window(), max_domains=100)
    store.merge("log", tally_of_log(lines, looked_at), {}, Lists(), looked_at)
    store.note_look(looked_at)
    store.close()


def test_without_a_log_the_state_is_checked(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("")
    state_of(tmp_path / "state.sqlite3", 15, time.time())
    status, output = check("--state", tmp_path / "state.sqlite3")
    assert status == 1
    assert "Whitelist or ignore these senders: example.com" in output


def test_a_state_that_stopped_being_updated_is_unknown(check: Check, tmp_path: Path) -> None:
    state_of(tmp_path / "state.sqlite3", 15, time.time() - 2 * 3600)
    status, output = check("--state", tmp_path / "state.sqlite3")
    assert status == 3
    assert "last looked at its sources 2 h 0 min ago" in output
    assert LOOK_SECONDS < 3600, "an exporter that runs must not look dead to the default --max-age"


def test_what_was_written_in_the_future_is_unknown(check: Check, tmp_path: Path) -> None:
    ahead = time.time() + 9 * 86400
    state_of(tmp_path / "state.sqlite3", 5, ahead)
    log = mail_log(tmp_path, 5)
    os.utime(log, (ahead, ahead))
    for arguments in (("--state", tmp_path / "state.sqlite3"), (log,)):
        status, output = check("--max-age", "30d", *arguments)
        assert status == 3, output
        assert "ahead of this machine's clock" in output


def test_standard_input_is_a_log_too(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("")
    assert check("-", stdin=mail_log(tmp_path, 15).read_text())[0] == 1


def test_the_environment_sets_the_threshold(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ignore").write_text("")
    monkeypatch.setenv("POSTGREY_EXPORTER_THRESHOLD", "21")
    assert check(mail_log(tmp_path, 20))[0] == 0
