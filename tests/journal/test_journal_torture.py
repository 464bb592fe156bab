"""`serve` on a journal that is appended to, rotated and vacuumed, killed again and again: exact counts."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from parts import require, wait_until
from running import seconds

from journal.journals import POSTFIX, Journal, decisions, entry
from journal.serving import Serve, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DECISIONS = "postgrey_decisions_total"
BACKLOG = 25_000
"""Decisions that take journalctl a while, so that the reading of them can be interrupted."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    require("journalctl", "systemd")
    return Journal(tmp_path / "journal")


@pytest.fixture
def serve(journal: Journal) -> Iterator[Serve]:
    part = Serve([f"--journal-directory={journal.directory}"])
    try:
        yield part
    finally:
        part.close()


def children(pid: int) -> list[int]:
    return [
        int(number)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for number in (task / "children").read_text().split()
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_stay_exact_whatever_happens_to_the_journal_and_to_serve(
    journal: Journal, serve: Serve, seed: int
) -> None:
    chance = random.Random(seed)
    written = 0

    def append() -> None:
        nonlocal written
        count = chance.choice((1, 3, 40, 1500))
        other = entry("connect from unknown[192.0.2.1]", written + 0.5, POSTFIX)
        journal.append(decisions(range(written, written + count)) + other)
        written += count

    def rotate() -> None:
        if journal.live.exists():
            journal.rotate()

    def vacuum() -> None:
        """Remove what was read for certain; what goes unread can't be counted by anyone."""
        serve.caught_up()
        wait_until(lambda: serve.value(DECISIONS) == written, what=f"{written} decisions")
        journal.vacuum(keep=chance.choice((0, 1)))

    def crash() -> None:
        scraping = threading.Thread(target=lambda: interrupted(serve.metrics))
        scraping.start()
        until = time.monotonic() + chance.uniform(0, 0.1)
        wait_until(lambda: time.monotonic() > until)
        serve.kill()
        scraping.join()
        serve.run()

    append()
    serve.run()
    for step in (
        append,
        crash,
        *chance.choices((append, rotate, vacuum, crash), (5, 2, 2, 2), k=30),
    ):
        step()
    serve.caught_up()
    wait_until(lambda: serve.value(DECISIONS) == written, what=f"{written} decisions")
    exposition = serve.metrics()
    assert total(exposition, 'postgrey_exporter_source_lines_total{outcome="decision"') == written
    assert total(exposition, "postgrey_exporter_source_gaps_total") == 0
    assert serve.stop() == 0


def interrupted(scrape: Callable[[], object]) -> None:
    """Scrape a server that may be killed meanwhile."""
    with suppress(OSError, HTTPException, AssertionError):
        scrape()


def test_a_backlog_survives_kills_of_the_exporter_and_of_its_journalctl(journal: Journal, serve: Serve) -> None:
    journal.append(decisions(range(BACKLOG), seconds_apart=0.01))
    serve.run()
    for attempt in range(4):
        wait_until(lambda: children(serve.pid), what="journalctl to run")
        if attempt % 2:
            for child in children(serve.pid):
                os.kill(child, signal.SIGKILL)
        else:
            serve.kill()
            serve.run()
    serve.caught_up()
    wait_until(lambda: serve.value(DECISIONS) == BACKLOG, what="the whole backlog", limit=60)
    assert "ended by signal 9" in serve.log()
    assert serve.value("postgrey_exporter_source_up") == 1


def test_an_appended_entry_is_in_the_next_scrape(journal: Journal, serve: Serve) -> None:
    journal.append(decisions(range(3)))
    serve.run()
    serve.caught_up()
    for number in range(3, 13):
        assert serve.value(DECISIONS) == number
        journal.append(decisions([number]))
    assert serve.value(DECISIONS) == 13


def test_serve_ends_within_a_second_while_it_reads_a_backlog(journal: Journal, serve: Serve) -> None:
    journal.append(decisions(range(BACKLOG), seconds_apart=0.01))
    serve.run()
    wait_until(lambda: children(serve.pid), what="journalctl to run")
    begun = time.monotonic()
    assert serve.stop() == 0
    assert time.monotonic() - begun < seconds(1)
    serve.run()
    serve.caught_up()
    assert serve.value(DECISIONS) == BACKLOG
