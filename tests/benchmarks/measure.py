"""Runs commands and measures them whole: from their start to their end, children included."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SAMPLE_SECONDS: Final = 0.01
_PSS: Final = re.compile(r"^Pss:\s+([0-9]+) kB", re.MULTILINE)

_ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""An operator's: what a developer wants of Python, such as no bytecode or no buffers, would be measured too."""

Command = tuple[str, ...]


class FailedError(Exception):
    """A command that was to be measured failed."""


class Run(NamedTuple):
    """One run of a command."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of processor time, user and system."""
    peak_mb: float
    """Most resident memory of its largest process, in MB (10^6 bytes)."""


class Figures(NamedTuple):
    """The medians of some runs, and the memory of all processes together."""

    wall: float
    cpu: float
    peak_mb: float


def run(command: Command, prepare: Callable[[], None] = lambda: None) -> Run:
    """Run a command once, its output thrown away. Raises `FailedError`."""
    prepare()
    with tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=_ENVIRONMENT) as process:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise FailedError(f"{' '.join(command)}: exit {process.returncode}: {said.read().strip()[-500:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def alternate(commands: Sequence[Command], runs: int, prepare: Callable[[], None] = lambda: None) -> list[Figures]:
    """Run commands in turn, so that what else the machine does falls on all of them; return each one's medians."""
    done: list[list[Run]] = [[] for _ in commands]
    for _ in range(runs):
        for command, its_runs in zip(commands, done, strict=True):
            its_runs.append(run(command, prepare))
    figures = []
    for command, its_runs in zip(commands, done, strict=True):
        together = memory_of_all(command, prepare)
        figures.append(
            Figures(
                median(one.wall for one in its_runs),
                median(one.cpu for one in its_runs),
                max(together, median(one.peak_mb for one in its_runs)),
            )
        )
    return figures


def memory_of_all(command: Command, prepare: Callable[[], None] = lambda: None) -> float:
    """Run a command once more; return the most memory that its processes had together, in MB.

    Pages that several processes share are counted once. It is a run of its own because looking costs time.
    """
    prepare()
    most = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_ENVIRONMENT) as process:
        while process.poll() is None:
            most = max(most, sum(map(_memory, _family(process.pid))))
            time.sleep(_SAMPLE_SECONDS)
    return most


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(int(child)))]


def _memory(pid: int) -> float:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0
