"""A line that says to stand for many costs what one line costs, and all of them are counted."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.running import Files, run

from attacks.limited import least, limited, repeats
from postgrey_exporter.parsing.message import MOST_REPEATS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OFTEN: Final = 99_999


@pytest.mark.parametrize("times", [OFTEN, MOST_REPEATS])
def test_lines_that_say_to_be_repeated_cost_what_one_costs(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path, times: int
) -> None:
    lines = at_length(100, 100_000)
    files = Files(tmp_path)
    files.append(*repeats(lines, times, time.time() - 3600))
    before = limited(least() + 24)

    collected = run("collect", *files.options, before=before)
    reported = run("report", files.log, "--format", "json", before=before)

    assert (collected.returncode, reported.returncode) == (0, 0), collected.stderr + reported.stderr
    told = json.loads(reported.stdout)
    (domain,) = told["domains"]
    assert told["decisions"]["greylist"]["new"] == domain["greylisted"] == files.counted() == lines * times
    assert files.snapshot().unreviewed == {"example.com": lines * times}
    assert files.snapshot().lines[str(files.log), "decision"] == lines
    figure(f"{lines:,} lines of {times:,} repeats each are counted in {least() + 24} MiB")


def test_a_count_beyond_what_rsyslog_writes_is_malformed(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.append(*repeats(3, MOST_REPEATS + 1, time.time() - 3600), *repeats(3, 10**30, time.time() - 3600))

    assert run("collect", *files.options).returncode == 0
    assert files.counted() == 0
    assert files.snapshot().lines[str(files.log), "malformed"] == 6
