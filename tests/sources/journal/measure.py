"""How long 100,000 journal entries take and what memory, and what an idle journal costs.

``python tests/sources/journal/measure.py`` prints the medians; the benchmark imports the functions.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from sources.journal.journals import BEGIN, Journal, decisions
from sources.journal.serving import Serve

ENTRIES: Final = 100_000
_CHUNK: Final = 20_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What one run of `collect` over a journal took."""

    seconds: float
    cpu_seconds: float
    """Of collect and of its journalctl together."""
    peak_kib: int
    """The greatest resident memory of either process."""


def write_journal(folder: Path, entries: int = ENTRIES, clients: int = 2000) -> Journal:
    """Write decisions about some clients, twenty a second."""
    journal = Journal(folder)
    for start in range(0, entries, _CHUNK):
        numbers = range(start, min(entries, start + _CHUNK))
        journal.append(decisions(numbers, seconds_apart=0.05, clients=clients))
    return journal


def collect(journal: Journal, state: Path) -> Cost:
    """Read a journal into a new state."""
    days = (time.time() - BEGIN) / 86_400 + 2
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "postgrey_exporter", "collect"),
            *(f"--journal-directory={journal.directory}", f"--state={state}", f"--window={days:.0f}d"),
        ],
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu, used.ru_maxrss)


def idle(journal: Journal, seconds: float) -> float:
    """Return the share of a core that `serve` uses while nobody scrapes and nothing is logged."""
    with Serve([f"--journal-directory={journal.directory}"]) as serve:
        serve.caught_up()
        serve.metrics()  # what is done once after the first reading is no idling
        begun, used = time.monotonic(), _cpu_seconds(serve.pid)
        time.sleep(seconds)
        return (_cpu_seconds(serve.pid) - used) / (time.monotonic() - begun)


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and of its children that have ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = write_journal(Path(folder) / "journal")
        costs = [collect(journal, Path(folder) / f"state-{number}.sqlite3") for number in range(3)]
        print(f"{ENTRIES} entries: {statistics.median(cost.seconds for cost in costs):.2f} s", end=", ")
        print(f"{statistics.median(cost.cpu_seconds for cost in costs):.2f} s of CPU", end=", ")
        print(f"{max(cost.peak_kib for cost in costs) // 1024} MiB at most")
        print(f"idle: {idle(journal, 60):.3%} of a core")


if __name__ == "__main__":
    main()
