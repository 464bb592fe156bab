"""A wrong clock and stamps that can't be true: what is shown goes by the clock, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from support.loglines import decision, stamp
from support.parts import lacking, require, wait_until
from support.running import Files, Serve, run

DAY: Final = 86400.0
YEAR: Final = 365 * DAY
SHOWN: Final = 'postgrey_unreviewed_domain{domain="example.com"}'
EDGES: Final = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00-23:59", "0000-01-01T00:00:00Z"),
    *("9999-12-31T23:59:60Z", "9999-12-31T23:59:59+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T24:00:00Z"),
    *("1970-01-01T00:00:00Z", "1969-12-31T23:59:60.999999999Z", "2038-01-19T03:14:08Z", "2026-02-30T00:00:00Z"),
    *("2026-06-30T23:59:60Z", "2026-06-30T12:00:00+99:99", "Feb 29 23:59:60", "Feb 30 00:00:00", "Dec 31 24:00:00"),
    *("Jan  0 00:00:00", "Dec 31 23:59:60"),
)


def library() -> str:
    require("faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return str(found[0]) if found else lacking("libfaketime", "libfaketime")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    now = time.time()
    files.append(*(decision(now - age * DAY) for age in (6, 5, 4, 3, 2, 1, 0)))
    return files


class Clock:
    """The clock of a process, set by a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.variables = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, ahead: float) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(f"{ahead:+.0f}\n")
        new.rename(self._path)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


def wait_to_show(serve: Serve, series: str, value: float | None) -> None:
    wait_until(lambda: serve.value(series) == value, what=f"{series} {value}")


def test_a_clock_that_is_wrong_for_a_scrape_loses_nothing(files: Files, clock: Clock) -> None:
    with Serve(files, variables=clock.variables) as serve:
        assert serve.value(SHOWN) == 7
        for ahead in (YEAR, -YEAR, 7 * DAY, -7 * DAY, 3600, -3600, 80 * YEAR):
            clock.set(ahead)
            if ahead >= YEAR:
                # Of what is not shown any more there is no series.
                wait_to_show(serve, SHOWN, None)
            serve.value(SHOWN)
            clock.set(0)
            wait_to_show(serve, SHOWN, 7)


def test_lines_that_come_while_the_clock_is_wrong_count_where_they_belong(files: Files, clock: Clock) -> None:
    with Serve(files, variables=clock.variables) as serve:
        for shown, ahead in ((8, YEAR), (9, -YEAR), (10, 9 * DAY)):
            clock.set(ahead)
            files.append(decision(time.time()))
            wait_to_show(serve, 'postgrey_greylisted_total{domain="example.com",reason="new"}', shown)
            clock.set(0)
            wait_to_show(serve, SHOWN, shown)
        assert serve.value(f'postgrey_exporter_source_future_timestamps_total{{source="{files.log}"}}') == 0


def test_stamps_of_the_future_are_counted_as_of_now_and_silence_no_alert(files: Files) -> None:
    files.append(*("9999-12-31T23:59:59Z" + decision(0)[len(stamp(0)) :] for _ in range(20)))
    with Serve(files) as serve:
        assert serve.value(SHOWN) == 27
        assert serve.value(f'postgrey_exporter_source_future_timestamps_total{{source="{files.log}"}}') == 20
        latest = serve.value(f'postgrey_exporter_source_last_event_timestamp_seconds{{source="{files.log}"}}')
        assert latest is not None
        assert latest <= time.time()


def test_an_archive_is_no_clock(files: Files, tmp_path: Path) -> None:
    old = tmp_path / "restored.log"
    old.write_text(files.log.read_text())
    os.utime(old, (0, 0))
    told = json.loads(run("report", old, "--format", "json").stdout)

    assert told["until"] == f"{datetime.fromtimestamp(time.time(), UTC):%Y-%m-%d}{told['until'][10:]}"


@pytest.mark.parametrize("modified", [0, 1_800_000_000, 1 << 40])
def test_the_edges_of_time_raise_nowhere(tmp_path: Path, modified: int) -> None:
    files = Files(tmp_path)
    files.append(*(edge + decision(0)[len(stamp(0)) :] for edge in EDGES))
    try:
        os.utime(files.log, (modified, modified))
    except OverflowError:
        pytest.skip("this file system has no such time")
    state = ("--state", files.state)
    lists = ("--whitelist-file", files.whitelist, "--ignore-file", files.ignore)
    collected = run("collect", *files.options)
    assert collected.returncode == 0, collected.stderr
    for arguments in (
        *(("report", files.log, *lists, "--format", form) for form in ("table", "json", "csv")),
        *(("report", *state, *lists, "--format", form) for form in ("table", "json", "csv")),
        ("report", files.log, *lists, "--since", "0001-01-01", "--until", "9999-12-31T23:59:59Z", "--format", "json"),
        ("report", *state, *lists, "--since", "0001-01-01T00:00:00+23:59", "--format", "json"),
        ("report", *state, *lists, "--until", "9999-12-31", "--format", "json"),
        ("check", files.log, *lists),
        ("check", *state, *lists),
        ("doctor", *files.options),
    ):
        done = run(*arguments)
        assert "Traceback" not in done.stderr, (arguments, done.stderr)
        if "json" in arguments and done.returncode == 0:
            told = json.loads(done.stdout)
            for bound in (told["since"], told["until"]):
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bound), (arguments, bound)
