"""Logs of any size: what has moved to a scratch file counts as what stayed in memory."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter import ledger as ledger_module
from postgrey_exporter import nameless, schema
from postgrey_exporter.database import StateError
from postgrey_exporter.ledger import Ledger
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.parser import Parser
from postgrey_exporter.sample import week
from postgrey_exporter.standing import Standings, standings

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_800_000_000.0
LISTS = Lists(
    [read_whitelist(b"/\\.outlook\\.com$/\n198.18.0.0/20\n", "whitelist")],
    [read_ignore(b"amazonses.com\n", "ignore")],
)


def filled(lines: Sequence[str], *, since: float = 0) -> Ledger:
    made = Ledger(lambda moment: moment >= since)
    parser = Parser(secret=bytes(32))
    for at in range(0, len(lines), 500):
        made.add(parser.parse("".join(lines[at : at + 500]).encode(), NOW))
    return made


@pytest.fixture(scope="module")
def log() -> list[str]:
    return list(week(NOW))


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything move, in many small parts."""
    monkeypatch.setattr(ledger_module, "MOST_CELLS", 1)
    monkeypatch.setattr(ledger_module, "_MOVED_CELLS", 100)


@pytest.mark.parametrize("lists", [pytest.param(Lists(), id="no-lists"), pytest.param(LISTS, id="lists")])
@pytest.mark.parametrize("since", [0, NOW - 3 * 86400])
def test_what_has_moved_says_the_same(
    log: list[str], lists: Lists, since: float, request: pytest.FixtureRequest
) -> None:
    stayed = filled(log, since=since)
    expected = standings(stayed.facts(), lists, NOW)
    request.getfixturevalue("moves")
    moved = filled(log, since=since)
    assert standings(moved.facts(), lists, NOW) == expected
    assert sorted(moved.clients()) == sorted(stayed.clients())
    assert (moved.tally.lines, moved.tally.decisions) == (stayed.tally.lines, stayed.tally.decisions)
    assert (moved.tally.first_event, moved.tally.last_event) == (stayed.tally.first_event, stayed.tally.last_event)
    assert len(expected.domains) > 10


@pytest.mark.usefixtures("moves")
def test_little_of_it_stays_in_memory(log: list[str]) -> None:
    made = filled(log)
    assert made.tally.cells < 1000


@pytest.mark.usefixtures("moves")
def test_a_full_disk_is_said(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> sqlite3.Connection:
        db = sqlite3.connect("", isolation_level=None)
        schema.migrate(db, "scratch")
        db.execute("PRAGMA max_page_count = 20")
        return db

    monkeypatch.setattr("postgrey_exporter.store.open_scratch", small)
    with pytest.raises(StateError, match="the scratch file: the state can't be written: the disk is full"):
        filled(log)


def test_of_networks_without_a_name_the_largest_are_told_of(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    every: Standings = standings(filled(log).facts(), Lists(), NOW)
    monkeypatch.setattr(nameless, "MOST_NETWORKS", 3)
    few = standings(filled(log).facts(), Lists(), NOW)
    assert (few.nameless, few.nameless_networks) == (every.nameless[:3], len(every.nameless))
    assert len(every.nameless) > 3
