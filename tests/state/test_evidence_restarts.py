"""Evidence is exact over restarts: a reading that is killed again and again ends where an uninterrupted one does."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.running import EXPORTER, environment

if TYPE_CHECKING:
    from pathlib import Path

PARTS: Final = 10
FIRST_HOUR: Final = "SELECT value FROM meta WHERE key = 'first_hour'"
MESSAGES: Final = (
    "SELECT name, first, last, network, moved, accepted, reported, line "
    "FROM message JOIN domain ON domain.id = message.domain"
)
DELIVERIES: Final = "SELECT most, total, seconds FROM delivery"


def collecting(folder: Path) -> subprocess.Popen[bytes]:
    lists = [f"--{name}-file={folder / name}" for name in ("whitelist", "ignore")]
    log = f"--mail-log={folder / 'mail.log'}"
    return subprocess.Popen(
        [*EXPORTER, "collect", log, f"--state={folder / 'state.sqlite3'}", *lists],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_killed_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a process that has not ended by itself in this time; tell whether it was killed."""
    with process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def finish(folder: Path) -> None:
    with collecting(folder) as process:
        assert process.wait(60) == 0


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        return sorted(db.execute(query).fetchall(), key=repr)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "killed", tmp_path / "whole"
    for folder in made:
        folder.mkdir()
        for name in ("whitelist", "ignore", "mail.log"):
            (folder / name).touch()
    return made


def test_a_reading_killed_at_any_moment_knows_the_same_of_every_message(folders: tuple[Path, Path]) -> None:
    killed, whole = folders
    log = subprocess.run([*EXPORTER[:2], "postgrey_exporter.sample"], capture_output=True, check=True).stdout
    chance = random.Random(1)
    kills = 0
    for part in range(PARTS):
        # Cut anywhere: lines are half written too.
        begin, end = (len(log) * number // PARTS for number in (part, part + 1))
        with (killed / "mail.log").open("ab") as file:
            file.write(log[begin:end])
        kills += is_killed_within(collecting(killed), chance.uniform(0.05, 0.35))
    (whole / "mail.log").write_bytes(log)
    for folder in folders:
        finish(folder)
    assert kills > 1

    # The clock may have passed an hour between the two: only what is inside both windows is compared.
    since = max(row[0] for folder in folders for row in rows(folder, FIRST_HOUR)) * 3600
    messages = [[row for row in rows(folder, MESSAGES) if row[2] >= since] for folder in folders]
    assert len(messages[0]) > 100
    assert messages[0] == messages[1]
    assert rows(killed, DELIVERIES) == rows(whole, DELIVERIES)
