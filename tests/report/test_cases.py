"""Small logs that strangers' set-ups write, each once read wrongly: tests/cases/, in UTC, of 2026-11-28T12:00Z."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: Final = Path(__file__).parent.parent / "cases"
WRITTEN: Final = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Path]:
    """Return a copy of a case file that was last written when it says so."""

    def copy(name: str) -> Path:
        shutil.copy(CASES / name, tmp_path)
        os.utime(tmp_path / name, (WRITTEN, WRITTEN))
        return tmp_path / name

    return copy


def run(command: str, *arguments: object, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
    with (stdin or Path(os.devnull)).open("rb") as content:
        return subprocess.run(
            [sys.executable, "-m", "postgrey_exporter", command, *map(str, arguments)],
            stdin=content,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TZ": "UTC"},
        )


def told(*arguments: object, stdin: Path | None = None) -> Any:
    done = run("report", "--format=json", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        *(
            (name, "example.net")
            for name in (
                "two-blanks.log",
                "header-busybox.log",
                "header-docker-t.log",
                "header-isospace.log",
                "header-journalctl-short-full.log",
                "header-rfc5424.log",
                "bom.log",
                "last-message-repeated.log",
                "export-cut-start.export",
                "xz-stream-padding.log.xz",
            )
        ),
        ("no-public-suffix.log", "corp.local"),
    ],
)
def test_twenty_greylisted_lines_are_a_warning(case: Callable[[str], Path], name: str, domain: str) -> None:
    done = run("check", "--max-age=9999d", case(name))

    assert done.returncode == 1, done.stdout
    assert f"'{domain}'=20;" in done.stdout


@pytest.mark.parametrize(
    ("name", "found", "remedy"),
    [
        ("quiet.log", "runs with --quiet", "remove --quiet"),
        ("before-1.28.log", "a postgrey before 1.28", "update postgrey"),
    ],
)
def test_where_nothing_was_seen_of_greylisting_nobody_says_okay(
    case: Callable[[str], Path], name: str, found: str, remedy: str
) -> None:
    log = case(name)
    for command, status in (("check", 3), ("review", 2), ("report", 1)):
        done = run(command, log)
        said = done.stdout if command == "check" else done.stderr
        assert done.returncode == status, command
        assert found in said
        assert remedy in said


def test_messages_without_a_header_have_the_time_of_the_line_before(case: Callable[[str], Path]) -> None:
    mixed, control = case("mixed-headerless.log"), case("mixed-headerless-control.log")

    assert told(mixed) == told(control)
    (domain,) = told(mixed)["domains"]
    assert (domain["delay_seconds"]["median"], domain["lost_messages"]) == (14636.0, 3)
    assert told("--since=2026-11-26", mixed)["domains"] == []


def test_years_are_counted_back_from_the_end(case: Callable[[str], Path], tmp_path: Path) -> None:
    log = case("two-years.log")
    (domain,) = told("--since=2026-10-01", log)["domains"]
    assert domain["greylisted"] == 20

    metrics = run("collect", "--mail-log", log, "--state", tmp_path / "state", "--window=9999d").stdout
    assert 'postgrey_greylisted_total{domain="example.net",reason="new"} 142.0' in metrics
    (domain,) = told("--state", tmp_path / "state", "--window=9999d", "--since=2026-10-01")["domains"]
    assert domain["greylisted"] == 20


def test_lists_judge_an_address_as_it_was_logged(case: Callable[[str], Path]) -> None:
    (domain,) = told("--whitelist-file", case("v4-mapped.whitelist"), case("v4-mapped.log"))["domains"]
    assert domain["covered_by"] is None
    answer = run("explain", "mx.example.net", "::ffff:192.0.2.5", "--whitelist-file", case("v4-mapped.whitelist"))
    assert "covered by no entry" in answer.stdout


def test_an_entry_of_a_lone_dot_is_explained(case: Callable[[str], Path]) -> None:
    done = run("explain", "mx.example.net", "--whitelist-file", case("dot.whitelist"))
    assert ". never matches: a client's name has no empty label and no dot at its end" in done.stderr


def test_the_order_of_lines_tells_the_two_hours_apart_that_end_daylight_saving(case: Callable[[str], Path]) -> None:
    (domain,) = told("--timezone=Europe/Berlin", case("dst-back.log"))["domains"]
    assert (domain["delivered_messages"], domain["lost_messages"]) == (1, 0)
    assert domain["delay_seconds"]["median"] == 1200


def test_a_name_that_a_rotation_has_cut_is_no_domain(case: Callable[[str], Path], tmp_path: Path) -> None:
    rotated, log = case("cut-at-rotation.log.1"), case("cut-at-rotation.log")
    assert [domain["domain"] for domain in told(rotated, log)["domains"]] == ["example.net"]
    metrics = run("collect", "--mail-log", log, "--state", tmp_path / "state", "--window=9999d").stdout
    assert 'postgrey_greylisted_total{domain="example.net",reason="new"} 2.0' in metrics
    assert "example.co" not in metrics.replace("example.com", "")
