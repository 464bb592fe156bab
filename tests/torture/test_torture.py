"""A few hundred kills under every scheme of the real logrotate's; ``make torture`` makes it thousands."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from support import running
from support.parts import require
from support.running import Files

from torture.counts import compare
from torture.places import NEEDED, PLACES
from torture.writer import Writer

KILLS: Final = 25
"""Processes to kill in each scheme."""


def run(*arguments: str) -> str:
    """Run a module of the harness in a process of its own, which may fork; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parent.parent)),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("scheme", PLACES)
def test_no_line_is_lost_or_doubled_whenever_the_exporter_is_killed(scheme: str) -> None:
    require("logrotate")
    for program, package in NEEDED.get(scheme, ()):
        require(program, package)
    said = run("torture", "--kills", str(KILLS), "--seed", "1", "--scheme", scheme)
    assert "processes were killed" in said


def test_a_kill_between_any_two_steps_of_a_reading() -> None:
    require("logrotate")
    said = run("torture.crash_points")
    assert "all counts are right" in said


def test_the_harness_notices_a_lost_and_a_doubled_line(tmp_path: Path) -> None:
    files = Files(tmp_path)
    writer = Writer(files.log, random.Random(1))
    writer.write(50)
    writer.close()
    first, second, *rest = files.log.read_text().splitlines(keepends=True)
    greylisted = [line for line in rest if "action=greylist" in line]
    rest.remove(greylisted[0])
    files.log.write_text("".join([first, second, *rest, greylisted[1]]))
    metrics = tmp_path / "metrics.prom"
    ended = running.run("collect", *files.options, "--output", metrics)
    assert ended.returncode == 0, ended.stderr
    difference = compare(writer, metrics.read_text(), files.state, str(files.log))
    assert (difference.lost, difference.doubled) == (1, 1)


def test_the_peers_are_measured_and_this_exporter_loses_nothing() -> None:
    require("logrotate")
    require("mtail")
    said = run("torture.peers", "--rounds", "1", "--scheme", "compress at once")
    found = re.search(r"compress at once((?: \| \d+){7}) \|", said)
    assert found is not None, said
    _, lost, doubled, *peers = (int(number) for number in re.findall(r"\d+", found[1]))
    assert (lost, doubled) == (0, 0)
    assert peers[0] > 0, "pygtail loses lines here"
    assert peers[2] > 0, "mtail loses lines here"
