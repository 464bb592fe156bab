"""What the command line says about a journal that can't be read: one line, exit status 2."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.parts import require

from sources.journal.journals import BEGIN, POSTFIX, Journal, decisions, entry

WINDOW = "--window=36500d"


def run(*arguments: str | Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "postgrey_exporter", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.parametrize("command", ["collect", "serve"])
def test_without_journalctl_the_remedy_is_one_line(tmp_path: Path, command: str) -> None:
    Journal(tmp_path).append(decisions([1]))
    done = run(
        *(command, f"--journal-directory={tmp_path}", f"--state={tmp_path / 'state'}"),
        *(["--web.listen-address=127.0.0.1:0"] if command == "serve" else []),
        path=os.devnull,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(
        "postgrey-exporter: the journal can't be read: there is no journalctl"
    )
    assert "Traceback" not in done.stderr


def test_a_folder_without_journal_files_is_named(tmp_path: Path) -> None:
    done = run("collect", f"--journal-directory={tmp_path / 'none'}", f"--state={tmp_path / 'state'}")
    assert done.returncode == 2
    assert f"there are no journal files in {tmp_path / 'none'}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives up its rights")
def test_no_permission_names_the_group() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's tmp_path is closed to other accounts
        journal = Journal(Path(folder) / "journal")
        journal.append(decisions([1]))
        Path(folder).chmod(0o777)
        journal.live.chmod(0o640)
        group = grp.getgrnam("adm")
        os.chown(journal.live, 0, group.gr_gid)
        # The interpreter of the tests may lie where others may not go: the rights are given up inside it.
        script = (
            "import grp, os, sys; from postgrey_exporter.cli import collect, main;"
            "from postgrey_exporter.lists import pattern_errors, patterns;"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534); main()"
        )
        arguments = ["collect", f"--journal-directory={journal.directory}", f"--state={folder}/s/state"]
        done = subprocess.run([sys.executable, "-c", script, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert f"{journal.live}: permission denied; group 'adm' may read it" in done.stderr


def test_damage_binary_text_and_a_megabyte_do_not_stop_the_rest(tmp_path: Path) -> None:
    require("journalctl", "systemd")
    journal = Journal(tmp_path / "journal")
    journal.append(decisions([1]))
    os.truncate(journal.rotate(), 100_000)
    journal.append(decisions([2]) + entry(b"\xff" * (1 << 20), 3) + entry(b"\x00\n\xe9", 4) + decisions([5]))
    done = run("collect", f"--journal-directory={journal.directory}", f"--state={tmp_path / 'state'}", WINDOW)
    assert done.returncode == 0
    assert 'postgrey_decisions_total{action="greylist",reason="new"} 2.0' in done.stdout
    assert f'source_lines_total{{outcome="no_decision",source="journal:{journal.directory}"}} 2.0' in done.stdout
    assert f'source_unreadable_files{{source="journal:{journal.directory}"}} 1.0' in done.stdout
    assert "is truncated, ignoring file" in done.stderr


def test_collect_goes_on_where_it_stopped(tmp_path: Path) -> None:
    require("journalctl", "systemd")
    journal = Journal(tmp_path / "journal")
    arguments = ["collect", f"--journal-directory={journal.directory}", f"--state={tmp_path / 'state'}", WINDOW]
    journal.append(decisions(range(4)))
    assert '{action="greylist",reason="new"} 4.0' in run(*arguments).stdout
    journal.append(decisions(range(4, 6)))
    printed = run(*arguments).stdout
    assert '{action="greylist",reason="new"} 6.0' in printed
    assert f'last_event_timestamp_seconds{{source="journal:{journal.directory}"}} {(BEGIN + 5) / 1e9}e+09' in printed


def test_a_log_and_the_journal_together_are_warned_about(tmp_path: Path) -> None:
    require("journalctl", "systemd")
    journal = Journal(tmp_path / "journal")
    journal.append(decisions(range(2)))
    log = tmp_path / "mail.log"
    log.touch()
    done = run(
        *("collect", f"--journal-directory={journal.directory}", f"--mail-log={log}"),
        *(f"--state={tmp_path / 'state'}", WINDOW),
    )
    assert done.returncode == 0
    assert "counts twice" in done.stderr


@pytest.mark.parametrize("output", ["short", "short-iso-precise", "cat", "json", "json-pretty", "json-sse", "export"])
def test_report_reads_what_journalctl_prints(tmp_path: Path, output: str) -> None:
    program = require("journalctl", "systemd")
    journal = Journal(tmp_path / "journal")
    journal.append(decisions(range(4)) + entry("connect from unknown[192.0.2.1]", 5, POSTFIX))
    printed = subprocess.run(
        [program, f"--directory={journal.directory}", "--no-pager", f"--output={output}"],
        check=True,
        capture_output=True,
    ).stdout
    done = subprocess.run(
        [sys.executable, "-m", "postgrey_exporter", "report", "--format=json", "-"],
        input=printed,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decisions"]["greylist"] == {"new": 4, "early-retry": 0}
