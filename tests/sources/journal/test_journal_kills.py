"""`serve` on a long journal, killed in the middle of it; kills at any moment are the matter of `torture`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.parts import require, wait_until
from support.running import seconds

from sources.journal.journals import Journal, decisions
from sources.journal.serving import Serve

if TYPE_CHECKING:
    from collections.abc import Iterator

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
