from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.running import run
from support.tallies import tally_of_log

from postgrey_exporter.lists import Lists
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window
from review import scene

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return scene.write(tmp_path)


def test_without_a_terminal_the_list_is_printed_worst_first(log: Path, tmp_path: Path) -> None:
    done = run("review", *scene.options(tmp_path), log)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "3 domains to review (15 or more unreviewed attempts):"
    assert [line.partition(":")[0] for line in lines if " greylisted attempts unreviewed (" in line] == [
        scene.POOL,
        scene.ISP,
        scene.HOST,
    ]
    assert f"  entry: {scene.POOL_ENTRY}" in lines
    assert (tmp_path / "whitelist").read_text() == ""


def test_with_nothing_to_review_it_says_so(log: Path, tmp_path: Path) -> None:
    done = run("review", *scene.options(tmp_path), "--threshold", "100", log)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Okay, the top domains are whitelisted or ignored.\n"


def test_the_list_shrinks_by_what_is_done_about_it(log: Path, tmp_path: Path) -> None:
    for act, name in (("whitelist", scene.POOL_ENTRY), ("whitelist", scene.ISP_ENTRY), ("ignore", scene.ISP)):
        assert run(act, *scene.options(tmp_path), name).returncode == 0
    assert run("review", *scene.options(tmp_path), log).stdout.startswith("1 domain to review")
    assert run("ignore", *scene.options(tmp_path), scene.HOST).returncode == 0
    assert run("review", *scene.options(tmp_path), log).returncode == 0


def test_the_state_is_reviewed_where_no_log_is_named(log: Path, tmp_path: Path) -> None:
    now = float(scene.START + 3 * 86400)
    store = Store(tmp_path / "state.sqlite3", window=Window(), max_domains=100)
    store.merge("log", tally_of_log(log.read_bytes(), now), {}, Lists(), now)
    store.close()
    # The scene lies in one fixed week; the window reaches back to it.
    options: list[str | Path] = [*scene.options(tmp_path), "--state", tmp_path / "state.sqlite3", "--window", "520w"]
    done = run("review", *options)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"  entry: {scene.POOL_ENTRY}" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["nowhere.log"], "nowhere.log", id="no log"),
        pytest.param(["--ignore-file", "nowhere", "mail.log"], "nowhere is not there", id="no list"),
        pytest.param(["other.log"], "no line of postgrey's", id="another log"),
        pytest.param(["--threshold", "0", "mail.log"], "--threshold", id="no threshold"),
    ],
)
def test_what_keeps_it_from_knowing_is_an_error(log: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    log.with_name("other.log").write_text("Nov 20 10:00:00 mail postfix/smtpd[1]: connect from unknown[192.0.2.1]\n")
    done = run("review", "--whitelist-file", tmp_path / "whitelist", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_counts_that_are_partial_are_never_okay(log: Path, tmp_path: Path) -> None:
    done = run("review", *scene.options(tmp_path), "--threshold", "100", log, tmp_path / "missing")
    assert done.returncode == 2
    assert "missing: no such file" in done.stderr
    assert "Okay" not in done.stdout


def test_a_log_on_standard_input_leaves_no_terminal_to_ask_on(log: Path, tmp_path: Path) -> None:
    pipe = ["sh", "-c", f'exec "$@" < {log}', os.devnull]
    done = run("review", *scene.options(tmp_path), "-", before=pipe)
    assert (done.returncode, done.stderr) == (1, "")
