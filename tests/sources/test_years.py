"""Stamps without a year, in files that reach back farther than one, and in chains of rotated files."""

from __future__ import annotations

import gzip
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.sources.years import pieces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOW: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
STAMP: Final = HeaderReader("postgrey", UTC).stamp
MESSAGE: Final = "mx1 postgrey[1]: action=greylist, reason=new, client_name=x.example.com, client_address=192.0.2.1"


def lines(days_ago: Iterable[float]) -> tuple[bytes, list[float]]:
    """Return lines that were written so many days before `NOW`, and their moments."""
    moments = [NOW - timedelta(days=days) for days in days_ago]
    text = "".join(f"{time.strftime('%b %e %H:%M:%S', moment.timetuple())} {MESSAGE}\n" for moment in moments)
    return text.encode(), [moment.timestamp() for moment in moments]


@pytest.mark.parametrize(
    "days_ago",
    [
        pytest.param(range(30, -1, -1), id="a-month"),
        pytest.param(range(364, -1, -1), id="a-year"),
        pytest.param(range(1200, -1, -1), id="three-years"),
        pytest.param([*range(600, 400, -1), *range(100, -1, -1)], id="a-gap-across-a-new-year"),
        pytest.param([10, 9, 20, 8, 7, 6], id="a-line-that-comes-ten-days-late"),
    ],
)
def test_each_line_has_its_year(tmp_path: Path, days_ago: Iterable[float]) -> None:
    text, moments = lines(days_ago)
    log = tmp_path / "mail.log"
    log.write_bytes(text)
    found = []
    with log.open("rb") as file:
        for piece in pieces(file.fileno(), 0, len(text), NOW.timestamp(), STAMP):
            decisions = Parser(zone=UTC).parse(text[piece.begin : piece.end], piece.seen_at).decisions
            found += [decision.time for decision in decisions]
    assert found == moments


def test_lines_with_their_year_are_one_piece(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text("".join(f"20{year}-11-28T10:00:00Z {MESSAGE}\n" for year in range(20, 27)) * 100)
    with log.open("rb") as file:
        size = log.stat().st_size
        assert pieces(file.fileno(), 0, size, NOW.timestamp(), STAMP) == [(0, size, NOW.timestamp())]


def test_a_chain_of_rotated_files_that_were_all_copied_today_has_its_years(tmp_path: Path) -> None:
    log, moments = tmp_path / "mail.log", []
    for number in range(20, -1, -1):
        text, written = lines([number * 28 + 14, number * 28])
        moments += written
        path = tmp_path / (f"mail.log.{number}{'.gz' * (number > 2)}" if number else "mail.log")
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
        os.utime(path, (NOW.timestamp() - number, NOW.timestamp() - number))
    source = FileSource(log, 9999 * 86400.0, stamp=STAMP)
    source.resume(None)
    parser = Parser(zone=UTC)
    found = [
        decision.time
        for batch in source.batches(NOW.timestamp())
        for decision in parser.parse(batch.lines, batch.seen_at).decisions
    ]
    source.close()
    assert found == moments
