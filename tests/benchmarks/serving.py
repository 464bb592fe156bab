"""`serve` under load: how long scrapes take, and what it needs of processor and memory meanwhile.

The log of a week is read into a state; then a real `serve` goes on from there while lines are appended at a steady
rate and every second the metrics are asked for, as Prometheus does.

    python -m benchmarks.serving FOLDER [SCENARIO …]

The folder is kept: logs and the state of the week are made at first use. Prints a line for each scenario.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.judging import write_list
from benchmarks.loaded_serve import LINES_A_SECOND, Appender, Scrapes, Serving, cpu_seconds, lines_read
from benchmarks.make_log import Mail, other_lines, postgrey_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MILLION: Final = 1_000_000
_ENTRIES: Final = 5_000
_BEFORE_THE_TURN: Final = 20
_SECONDS_UNTIL_AT_REST: Final = 90
_SECONDS_AT_REST: Final = 300


class Bench:
    """The folder in which it is measured."""

    def __init__(self, folder: Path, scale: float, scrapes: int) -> None:
        """Take the folder, a factor for the week's size, and how often to scrape."""
        self._folder = folder
        self._decisions = int(MILLION * scale)
        self._scrapes = scrapes
        self._whitelist = folder / "whitelist"
        folder.mkdir(parents=True, exist_ok=True)

    def follow(self, kind: str) -> str:
        """Scrape while a log grows."""
        with self._resumed() as (serving, log):
            cpu, begun = serving.cpu(), time.monotonic()
            with Appender(log, self._lines(kind), time.time).at_work() as appender:
                scrapes = self._scrape(serving, self._scrapes, 1.0, appender)
                share = (serving.cpu() - cpu) / (time.monotonic() - begun)
            return f"{scrapes.text()}; {share:.1%} of a core; {_memory(serving)}"

    def turn(self) -> str:
        """Scrape over the turn of the hour, when the window moves on."""
        offset = 3600 - time.time() % 3600 - _BEFORE_THE_TURN
        with self._resumed(offset=offset) as (serving, log):
            with Appender(log, self._lines("postgrey"), lambda: time.time() + offset).at_work() as appender:
                scrapes = self._scrape(serving, 2 * _BEFORE_THE_TURN, 1.0, appender)
            return f"{scrapes.text()}; {_memory(serving)}"

    def edit(self) -> str:
        """Scrape while a list is edited: every client is judged anew."""
        with self._resumed() as (serving, _):
            scrapes = self._scrape(serving, 20, 0.1)
            write_list(self._whitelist, _ENTRIES)
            changed = time.monotonic()
            again = Scrapes()
            entries = b'file="%b",list="whitelist"} %d.0' % (str(self._whitelist).encode(), _ENTRIES)
            while entries not in serving.ask("/metrics")[1] and time.monotonic() < changed + 60:
                self._one(serving, again)
                time.sleep(0.05)
            until = time.monotonic() - changed
            return f"before: {scrapes.text()}; after: {again.text()}; entries in force after {until:.2f} s"

    def backfill(self) -> str:
        """Scrape while the whole week is read for the first time."""
        folder = self._scratch()
        log = self._week()
        serving = Serving(log, folder / "state.sqlite3", *self._lists())
        try:
            serving.until("/-/healthy")
            scrapes, begun = Scrapes(), time.monotonic()
            while serving.ask("/-/ready")[0] != 200:
                self._one(serving, scrapes)
                time.sleep(0.2)
            return f"{scrapes.text()}; ready after {time.monotonic() - begun:.1f} s; {_memory(serving)}"
        finally:
            serving.end()

    def idle(self) -> str:
        """Look on while nothing happens, beside two others to which nothing happens either.

        A program that only sleeps shows what waking up costs here: on a host that is shared with others, or that
        takes memory away from who sleeps, that is the most of it.
        """
        with self._resumed() as (serving, log), self._idle_peers(log) as peers:
            time.sleep(_SECONDS_UNTIL_AT_REST)
            pids = (serving.pid, *peers)
            before, switches, begun = [cpu_seconds(pid) for pid in pids], serving.switches(), time.monotonic()
            time.sleep(_SECONDS_AT_REST)
            after, lasted = [cpu_seconds(pid) for pid in pids], time.monotonic() - begun
            ours, mtail, sleeper = ((end - start) / lasted for start, end in zip(before, after, strict=True))
            rate = (serving.switches() - switches) / lasted
            return (
                f"{ours:.2%} of a core, {rate:.2f} wake-ups a second, all threads; meanwhile mtail {mtail:.2%}, a "
                f"Python that sleeps a second at a time {sleeper:.2%}; {_memory(serving)}"
            )

    @contextmanager
    def _idle_peers(self, log: Path) -> Iterator[tuple[int, int]]:
        """Start an mtail that follows the log, and a Python that only sleeps; return their process ids."""
        programs = self._folder / "mtail"
        programs.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("postgrey.mtail"), programs)
        mtail = ("mtail", "--progs", str(programs), "--logs", str(log), "--address", "127.0.0.1", "--port", "0")
        sleeper = (sys.executable, "-c", "import time\nwhile True: time.sleep(1)")
        with subprocess.Popen(mtail, stderr=subprocess.DEVNULL) as first, subprocess.Popen(sleeper) as second:
            try:
                yield first.pid, second.pid
            finally:
                first.terminate()
                second.terminate()

    def _scrape(self, serving: Serving, count: int, pause: float, appender: Appender | None = None) -> Scrapes:
        scrapes = Scrapes()
        first, next_at = self._counted(serving), time.monotonic()
        before = appender.lines if appender else 0
        for _ in range(count):
            next_at += pause
            time.sleep(max(0.0, next_at - time.monotonic()))
            appended = appender.lines - before if appender else 0
            found = self._one(serving, scrapes)
            scrapes.behind.append(max(0, appended - (found - first)))
        return scrapes

    def _one(self, serving: Serving, scrapes: Scrapes) -> int:
        begun = time.perf_counter()
        _, body = serving.ask("/metrics")
        scrapes.seconds.append(time.perf_counter() - begun)
        scrapes.size = len(body)
        return lines_read(body)

    def _counted(self, serving: Serving) -> int:
        return lines_read(serving.ask("/metrics")[1])

    @contextmanager
    def _resumed(self, offset: float = 0.0) -> Iterator[tuple[Serving, Path]]:
        """Return a `serve` that goes on from the week, and its log."""
        folder = self._scratch()
        kept = self._week_in_state()
        for file in kept.parent.iterdir():
            shutil.copy(file, folder)
        serving = Serving(self._week(), folder / kept.name, *self._lists(), offset=offset)
        try:
            serving.until("/-/ready")
            yield serving, self._week()
        finally:
            serving.end()
            os.truncate(self._week(), json.loads((self._folder / "size").read_text()))

    def _lists(self) -> tuple[str, ...]:
        self._whitelist.write_text("")
        (self._folder / "ignore").write_text("")
        return ("--whitelist-file", str(self._whitelist), "--ignore-file", str(self._folder / "ignore"))

    def _scratch(self) -> Path:
        folder = self._folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _week(self) -> Path:
        log = self._folder / "mail.log"
        if not log.exists():
            program = Path(__file__).with_name("make_log.py")
            subprocess.run([sys.executable, program, "postgrey", str(self._decisions), log], check=True)
            (self._folder / "size").write_text(json.dumps(log.stat().st_size))
        return log

    def _week_in_state(self) -> Path:
        state = self._folder / "week" / "state.sqlite3"
        if not state.exists():
            log = self._week()
            state.parent.mkdir()
            command = (sys.executable, "-m", "postgrey_exporter", "collect", "--mail-log", log, "--state", state)
            subprocess.run([*command, *self._lists()], check=True, stdout=subprocess.DEVNULL)
        return state

    def _lines(self, kind: str) -> list[tuple[bytes, ...]]:
        """Return blocks of lines without their stamps: more than a scenario appends."""
        each = 10 if kind == "mixed" else 1
        wanted = (self._scrapes + 60) * LINES_A_SECOND // each
        blocks: list[tuple[bytes, ...]] = []
        for attempt in Mail(2, time.time(), wanted).attempts():
            text = other_lines(attempt, "") + postgrey_line(attempt, "") if each > 1 else postgrey_line(attempt, "")
            blocks.append(tuple(text.encode().splitlines(keepends=True)))
            if len(blocks) == wanted:
                return blocks
        return blocks


