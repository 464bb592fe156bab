"""The doctor on this machine, with a real postgrey, a real `serve` and a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sources.journal.serving import Serve
from support.parts import Postgrey, Prometheus, wait_until
from support.parts.prometheus import scrape_config

from postgrey_exporter.cli import root as program
from postgrey_exporter.doctor import Machine

CLIENT = ("mail.example.com", "192.0.2.1", "a@example.com", "b@example.org")


class Doctor:
    """The command, blind to all processes but some: other tests run postgrey too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pids: set[int] = set()
        every = Machine.processes
        monkeypatch.setattr(Machine, "processes", lambda machine: (p for p in every(machine) if p.pid in self.pids))

    def __call__(self, *options: str | Path) -> tuple[int, dict[str, list[dict[str, Any]]], bool]:
        """Return the exit status, the checks by their names, and what the report says of all."""
        arguments = ["doctor", "--format=json", *map(str, options)]
        done = CliRunner().invoke(program, arguments, catch_exceptions=False, standalone_mode=False)
        report = json.loads(done.stdout)
        by_name: dict[str, list[dict[str, Any]]] = {}
        for check in report["checks"]:
            assert set(check) == {"check", "verdict", "text", "remedy"}
            by_name.setdefault(check["check"], []).append(check)
        return done.return_value, by_name, report["ok"]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(monkeypatch)


def test_all_is_well_where_postgrey_serve_and_prometheus_run(tmp_path: Path, doctor: Doctor) -> None:
    whitelist = tmp_path / "whitelist_clients"
    whitelist.write_text("example.net\n")
    with Postgrey(whitelist_files=[whitelist]) as postgrey:
        postgrey.ask(*CLIENT)
        log = postgrey.output
        with (
            Serve([f"--mail-log={log}"], whitelist=whitelist) as serve,
            Prometheus(scrape_config(f"127.0.0.1:{serve.port}")) as prometheus,
        ):
            serve.caught_up()
            prometheus.scraped()
            doctor.pids = {postgrey.pid, serve.pid}
            status, checks, ok = doctor(f"--prometheus-url={prometheus.url}")
            pids = [str(postgrey.pid), str(serve.pid)]
    shown = json.dumps(checks, indent=1)
    assert [name for name, made in checks.items() if any(one["verdict"] == "mend" for one in made)] == [], shown
    assert (status, ok) == (0, True)
    assert f"pid {pids[0]}" in checks["process"][0]["text"]
    assert f"{log}: last decision" in checks["log"][0]["text"]
    assert f"(pid {pids[1]}) may read it" in checks["permission"][-1]["text"]
    assert str(whitelist) in checks["whitelist"][0]["text"]
    assert checks["reload"][0]["verdict"] == "well"
    assert "in use by the exporter" in checks["state"][0]["text"]
    assert checks["port"][0]["text"].endswith(str(serve.port))
    assert checks["scrape"][0]["verdict"] == "well"


def test_a_quiet_postgrey_is_found_by_its_options_and_by_its_lines(tmp_path: Path, doctor: Doctor) -> None:
    whitelist = tmp_path / "whitelist_clients"
    whitelist.touch()
    with Postgrey(options=["--quiet", "--auto-whitelist-clients=1", "--delay=1"]) as postgrey:
        for at in (1_700_000_000, 1_700_000_400, 1_700_000_800):
            postgrey.ask(*CLIENT, at=at)
        doctor.pids = {postgrey.pid}
        status, checks, ok = doctor(
            f"--mail-log={postgrey.output}", f"--whitelist-file={whitelist}", f"--state={tmp_path / 'none'}"
        )
        lines = postgrey.log_lines()
    assert any("whitelisted: " in line for line in lines), lines
    assert (status, ok) == (1, False)
    assert "remove --quiet" in checks["--quiet"][0]["remedy"]
    assert "runs with --quiet" in checks["log lines"][0]["text"]
    assert checks["log"][0]["verdict"] == "mend"
    assert checks["--whitelist-clients"][0]["verdict"] == "mend"
    assert not (tmp_path / "none").exists()


def test_a_reload_after_a_change_is_seen(tmp_path: Path, doctor: Doctor) -> None:
    whitelist = tmp_path / "whitelist_clients"
    whitelist.touch()
    with Postgrey(whitelist_files=[whitelist]) as postgrey:
        doctor.pids = {postgrey.pid}
        options = [f"--mail-log={postgrey.output}", f"--whitelist-file={whitelist}"]
        (process,) = Machine(Path("/"), 0, lambda _: (0, "")).processes()
        started = process.started or 0
        wait_until(lambda: time.time() > started + 2, what="the clock to show that the change came later")
        whitelist.write_text("example.com\n")
        before = doctor(*options)[1]
        postgrey.reload()
        after = doctor(*options)[1]
        assert before["reload"][0]["remedy"] == f"kill -HUP {postgrey.pid}"
    assert after["reload"][0]["verdict"] == "well"


@pytest.mark.parametrize(
    ("encoding", "symbols"), [pytest.param("utf-8", "✔✘→", id="utf-8"), pytest.param("ascii", "ok!!->", id="ascii")]
)
def test_the_checklist_is_for_people(tmp_path: Path, encoding: str, symbols: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postgrey_exporter", "doctor", f"--mail-log={tmp_path / 'none'}"],
        check=False,
        capture_output=True,
        env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin:/bin"},
    )
    text = done.stdout.decode(encoding)
    assert done.returncode == 1
    assert done.stderr == b""
    assert (symbols[0] in text, "none: no such file" in text) == (True, True)
    assert text.count("→" if encoding == "utf-8" else "->") >= 2


def test_nonsense_in_an_option_is_one_line_and_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postgrey_exporter", "doctor", "--format=xml"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
