"""The lists, the state, the port and Prometheus."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.fakes import NOW
from postgrey_exporter.doctor import Check, Process, Verdict, lists, scrape, state
from postgrey_exporter.doctor.access import group_name, may_read, readers
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window

if TYPE_CHECKING:
    from doctor.fakes import FakeMachine


# --- lists


def list_checks(
    fake: FakeMachine, content: str | None, *, started: float = NOW - 10, reload: float = 0, unit: str | None = None
) -> list[Check]:
    path = fake.root / "whitelist_clients"
    if content is not None:
        path.write_text(content)
        os.utime(path, (NOW - 100, NOW - 100))
    files = ListFiles([path], [fake.root / "ignore"], optional=[fake.root / "ignore"])
    files.refresh(NOW)
    postgrey = Process(812, ("postgrey",), started, unit, 114, frozenset(), {}, frozenset({114}), None)
    return lists.checks(fake.machine, files.statuses(), [postgrey], lambda moment: reload >= moment)


def test_good_lists_are_well(fake: FakeMachine) -> None:
    checks = list_checks(fake, "example.com\n")
    assert [(check.name, check.verdict) for check in checks] == [
        ("whitelist", Verdict.WELL),
        ("ignore", Verdict.WELL),
        ("reload", Verdict.WELL),
    ]
    assert "1 entries, changed 2 min ago" in checks[0].text


def test_lines_that_do_not_what_they_seem_to_are_shown(fake: FakeMachine) -> None:
    check = list_checks(fake, "example.com\n" + "*.example.net\n" * 8)[0]
    assert check.verdict is Verdict.MEND
    assert "line 2: " in check.text
    assert "and 10 more" in check.text
    assert check.remedy == f"editor +2 {fake.root}/whitelist_clients"


def test_a_missing_whitelist_is_to_mend(fake: FakeMachine) -> None:
    check = list_checks(fake, None)[0]
    assert check.verdict is Verdict.MEND
    assert "is not there" in check.text


@pytest.mark.parametrize(
    ("started", "reload", "unit", "verdict", "remedy"),
    [
        pytest.param(NOW - 50, 0, None, Verdict.WELL, None, id="started later"),
        pytest.param(NOW - 500, NOW - 50, None, Verdict.WELL, None, id="reloaded later"),
        pytest.param(NOW - 500, NOW - 200, None, Verdict.MEND, "kill -HUP 812", id="reloaded before"),
        pytest.param(
            NOW - 500, 0, "x.service", Verdict.MEND, "systemctl kill --signal=HUP x.service", id="never, in a unit"
        ),
    ],
)
def test_a_postgrey_that_goes_by_old_lists_is_found(
    fake: FakeMachine, started: float, reload: float, unit: str | None, verdict: Verdict, remedy: str | None
) -> None:
    check = list_checks(fake, "example.com\n", started=started, reload=reload, unit=unit)[-1]
    assert (check.name, check.verdict, check.remedy) == ("reload", verdict, remedy)


# --- state


def made_state(folder: Path) -> Path:
    path = folder / "state.sqlite3"
    Store(path, window=Window(), max_domains=10).close()
    return path


def test_a_state_is_looked_at_and_not_touched(fake: FakeMachine) -> None:
    folder = fake.root / "state"
    folder.mkdir()
    path = made_state(folder).rename(folder / "what a URI?means=rw#else%20.sqlite3")
    before = {entry.name: entry.stat().st_mtime_ns for entry in folder.iterdir()}
    check = state.check(fake.machine, path)
    assert check.verdict is Verdict.WELL
    assert "nobody uses it now" in check.text
    assert {entry.name: entry.stat().st_mtime_ns for entry in folder.iterdir()} == before


def test_a_state_in_use_says_so(fake: FakeMachine) -> None:
    path = made_state(fake.root)
    store = Store(path, window=Window(), max_domains=10)
    try:
        assert "in use by the exporter" in state.check(fake.machine, path).text
    finally:
        store.close()
    with Path(f"{path}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the doctor has let go of it


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff" * 8000)


def newer(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 9999")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(damaged, "", id="damaged"),
        pytest.param(newer, "newer version", id="newer"),
        pytest.param(lambda path: path.write_bytes(b"text " * 1000), "not a database", id="text"),
    ],
)
def test_a_spoilt_state_is_to_mend(fake: FakeMachine, spoil: object, words: str) -> None:
    path = made_state(fake.root)
    assert callable(spoil)
    spoil(path)
    check = state.check(fake.machine, path)
    assert check.verdict is Verdict.MEND
    assert words in check.text
    assert check.remedy == f"mv {path} {path}.aside"


def test_no_state_is_no_fault(fake: FakeMachine) -> None:
    assert state.check(fake.machine, fake.root / "x").verdict is Verdict.UNKNOWN


# --- access


def test_permission_bits_and_lists_tell_the_readers(tmp_path: Path) -> None:
    path = tmp_path / "system.journal"
    path.touch()
    path.chmod(0o644)
    assert readers(path) is None
    assert may_read(path, 1000, {5})
    path.chmod(0o640)
    os.chown(path, -1, os.getgid())
    about = path.stat()
    assert readers(path) == (frozenset({about.st_uid}), frozenset({about.st_gid}))
    assert may_read(path, 4711, {about.st_gid})
    assert not may_read(path, 4711, {about.st_gid + 1})
    assert may_read(path, 0, ())
    path.chmod(0o600)
    assert readers(path) == (frozenset({about.st_uid}), frozenset[int]())
    assert group_name(path) is None


def test_an_access_list_is_read_as_journald_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "system.journal"
    path.touch(0o640)
    entries = [
        (0x01, 6, 2**32 - 1),
        (0x04, 4, 2**32 - 1),
        (0x08, 4, 4),
        (0x08, 0, 5),
        (0x02, 4, 1000),
        (0x10, 4, 2**32 - 1),
    ]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    monkeypatch.setattr(os, "getxattr", lambda *_: acl)
    assert may_read(path, 1000, ())
    assert may_read(path, 4711, {4})
    assert not may_read(path, 4711, {5})
    assert group_name(path) is not None


# --- port and Prometheus

EXPORTER = "http://127.0.0.1:10123"
PROMETHEUS = "http://127.0.0.1:9090"
HEALTHY = (200, "postgrey-exporter is healthy.\n")


@pytest.mark.parametrize(
    ("healthy", "ready", "verdict", "words"),
    [
        pytest.param(HEALTHY, (200, "ready"), Verdict.WELL, "answers on", id="well"),
        pytest.param(HEALTHY, (503, "still being read"), Verdict.UNKNOWN, "still being read", id="reading"),
        pytest.param((401, ""), (401, ""), Verdict.WELL, "password", id="password"),
        pytest.param((404, "<html>"), (404, ""), Verdict.MEND, "another program", id="another program"),
        pytest.param(ConnectionRefusedError("x"), (0, ""), Verdict.MEND, "nothing listens", id="nothing"),
        pytest.param(OSError("bad status line"), (0, ""), Verdict.UNKNOWN, "TLS", id="TLS"),
    ],
)
def test_the_port(
    fake: FakeMachine, healthy: tuple[int, str] | OSError, ready: tuple[int, str], verdict: Verdict, words: str
) -> None:
    fake.answers |= {f"{EXPORTER}/-/healthy": healthy, f"{EXPORTER}/-/ready": ready}
    check = scrape.port(fake.machine, "", 10123)
    assert check.verdict is verdict
    assert words in check.text


def test_an_ipv6_address_is_asked_in_brackets(fake: FakeMachine) -> None:
    fake.answers |= {"http://[::1]:1/-/healthy": HEALTHY, "http://[::1]:1/-/ready": (200, "")}
    assert scrape.port(fake.machine, "::1", 1).verdict is Verdict.WELL


def target(url: str, health: str, error: str = "") -> dict[str, object]:
    return {"scrapeUrl": url, "health": health, "lastError": error, "labels": {"job": "postgrey"}}


@pytest.mark.parametrize(
    ("targets", "verdict", "words"),
    [
        pytest.param([target(f"{EXPORTER}/metrics", "up")], Verdict.WELL, "as job 'postgrey'", id="scraped"),
        pytest.param(
            [target("http://mx1.example.com:10123/metrics", "up")], Verdict.WELL, "scrapes", id="by its name"
        ),
        pytest.param([target(f"{EXPORTER}/metrics", "down", "timeout")], Verdict.MEND, "timeout", id="down"),
        pytest.param([target(f"{EXPORTER}/metrics", "unknown")], Verdict.MEND, "not scraped yet", id="new"),
        pytest.param([target("http://127.0.0.1:9100/metrics", "up")], Verdict.MEND, "no target", id="others only"),
        pytest.param([], Verdict.MEND, "no target", id="none"),
    ],
)
def test_what_prometheus_says(
    fake: FakeMachine, targets: list[dict[str, object]], verdict: Verdict, words: str
) -> None:
    fake.answers[f"{PROMETHEUS}/api/v1/targets?state=active"] = (
        200,
        json.dumps({"data": {"activeTargets": targets}}),
    )
    check = scrape.prometheus(fake.machine, f"{PROMETHEUS}/", 10123)
    assert check.verdict is verdict
    assert words in check.text


@pytest.mark.parametrize("answer", [(200, "<html>"), (200, "{}"), (404, '{"data": null}'), OSError("timed out")])
def test_where_there_is_no_prometheus_nothing_is_known(fake: FakeMachine, answer: tuple[int, str] | OSError) -> None:
    fake.answers[f"{PROMETHEUS}/api/v1/targets?state=active"] = answer
    assert scrape.prometheus(fake.machine, PROMETHEUS, 10123).verdict is Verdict.UNKNOWN
