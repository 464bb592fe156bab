"""The state is deleted, replaced or cut short while `serve` uses it: nothing is lost, whatever happens next."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING

import pytest
from support import running
from support.parts.waiting import wait_until
from support.running import Files, Serve
from torture.counts import compare, samples
from torture.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "state").mkdir()
    files = Files(tmp_path)
    files.state = tmp_path / "state" / "state.sqlite3"
    return files


@pytest.fixture
def writer(files: Files) -> Writer:
    return Writer(files.log, random.Random(16))


def up(exposition: str) -> float:
    return samples(exposition)["postgrey_exporter_state_up", ()]


def counts_are_right(files: Files, writer: Writer, exposition: str) -> bool:
    difference = compare(writer, exposition, files.state, str(files.log))
    assert not difference, str(difference)
    return True


def remove(*suffixes: str) -> Callable[[Path], None]:
    def take(state: Path) -> None:
        for suffix in suffixes:
            Path(f"{state}{suffix}").unlink()

    return take


def remove_folder(state: Path) -> None:
    shutil.rmtree(state.parent)
    state.parent.mkdir()


def cut_short(state: Path) -> None:
    os.truncate(state, 0)


TAKEN = [
    pytest.param(remove(""), id="the database"),
    pytest.param(remove("-wal"), id="its write-ahead log"),
    pytest.param(remove("-shm"), id="the index of that"),
    pytest.param(remove(".lock"), id="the lock"),
    pytest.param(remove("", "-wal", "-shm"), id="all but the lock"),
    pytest.param(remove_folder, id="the folder's content"),
    pytest.param(cut_short, id="what the database holds"),
]


@pytest.mark.parametrize("take", TAKEN)
def test_what_was_taken_away_is_there_again_before_anything_is_counted(
    files: Files, writer: Writer, take: Callable[[Path], None]
) -> None:
    writer.write(50)
    with Serve(files) as serve:
        writer.write(50)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)
        take(files.state)
        writer.write(50)
        wait_until(lambda: up(serve.ask("/metrics").text) == 1 and "while it was in use" in said(serve, take))
        writer.write(50)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)
        serve.end(SIGKILL)
    ended = running.run("collect", *files.options)
    assert counts_are_right(files, writer, ended.stdout)


def said(serve: Serve, take: Callable[[Path], None]) -> str:
    """Return what serve said, or what is waited for where there is nothing to say: a lock is just made again."""
    return serve.words() if take is not TAKEN[3].values[0] else "while it was in use"


def test_an_idle_exporter_notices_by_itself(files: Files, writer: Writer) -> None:
    writer.write(50)
    with Serve(files) as serve:
        files.state.unlink()
        wait_until(files.state.exists, limit=60)
        serve.end(SIGKILL)
    ended = running.run("report", "--state", files.state, "--format", "json")
    assert ended.returncode == 0, ended.stderr


def test_another_state_under_the_name_is_left_alone(files: Files, writer: Writer) -> None:
    writer.write(50)
    with Serve(files) as serve:
        serve.ask("/metrics")
        (away := files.state.with_name("away")).mkdir()
        for part in files.state.parent.glob("state.sqlite3*"):
            shutil.copy2(part, away)
        other = away / files.state.name
        other.replace(files.state)
        before = files.state.read_bytes()
        writer.write(50)
        wait_until(lambda: up(serve.ask("/metrics").text) == 0)
        assert "was replaced by another file while it was in use; restart to go on with the new one" in serve.words()
        assert files.state.read_bytes() == before
        files.state.unlink()
        wait_until(lambda: up(serve.ask("/metrics").text) == 1)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)


def test_a_restored_backup_holds_what_it_held(files: Files, writer: Writer) -> None:
    writer.write(50)
    backup = files.state.with_name("backup")
    ended = running.run("collect", *files.options)
    assert counts_are_right(files, writer, ended.stdout)
    shutil.copy2(files.state, backup)
    before = files.counted()
    writer.write(50)
    with Serve(files) as serve:
        serve.ask("/metrics")
        backup.replace(files.state)
        wait_until(lambda: up(serve.ask("/metrics").text) == 0)
        serve.end(SIGKILL)
    assert files.counted() == before
    ended = running.run("collect", *files.options)
    assert counts_are_right(files, writer, ended.stdout)


def test_what_is_deleted_right_before_the_end_is_there_at_the_next_start(files: Files, writer: Writer) -> None:
    writer.write(50)
    with files.ingest() as ingest:
        ingest.advance(running.NOW)
        secret = ingest.store.secret()
        files.state.unlink()
    with files.ingest() as ingest:
        assert ingest.store.secret() == secret


def test_a_folder_that_is_away_for_a_while_is_waited_for(files: Files, writer: Writer) -> None:
    writer.write(50)
    with Serve(files) as serve:
        serve.ask("/metrics")
        away = files.state.parent.rename(files.state.parent.with_name("away"))
        writer.write(50)
        wait_until(lambda: up(serve.ask("/metrics").text) == 0)
        assert not files.state.parent.exists()
        away.rename(files.state.parent)
        wait_until(lambda: up(serve.ask("/metrics").text) == 1)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)


def test_a_state_that_another_exporter_took_over_is_written_by_that_one_alone(files: Files, writer: Writer) -> None:
    writer.write(50)
    with Serve(files) as serve:
        serve.ask("/metrics")
        remove_folder(files.state)
        with Serve(files) as other:
            writer.write(50)
            wait_until(lambda: up(serve.ask("/metrics").text) == 0)
            assert "another postgrey-exporter is using this state" in serve.words()
            assert counts_are_right(files, writer, other.ask("/metrics").text)


def test_killed_at_any_moment_after_it_was_taken_away(
    files: Files, writer: Writer, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(8)
    kills = at_length(8, 300)
    writer.write(20)
    for _ in range(kills):
        with Serve(files) as serve:
            writer.write(20)
            chance.choice(TAKEN).values[0](files.state)  # type: ignore[operator]
            seen = files.write_ahead_log()
            for _ in range(chance.randrange(3)):
                serve.ask("/-/healthy" if chance.random() < 0.5 else "/metrics")
            assert seen >= 0
            serve.end(SIGKILL)
        ended = running.run("collect", *files.options)
        assert counts_are_right(files, writer, ended.stdout)
    figure(f"the state taken away and the process killed right after it: {kills} times, no line lost or doubled")
