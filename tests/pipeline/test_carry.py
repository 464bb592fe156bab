"""What lines leave to those behind them holds across blocks, rotations, restarts, and parts that two cores read."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import decision
from support.running import Files

from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.batch import LogReader, Period

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = 1_795_900_000.0
"""2026-11-28T20:26:40Z."""
STAMPED: Final = "2026-11-27T08:00:00Z mx1 postfix/smtpd[9]: connect from mail.example.com[192.0.2.1]\n"
STAMP: Final = 1_795_766_400.0
BARE: Final = decision(NOW).partition("]: ")[2]
REPEATED: Final = "Nov 28 12:00:30 mx1 last message repeated 19 times\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def read(files: Files) -> None:
    with files.ingest() as ingest:
        ingest.advance(NOW)


def last_decision(files: Files) -> float:
    with sqlite3.connect(files.state) as db:
        return float(db.execute("SELECT max(hour) FROM decision_hour").fetchone()[0])


def test_a_bare_message_has_the_stamp_that_was_read_before_a_restart(files: Files) -> None:
    files.append(STAMPED)
    read(files)
    files.append(BARE)
    read(files)
    assert last_decision(files) == STAMP // 3600


def test_a_bare_message_has_the_stamp_at_the_end_of_the_rotated_log(files: Files) -> None:
    files.append(STAMPED)
    read(files)
    files.log.rename(f"{files.log}.1")
    files.append(BARE)
    read(files)
    assert last_decision(files) == STAMP // 3600


def test_where_no_line_has_a_stamp_each_message_is_of_when_it_came(files: Files) -> None:
    files.append(BARE)
    read(files)
    files.append(BARE)
    with files.ingest() as ingest:
        ingest.advance(NOW + 7200)
    assert last_decision(files) == (NOW + 7200) // 3600


@pytest.mark.parametrize(
    ("before", "counted"),
    [
        pytest.param(decision(NOW - 60), 20, id="a-decision"),
        pytest.param(decision(NOW - 60) + STAMPED, 1, id="another-programs-line"),
    ],
)
@pytest.mark.parametrize("cut", ["none", "restart", "rotation"])
def test_a_repetition_counts_for_the_decision_just_before_it(
    files: Files, before: str, counted: int, cut: str
) -> None:
    files.append(before)
    if cut != "none":
        read(files)
    if cut == "rotation":
        files.log.rename(f"{files.log}.1")
    files.append(REPEATED)
    read(files)
    assert files.counted() == counted


@pytest.mark.parametrize("size", [100, 300, 1000, 1 << 20])
def test_parts_of_a_log_that_are_read_apart_add_up_to_the_whole(tmp_path: Path, size: int) -> None:
    lines = []
    for number in range(200):
        stamp = f"2026-11-2{number // 50}T08:{number % 50:02}:00Z mx1 postfix/smtpd[9]: connect\n"
        lines += [stamp, "text without a stamp\n" * (number % 3), BARE, REPEATED if number % 5 == 0 else ""]
    (tmp_path / "mail.log").write_text("".join(lines))
    whole = Parser().parse("".join(lines).encode(), NOW)

    reader = LogReader(Parser(), Period(), NOW, stretch_bytes=size)
    reader.read_files([tmp_path / "mail.log"])
    tally = reader.result.tally
    assert (
        sum(tally.decision_totals().values()) == sum(decision.times for decision in whole.decisions) == 200 + 40 * 19
    )
    assert tally.first_event == min(decision.time for decision in whole.decisions)
    assert tally.last_event == max(decision.time for decision in whole.decisions)


def test_the_first_line_of_each_odd_form_is_told_and_nothing_personal_of_it(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    near_miss = "[28/Nov/2026:10:00:0{}] mx1 postgrey[1]: " + BARE
    files.append(
        near_miss.format(1), near_miss.format(2), BARE.replace("reason=new", "reason=because of a@b.example")
    )
    shape = "[0/Nov/0:0:0:0] mx0 postgrey[0]: action=greylist, reason="
    with files.ingest() as ingest:
        ingest.advance(NOW)
        # The service goes on: a form that was told is not told again.
        files.append(near_miss.format(3))
        ingest.advance(NOW + 60)
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"{files.log}: a decision's words, but no known header before them: {shape}",
        f"{files.log}: greylisted for a reason that postgrey does not have: because of …",
    ]
