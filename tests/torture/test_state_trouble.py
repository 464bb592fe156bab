"""A full disk, a read-only folder, a locked state, a power failure: the state stays whole, then counting goes on."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import running
from support.parts import require
from support.parts.waiting import wait_until
from support.running import Files, Serve

from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.hashing import KEY_SIZE
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.ingest import Ingest
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.state.store import Store
from torture.counts import compare, samples
from torture.full_disk import fill
from torture.test_torture import run
from torture.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [require("mount"), "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode()}")
    yield disk
    subprocess.run([require("umount"), disk], check=True)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def writer(files: Files) -> Writer:
    return Writer(files.log, random.Random(1))


def counts_are_right(files: Files, writer: Writer, exposition: str) -> bool:
    difference = compare(writer, exposition, files.state, str(files.log))
    assert not difference, str(difference)
    return True


def up(exposition: str) -> float:
    return samples(exposition)["postgrey_exporter_state_up", ()]


def decisions(exposition: str) -> float:
    return sum(value for (name, _), value in samples(exposition).items() if name == "postgrey_decisions_total")


def test_a_disk_that_is_full_at_any_page_of_a_commit(small_disk: Path) -> None:
    assert "all counts are right" in run("torture.full_disk", str(small_disk))


def test_serve_while_the_disk_is_full(small_disk: Path, files: Files, writer: Writer) -> None:
    files.state = small_disk / "state.sqlite3"
    writer.write(50)
    with Serve(files) as serve:
        before = decisions(serve.ask("/metrics").text)
        fill(small_disk / "ballast", 0)
        writer.write(3000)
        wait_until(lambda: up(serve.ask("/metrics").text) == 0)
        for _ in range(3):
            answer = serve.ask("/metrics")
            assert answer.status == 200
            assert up(answer.text) == 0
            assert decisions(answer.text) == before
        (small_disk / "ballast").unlink()
        wait_until(lambda: up(serve.ask("/metrics").text) == 1)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)
        assert serve.words().count("the disk is full") == 1


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state as another program would that writes to it."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_serve_while_another_process_has_locked_the_state(files: Files, writer: Writer) -> None:
    writer.write(50)
    with Serve(files) as serve:
        before = decisions(serve.ask("/metrics").text)
        with locked(files.state):
            writer.write(50)
            wait_until(lambda: up(serve.ask("/metrics").text) == 0)
            assert decisions(serve.ask("/metrics").text) == before
        wait_until(lambda: up(serve.ask("/metrics").text) == 1)
        assert counts_are_right(files, writer, serve.ask("/metrics").text)
        assert serve.words().count("is locked by another program") == 1


def test_collect_while_another_process_has_locked_the_state(files: Files, writer: Writer) -> None:
    writer.write(50)
    running.run("collect", *files.options)
    writer.write(50)
    with locked(files.state):
        ended = running.run("collect", *files.options)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is locked by another program" in ended.stderr
    ended = running.run("collect", *files.options)
    assert counts_are_right(files, writer, ended.stdout)


@pytest.mark.parametrize("closed", ["folder", "folder and state"])
def test_collect_while_the_state_s_folder_is_read_only(tmp_path: Path, closed: str) -> None:
    (tmp_path / "state").mkdir()
    files = Files(tmp_path)
    files.state = tmp_path / "state" / "state.sqlite3"
    writer = Writer(files.log, random.Random(1))
    writer.write(50)
    before = running.without_privileges()
    ended = running.run("collect", *files.options, before=before)
    assert counts_are_right(files, writer, ended.stdout)
    writer.write(50)
    paths = [files.state.parent] if closed == "folder" else [*files.state.parent.iterdir(), files.state.parent]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    ended = running.run("collect", *files.options, before=before)
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert ended.returncode in {0, 2}
    assert "Traceback" not in ended.stderr
    if closed == "folder and state":
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
    ended = running.run("collect", *files.options, before=before)
    assert counts_are_right(files, writer, ended.stdout)


def test_a_power_failure_that_leaves_any_part_of_the_write_ahead_log(tmp_path: Path) -> None:
    """Commits are flushed in their order, so what is left of that file after a power failure is its beginning.

    Whatever it is, the state is one that was committed, and the rest of the log is read again.
    """
    files = Files(tmp_path)
    writer = Writer(files.log, random.Random(1))
    kept = tmp_path / "kept"
    kept.mkdir()
    with closing(opened(files)) as store:
        for _ in range(4):
            writer.write(10)
            advance(files, store)
        for path in tmp_path.glob("state.sqlite3*"):
            shutil.copy(path, kept)
    whole = (kept / "state.sqlite3-wal").read_bytes()
    frame = 24 + 4096
    ends = {
        32 + number * frame + cut for number in range(len(whole) // frame) for cut in (0, 20, 24, 2000, frame - 1)
    }
    assert len(ends) > 60
    for end in sorted({0, 10, 32, *ends}):
        for path in tmp_path.glob("state.sqlite3*"):
            path.unlink()
        shutil.copy(kept / "state.sqlite3", files.state)
        files.state.with_name("state.sqlite3-wal").write_bytes(whole[:end])
        with closing(opened(files)) as store:
            advance(files, store)
        assert files.snapshot().decisions == writer.decisions, f"{end} bytes left"
        assert sum(files.snapshot().lines.values()) == writer.lines.total(), f"{end} bytes left"


def opened(files: Files) -> Store:
    return Store(files.state, window=running.WINDOW, max_domains=100)


def advance(files: Files, store: Store) -> None:
    sources = [FileSource(files.log, running.WINDOW.seconds)]
    with closing(Ingest(store, sources, Parser(secret=bytes(KEY_SIZE)), ListFiles([], []))) as ingest:
        ingest.advance(time.time())


def test_what_a_commit_counts_is_flushed_to_the_disk_before_it(
    files: Files, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power failure could take counted lines from the log, and the position would lie beyond its end."""
    happened: list[str] = []
    flush = os.fdatasync

    def note_flush(descriptor: int) -> None:
        happened.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        flush(descriptor)

    def note_merge(*arguments: Any, **named: Any) -> None:
        happened.append("merge")
        merge(*arguments, **named)

    merge = Store.merge
    monkeypatch.setattr(os, "fdatasync", note_flush)
    monkeypatch.setattr(Store, "merge", note_merge)
    writer.write(10)
    with files.ingest() as ingest:
        ingest.advance(time.time())
        ingest.advance(time.time())
    assert happened == [str(files.log), "merge"]