def _memory(serving: Serving) -> str:
    now, most = serving.memory()
    return f"{now:.0f} MB resident, {most:.0f} MB at most"


def scenarios(bench: Bench) -> dict[str, tuple[Callable[[], str], str]]:
    """Return what there is to measure, each with its goal."""
    scrapes = "p99 < 50 ms"
    return {
        "postgrey": (lambda: bench.follow("postgrey"), f"{scrapes}; 15 % of a core"),
        "mixed": (lambda: bench.follow("mixed"), f"{scrapes}; 15 % of a core"),
        "turn": (bench.turn, scrapes),
        "edit": (bench.edit, f"{scrapes}; in force after 1 s"),
        "backfill": (bench.backfill, f"{scrapes}; 80 MB"),
        "idle": (bench.idle, "0.1 % of a core; 60 MB"),
    }


def main() -> None:
    """Run the scenarios that were asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("scenario", nargs="*", help="postgrey, mixed, turn, edit, backfill, idle [all]")
    arguments.add_argument("--scale", type=float, default=1.0, help="factor for the week's size")
    arguments.add_argument("--scrapes", type=int, default=60)
    chosen = arguments.parse_args()
    known = scenarios(Bench(chosen.folder.absolute(), chosen.scale, chosen.scrapes))
    for name in chosen.scenario or known:
        measure, goal = known[name]
        print(f"{name}: {measure()}; load {os.getloadavg()[0]:.1f} (goal: {goal})", flush=True)


if __name__ == "__main__":
    main()
