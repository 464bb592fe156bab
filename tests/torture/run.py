"""One run of torture: a log that is written and rotated while the exporter is started, killed, and started again.

All decisions come from a seed: what is written, when it is rotated, and at which step of its work a forked process is
killed. Where in its work a process is hit that is killed by the clock is up to the machine.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.parts.waiting import free_port, wait_until
from support.running import ask

from torture.counts import Difference, compare, samples
from torture.exporter import KILLED, Process, command, die_at_step, forked, pause
from torture.places import place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STEPS: Final = 80_000
"""About as many function calls and returns as one `collect` takes."""
_LIFE_SECONDS: Final = 0.25
_COMMAND_LIFE_SECONDS: Final = 1.5
_CYCLES_BETWEEN_CHECKS: Final = 8


@dataclass(slots=True)
class Result:
    """What came of a run."""

    scheme: str
    seed: str
    kills: int = 0
    commands_killed: int = 0
    """Of these, how many were the true command and not a fork."""
    completed: int = 0
    scrapes: int = 0
    rotations: int = 0
    checks: int = 0
    lines: int = 0
    difference: Difference | None = None


class Run:
    """A place with its writer and its rotation, and one exporter after the other on the same state."""

    def __init__(self, folder: Path, scheme: str, seed: str, commands: int) -> None:
        """Take an empty folder, one of `PLACES`, and how many of a hundred processes shall be the true command."""
        self._chance = random.Random(f"{seed}/{scheme}")
        self._folder = folder
        self._state = folder / "state" / "state.sqlite3"
        self._output = folder / "output"
        self._metrics = folder / "metrics.prom"
        self._commands = commands
        for name in ("whitelist", "ignore"):
            (folder / name).touch()
        self._place = place(scheme, folder, self._chance)
        self._writer = self._place.writer
        self._rotation = self._place.rotation
        self.result = Result(scheme, seed)

    def until(self, kills: int) -> Result:
        """Torture until so many processes were killed, or lines are lost or doubled."""
        self._writer.write(50)
        cycles: tuple[tuple[int, Callable[[], None]], ...] = (
            (10, self._killed_at_a_step),
            (4, self._killed_by_the_clock),
            (5, self._serving),
            (1, self._completed),
        )
        while self.result.kills < kills:
            for _ in range(_CYCLES_BETWEEN_CHECKS):
                weights, actions = zip(*((weight, action) for weight, action in cycles), strict=True)
                self._chance.choices(actions, weights)[0]()
            if self._check():
                break
        self._writer.close()
        return self.result

    # --- what happens to the log

    def _something(self) -> None:
        """Let the log grow, and rotate it now and then."""
        match self._chance.randrange(10):
            case 0 | 1:
                self._rotation.rotate_under(self._writer, self._chance.randint(0, 5))
                self.result.rotations += 1
            case 2:
                self._writer.begin_line()
            case _:
                self._writer.write(self._chance.randint(1, 40))

    def _some_things(self, most: int = 4) -> None:
        for _ in range(self._chance.randint(0, most)):
            self._something()

    # --- what happens to the exporter

    def _killed_at_a_step(self) -> None:
        self._some_things()
        step = self._chance.randrange(_STEPS)
        process = forked(self._collect(), self._output, lambda: die_at_step(step))
        if self._chance.random() < 0.3:
            self._some_things()
        self._count(process.wait())

    def _killed_by_the_clock(self) -> None:
        self._some_things()
        process, life = self._start(self._collect())
        self._some_things(2)
        pause(life)
        self._count(process.kill())

    def _completed(self) -> None:
        self._some_things()
        self._count(forked(self._collect(), self._output).wait())

    def _serving(self) -> None:
        port = free_port()
        process, life = self._start(["serve", *self._options(), "--web.listen-address", f"127.0.0.1:{port}"])
        url = f"http://127.0.0.1:{port}"
        try:
            if self._chance.random() < 0.8:
                wait_until(lambda: _is_ready(url), what=f"serve to be ready; see {self._output}")
                for _ in range(self._chance.randint(1, 5)):
                    self._some_things(3)
                    self._scrape(url)
            self._some_things(2)
            pause(life if self._chance.random() < 0.5 else 0)
        finally:
            self._count(process.kill())

    def _scrape(self, url: str) -> None:
        """Scrape, and see that the answer has all decisions that are in the log."""
        answer = ask(f"{url}/metrics")
        self.result.scrapes += 1
        counted = sum(
            value for (name, _), value in samples(answer.text).items() if name == "postgrey_decisions_total"
        )
        written = self._writer.decisions.total()
        if counted != written:
            self.result.difference = self.result.difference or Difference()
            self.result.difference.words.append(f"a scrape had {counted:g} of {written} decisions")
        elif not self._writer.in_line:
            self._rotation.let_go()

    def _start(self, arguments: list[str]) -> tuple[Process, float]:
        """Start a process; return it with how long it may live."""
        if self._chance.randrange(100) < self._commands:
            self.result.commands_killed += 1
            return command(arguments, self._output), self._chance.uniform(0, _COMMAND_LIFE_SECONDS)
        return forked(arguments, self._output), self._chance.uniform(0, _LIFE_SECONDS)

    def _count(self, status: int) -> None:
        if status == KILLED:
            self.result.kills += 1
        else:
            self.result.completed += 1

    def _check(self) -> bool:
        """Read all there is, and compare; return whether something is wrong."""
        self._rotation.let_minutes_pass()
        for _ in range(2):
            # Twice: an unfinished last line counts once the log was seen to go on without it.
            self._writer.write(1)
            status = forked(self._collect(), self._output).wait()
        self.result.checks += 1
        self.result.lines = self._writer.number
        found = compare(
            self._writer, self._metrics.read_text(), self._state, self._place.source, gaps=self._rotation.leaves_gaps
        )
        if status != 0:
            found.words.append(f"collect ended with {status}; see {self._output}")
        if self.result.difference is not None:
            found.words += self.result.difference.words
        self.result.difference = found or None
        self._rotation.let_go()
        return bool(found)

    def _collect(self) -> list[str]:
        return ["collect", *self._options(), "--output", str(self._metrics)]

    def _options(self) -> list[str]:
        return [
            *self._place.options,
            *("--state", str(self._state)),
            *("--whitelist-file", str(self._folder / "whitelist")),
            *("--ignore-file", str(self._folder / "ignore")),
            *("--log.level", "warn"),
        ]


def _is_ready(url: str) -> bool:
    with suppress(OSError):
        return ask(f"{url}/-/ready").status == 200
    return False
