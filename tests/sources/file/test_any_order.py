"""Whatever happens in whatever order: writing, rotating, compressing, stopping, crashing, as a seed will have it.

``python tests/sources/file/test_any_order.py FIRST LAST`` tries as many seeds as one likes and tells what went wrong.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from sources.file.scene import COMPRESS, SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = 150
_STEPS = 25


class Unfinished(NamedTuple):
    """A line that was begun."""

    path: Path
    whole: bytes
    begun: bytes


class Story:
    """A log that something happens to. Every line has its number, unfinished ones too."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._log = Log(folder)
        self._reader = Reader(self._log)
        self._began = time.time()
        self._reader.now += 1e5  # so that its clock is nobody else's
        self._dated = self._chance.random() < 0.5
        self._copying = self._chance.random() < 0.5
        self._day = 0
        self._unfinished: Unfinished | None = None
        self.told: list[str] = []

    def tell(self) -> None:
        """Let it happen, then read all there is, and compare."""
        acts: dict[Callable[[], None], int] = {
            self._write: 30,
            self._begin_line: 8,
            self._finish_line: 3,
            self._rotate: 17,
            self._compress: 5,
            self._read: 17,
            self._crash: 7,
            self._fail_to_commit: 3,
            self._restart: 7,
            self._copy_the_folder: 1,
        }
        for act in self._chance.choices([*acts], [*acts.values()], k=_STEPS):
            self.told.append(act.__name__)
            act()
            self._let_files_have_the_time()
        self._finish_line()
        for _ in range(2):
            self._log.write()
            self._let_files_have_the_time()
            self._reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
            self._reader.read()
        assert counted_once(self._log, self._reader), self.told
        status = self._reader.status
        assert (status.gaps, status.lost_bytes, status.unreadable) == (0, 0, ()), self.told

    def close(self) -> None:
        self._reader.source.close()

    # --- the writer

    def _write(self) -> None:
        self._finish_line()
        self._log.write(self._chance.choice((1, 1, 2, 5, 20, 40, 100)))

    def _begin_line(self) -> None:
        self._finish_line()
        whole = f"2026-03-01T10:00:00 mx line {len(self._log.written):05} begun".encode()
        begun = whole[: -self._chance.randint(1, 6)]
        self._log.append(begun)
        self._unfinished = Unfinished(self._log.path, whole, begun)

    def _finish_line(self) -> None:
        if self._unfinished is not None:
            path, whole, begun = self._unfinished
            self._log.append(whole[len(begun) :] + b"\n", path)
            self._log.written.append(whole)
            self._unfinished = None

    def _abandon_line(self) -> None:
        if self._unfinished is not None:
            self._log.written.append(self._unfinished.begun)
            self._unfinished = None

    # --- rotation

    def _rotate(self) -> None:
        if not self._log.path.exists():
            return
        ending = self._next_ending()
        if self._copying:
            self._abandon_line()
            self._log.copy(ending)
            self._let_files_have_the_time()
            if self._chance.random() < 0.3:
                self._reader.read()
            self._log.truncate()
        else:
            rotated = self._log.rename(ending, create=self._chance.random() < 0.7)
            if self._unfinished is not None:
                self._unfinished = self._unfinished._replace(path=rotated)
            if self._chance.random() < 0.3:
                self._finish_line()
                if self._chance.random() < 0.5:
                    self._reader.read()
                self._log.write(self._chance.randint(1, 5), to=rotated)
            else:
                self._abandon_line()
        if self._chance.random() < 0.3:
            self._compress()

    def _next_ending(self) -> str:
        self._day += 1
        if self._dated:
            return f"-2026{3 + self._day // 28:02}{1 + self._day % 28:02}"
        for path in sorted(self._rotated_files(), key=_number, reverse=True):
            name, _, rest = path.name.partition(f".{_number(path)}")
            path.rename(path.with_name(f"{name}.{_number(path) + 1}{rest}"))
        return ".1"

    def _compress(self) -> None:
        plain = [path for path in self._rotated_files() if path.suffix[1:] not in COMPRESS and path.stat().st_size]
        if plain:
            self._log.compress(self._chance.choice(plain), self._chance.choice(sorted(COMPRESS)))

    def _rotated_files(self) -> list[Path]:
        return sorted(path for path in self._log.path.parent.iterdir() if path != self._log.path)

    # --- the reader

    def _read(self) -> None:
        self._reader.read(seconds_later=self._chance.choice((0, 0, 0, 1, SECONDS_UNTIL_SETTLED, 5000)))

    def _crash(self) -> None:
        self._reader.read_one_block_and_crash(seconds_later=self._chance.choice((0, SECONDS_UNTIL_SETTLED)))

    def _fail_to_commit(self) -> None:
        list(self._reader.source.batches(self._reader.now))
        self._reader.roll_back()

    def _restart(self) -> None:
        self._reader.restart()

    def _copy_the_folder(self) -> None:
        """As when a volume is moved while the exporter is down: other inodes, all else the same."""
        folder = self._log.path.parent
        before = folder.rename(folder.with_name(f"before-{self._reader.now}"))
        shutil.copytree(before, folder)
        self._reader.restart()

    def _let_files_have_the_time(self) -> None:
        """Give what was just written the reader's time, which is another one at each step."""
        self._reader.now += 0.001
        for path in self._log.path.parent.iterdir():
            if self._began - 1 <= path.stat().st_mtime < self._began + 5e4:
                self._log.set_time(path, self._reader.now)


def _number(path: Path) -> int:
    return int(path.name.split(".")[2])


def test_every_line_counts_once_in_whatever_order_things_happen(folder: Path) -> None:
    for seed in range(SEEDS):
        story = Story(folder / str(seed), seed)
        try:
            story.tell()
        finally:
            story.close()


def main() -> int:
    first, last = map(int, sys.argv[1:])
    failed = 0
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as folder:
            story = Story(Path(folder) / "log", seed)
            try:
                story.tell()
            except AssertionError as error:
                failed += 1
                print(f"seed {seed}: {error}\n{story.told}")
            finally:
                story.close()
    print(f"{last + 1 - first} stories, {failed} ended badly")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
