"""``python -m torture.peers``: lost and doubled lines of this exporter, plain pygtail and mtail, as Markdown tables.

Every reader meets the same: the log is rotated while it runs, while it is stopped, and while it is killed in the
middle. A line is a greylisting of a client of its own; it is lost if nobody counted it, doubled if it counts twice.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from torture.folders import fresh_folder
from torture.readers import READERS, Reader
from torture.schemes import SCHEMES, Rotation, Scheme
from torture.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SITUATIONS: Final = ("while it runs", "while it is stopped", "killed in the middle")


class Contest:
    """One reader under one scheme, in each situation in turn."""

    def __init__(self, make: Callable[[Path, Path], Reader], scheme: Scheme, seed: str, folder: Path) -> None:
        self._chance = random.Random(f"{seed}/{scheme.name}")
        log = folder / "log" / "mail.log"
        log.parent.mkdir()
        (folder / "reader").mkdir()
        self._writer = Writer(log, self._chance)
        self._rotation = Rotation(log, scheme)
        self._writer.write(20)
        self.reader = make(log, folder / "reader")
        self._of: dict[str, str] = {}
        """In which situation a client was written."""

    def run(self, rounds: int) -> dict[str, tuple[int, int, int]]:
        """Return lines, lost and doubled ones by situation."""
        self.reader.start()
        self.reader.catch_up()
        self._assign(SITUATIONS[0])
        for _ in range(rounds):
            self._running()
            self._stopped()
            self._killed()
        self._writer.write(1)
        self.reader.catch_up()
        self._assign(SITUATIONS[0])
        self._rotation.let_minutes_pass()
        self.reader.catch_up()
        self.reader.catch_up()
        self.reader.stop()
        self._writer.close()
        counted = self.reader.counted()
        lines = Counter(self._of.values())
        lost = Counter(self._of[client] for client in self._of.keys() - counted.keys())
        doubled = Counter(self._of.get(client, SITUATIONS[0]) for client, times in counted.items() if times > 1)
        return {situation: (lines[situation], lost[situation], doubled[situation]) for situation in SITUATIONS}

    def _running(self) -> None:
        self._writer.write(self._chance.randint(1, 40))
        self._rotate()
        self._writer.write(self._chance.randint(1, 40))
        self.reader.catch_up()
        self._assign(SITUATIONS[0])

    def _stopped(self) -> None:
        self.reader.stop()
        for _ in range(self._chance.randint(1, 2)):
            self._writer.write(self._chance.randint(1, 40))
            self._rotate()
        self._writer.write(self._chance.randint(1, 40))
        self.reader.start()
        self.reader.catch_up()
        self._assign(SITUATIONS[1])

    def _killed(self) -> None:
        self._writer.write(self._chance.randint(1, 40))
        if self._chance.random() < 0.5:
            self._rotate()
        self.reader.kill(self._chance.uniform(0, 0.3))
        self._writer.write(self._chance.randint(1, 40))
        self.reader.start()
        self.reader.catch_up()
        self._assign(SITUATIONS[2])

    def _rotate(self) -> None:
        self._rotation.rotate_under(self._writer, self._chance.randint(0, 5))

    def _assign(self, situation: str) -> None:
        for client in self._writer.clients - self._of.keys():
            self._of[client] = situation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds for each scheme; one meets each situation")
    parser.add_argument("--seed", default="1", help="what makes a run the same again")
    parser.add_argument(
        "--scheme", action="append", choices=sorted(SCHEMES), help="only this one; may be given again"
    )
    options = parser.parse_args()
    by_scheme: defaultdict[str, list[Counter[str]]] = defaultdict(list)
    by_situation: defaultdict[str, list[Counter[str]]] = defaultdict(list)
    names: list[str] = []
    for make in READERS:
        situations: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for name in options.scheme or SCHEMES:
            folder = fresh_folder("peers")
            contest = Contest(make, SCHEMES[name], options.seed, folder)
            total: Counter[str] = Counter()
            for situation, (lines, lost, doubled) in contest.run(options.rounds).items():
                found = Counter(lines=lines, lost=lost, doubled=doubled)
                situations[situation] += found
                total += found
            by_scheme[name].append(total)
            shutil.rmtree(folder)
            print(f"{contest.reader.name}, {name}: {dict(total)}", file=sys.stderr, flush=True)
        names.append(contest.reader.name)
        for situation in SITUATIONS:
            by_situation[situation].append(situations[situation])
    print(table("rotation", names, by_scheme))
    print(table("situation, all rotations together", names, by_situation))
    return any(totals[0]["lost"] or totals[0]["doubled"] for totals in by_scheme.values())


def table(what: str, names: list[str], rows: dict[str, list[Counter[str]]]) -> str:
    """Return a Markdown table of lost and doubled lines."""
    text = [f"| {what} | lines | " + " | ".join(f"{name}: lost | doubled" for name in names) + " |"]
    text.append("|---|" + "---:|" * (1 + 2 * len(names)))
    for name, totals in rows.items():
        numbers = " | ".join(f"{total['lost']} | {total['doubled']}" for total in totals)
        text.append(f"| {name} | {totals[0]['lines']} | {numbers} |")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    sys.exit(main())
