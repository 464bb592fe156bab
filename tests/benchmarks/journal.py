"""The journal: 100,000 entries, written by systemd-journal-remote, read by journalctl into a new state."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from sources.journal.measure import Cost, collect, write_journal
from support.parts.requirement import find_program

ENTRIES: Final = 100_000
WRITER: Final = "systemd-journal-remote"


class Figures(NamedTuple):
    """Medians of some runs, the child's share included."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def journal_figures(entries: int, runs: int, folder: Path) -> Figures | None:
    """Write a journal, collect it that often, each time into a new state; ``None`` without the writer."""
    if find_program(WRITER) is None or find_program("journalctl") is None:
        return None
    with tempfile.TemporaryDirectory(dir=folder) as place:
        journal = write_journal(Path(place) / "journal", entries)
        costs: list[Cost] = [collect(journal, Path(place) / f"state-{run}.sqlite3") for run in range(runs)]
    return Figures(
        median(cost.seconds for cost in costs),
        median(cost.cpu_seconds for cost in costs),
        max(cost.peak_kib for cost in costs) * 1024 / 1e6,
    )
