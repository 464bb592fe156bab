"""``python -m torture.crash_points``: kill the reading between each two of its steps, every one of them.

A step is: a block handed out by the source, its lines read, a position taken, a tally merged, and each single
statement that SQLite is given, BEGIN and COMMIT included. A fork of this process is killed before and after each.
What it left is then read to the end, and has to add up.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.ingest import Ingest, Limits
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window
from torture.exporter import KILLED
from torture.folders import fresh_folder
from torture.schemes import SCHEMES, Rotation
from torture.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK: Final = 1500
"""Bytes read at a time here, so that a small log has many blocks."""

_WINDOW: Final = Window()


class Steps:
    """Counts the steps of this process, and ends it at one of them."""

    def __init__(self, fatal: int | None = None) -> None:
        self.names: list[str] = []
        self._fatal = fatal

    def __call__(self, name: str) -> None:
        if len(self.names) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            self(f"before {name}")
            result = function(*arguments, **named)
            self(f"after {name}")
            return result

        return stepping


class SteppingConnection(sqlite3.Connection):
    """Tells of each statement before it is run."""

    steps: Steps

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.set_trace_callback(lambda statement: self.steps(" ".join(statement.split())[:40]))


def main() -> int:
    folder = fresh_folder("crash-points")
    scene, start = folder / "scene", folder / "start"
    writer = prepare(scene)
    scene.rename(start)
    steps = Steps()
    set_up(start, scene)
    read(scene, steps)
    if words := wrong(scene, writer):
        print(f"even without a crash: {words}; see {scene}")
        return 1
    for number, name in enumerate(steps.names):
        set_up(start, scene)
        pid = os.fork()
        if pid == 0:
            read(scene, Steps(number))
            os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        read(scene)
        words = wrong(scene, writer)
        if status != KILLED or words:
            print(f"step {number}, {name}: ended with {status}; {words}; see {scene}")
            return 1
    shutil.rmtree(folder)
    commits = steps.names.count("COMMIT")
    print(f"killed at each of {len(steps.names)} steps with {commits} commits among them: all counts are right")
    return 0


def set_up(start: Path, scene: Path) -> None:
    """Make the scene what it was at the start: the same log files, and a copy of the state."""
    shutil.rmtree(scene, ignore_errors=True)
    shutil.copytree(start / "log", scene / "log", copy_function=os.link)
    for path in start.glob("state.*"):
        shutil.copy(path, scene)


def prepare(folder: Path) -> Writer:
    """Make a log that was read in part and rotated several times since, with an archive and an unfinished line."""
    log = folder / "log" / "mail.log"
    log.parent.mkdir(parents=True)
    writer = Writer(log, random.Random(1))
    rotation = Rotation(log, SCHEMES["delaycompress"])
    writer.write(10)
    read(folder)
    for _ in range(3):
        writer.write(20)
        rotation.rotate_under(writer, 2)
    writer.begin_line()
    rotation.rotate()
    writer.abandon_line()
    writer.reopen()
    writer.write(20)
    writer.begin_line()
    writer.finish_line()
    writer.close()
    rotation.let_minutes_pass()
    return writer


def read(folder: Path, steps: Steps | None = None) -> None:
    """Read all there is, committing after each block."""
    with stepping(steps or Steps()):
        log, state = folder / "log" / "mail.log", folder / "state.sqlite3"
        with closing(Store(state, window=_WINDOW, max_domains=1000)) as store:
            sources = [FileSource(log, _WINDOW.seconds, block_size=BLOCK)]
            parser = Parser(secret=store.secret())
            with closing(Ingest(store, sources, parser, ListFiles([], []), Limits(commit_bytes=1))) as ingest:
                ingest.advance(time.time())


def wrong(folder: Path, writer: Writer) -> str:
    """Tell in what the counts differ from what was written."""
    with closing(StateReader(folder / "state.sqlite3")) as reader:
        snapshot = reader.snapshot()
        attempts = {client.name: new + early_retry for client, new, early_retry in reader.clients(0)}
    greylisted = {
        (domain.domain, reason): count
        for domain in snapshot.domains
        for reason, count in (("new", domain.new), ("early-retry", domain.early_retry))
        if count
    }
    lines = {outcome: count for (_, outcome), count in snapshot.lines.items() if count}
    found: list[str] = []
    for what, counted, written in (
        ("greylisted", greylisted, dict(writer.greylisted)),
        ("decisions", snapshot.decisions, dict(writer.decisions)),
        ("lines", lines, dict(writer.lines)),
        ("clients", attempts, dict.fromkeys(writer.clients, 1)),
    ):
        if counted != written:
            found.append(f"{what}: {sorted(counted.items() ^ written.items())[:6]}")
    return "; ".join(found)


class stepping:  # noqa: N801 - a context manager that reads as a verb
    """Puts steps everywhere; takes them away again."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._kept: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> None:
        steps = self._steps
        SteppingConnection.steps = steps
        for owner, name in ((Parser, "read"), (FileSource, "position"), (Store, "merge")):
            self._put(owner, name, steps.around(getattr(owner, name), name))
        self._put(FileSource, "batches", _stepping_batches(FileSource.batches, steps))
        self._put(sqlite3, "connect", _connecting(sqlite3.connect))

    def __exit__(self, *_: object) -> None:
        for owner, name, value in reversed(self._kept):
            setattr(owner, name, value)

    def _put(self, owner: Any, name: str, value: Any) -> None:
        self._kept.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)


def _stepping_batches(batches: Callable[..., Iterator[Any]], steps: Steps) -> Callable[..., Iterator[Any]]:
    def stepping_batches(source: FileSource, now: float) -> Iterator[Any]:
        steps("before the first block")
        for batch in batches(source, now):
            steps("a block")
            yield batch
            steps("before the next block")

    return stepping_batches


def _connecting(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    def stepping_connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=SteppingConnection, **named)

    return stepping_connect


if __name__ == "__main__":
    sys.exit(main())
