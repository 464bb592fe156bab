"""A log with a writer that numbers its lines, and a reader that commits what it has counted, as `ingest` does."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import backports.zstd

from postgrey_exporter.sources.file.source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postgrey_exporter.sources import SourceStatus

WEEK: Final = 7 * 86400.0
SECONDS_UNTIL_SETTLED: Final = 61.0

COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": backports.zstd.compress,
}


class Log:
    """The log, its rotated files, and who writes and rotates them."""

    def __init__(self, folder: Path, name: str = "mail.log") -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self.path = folder / name
        self.written: list[bytes] = []

    def named(self, ending: str) -> Path:
        """Return the path of a rotated file: ``.1``, or ``old/mail.log.1`` for one in a folder below."""
        return self.path.parent / ending if "/" in ending else self.path.with_name(self.path.name + ending)

    def write(self, count: int = 1, to: Path | None = None, text: str = "2026-03-01T10:00:00 mx line {}") -> None:
        """Append numbered lines to the log, or to another file as a writer does that holds it open."""
        lines = [text.format(f"{len(self.written) + n:05}").encode() for n in range(count)]
        self.written += lines
        self.append(b"".join(line + b"\n" for line in lines), to)

    def append(self, content: bytes, to: Path | None = None) -> None:
        """Append bytes that are no whole lines."""
        with (to or self.path).open("ab") as file:
            file.write(content)

    @property
    def away(self) -> Path:
        """A place outside the log's folder, where nobody looks for it."""
        return self.path.parent.parent / "away"

    def rename(self, ending: str = ".1", *, create: bool = True) -> Path:
        """Rotate as logrotate does by default."""
        rotated = self.named(ending)
        self.path.rename(rotated)
        if create:
            self.path.touch()
        return rotated

    def copy(self, ending: str = ".1") -> Path:
        """Do the first half of copytruncate."""
        rotated = self.named(ending)
        rotated.write_bytes(self.path.read_bytes())
        return rotated

    def truncate(self) -> None:
        """Do the second half of copytruncate."""
        os.truncate(self.path, 0)

    @staticmethod
    def set_time(path: Path, moment: float) -> None:
        """Set when a file was last written."""
        os.utime(path, (moment, moment))

    def compress(self, path: Path, kind: str = "gz", to: Path | None = None) -> Path:
        """Compress a file and remove it, keeping its modification time."""
        archive = to or path.with_name(f"{path.name}.{kind}")
        archive.write_bytes(COMPRESS[kind](path.read_bytes()))
        shutil.copystat(path, archive)
        path.unlink()
        return archive


class Reader:
    """A source whose lines are collected, and committed together with its position."""

    def __init__(self, log: Log) -> None:
        self.path = log.path
        self.now = time.time()
        self.lines: list[bytes] = []
        self._committed: str | None = None
        self.commits = 0
        self.source = self._started()

    def read(self, seconds_later: float = 0.0) -> list[bytes]:
        """Read what has come, commit it, and return the new lines."""
        self.now += seconds_later
        new: list[bytes] = []
        for batch in self.source.batches(self.now) if self.source.is_due(self.now) else ():
            assert batch.lines.endswith(b"\n")
            new += batch.lines[:-1].split(b"\n")
        self._commit(new)
        return new

    def read_one_block_and_crash(self, seconds_later: float = 0.0) -> None:
        """Commit after the first block of lines and end right there, as SIGKILL would."""
        self.now += seconds_later
        for batch in self.source.batches(self.now):
            self._commit(batch.lines[:-1].split(b"\n"))
            break
        self.source = self._started()

    def restart(self) -> None:
        """End, and start again from what is committed."""
        self.source.close()
        self.source = self._started()

    def roll_back(self) -> None:
        """Go back to the last commit, as after a commit that failed."""
        self.source.resume(self._position())

    @property
    def status(self) -> SourceStatus:
        return self.source.status()

    @property
    def position_size(self) -> int:
        return len(self._committed or "")

    def _position(self) -> Any:
        return json.loads(self._committed) if self._committed else None

    def _started(self) -> FileSource:
        source = FileSource(self.path, WEEK)
        source.resume(self._position())
        return source

    def _commit(self, new: list[bytes]) -> None:
        position = json.dumps(self.source.position())
        if new or position != self._committed:
            self.commits += 1
            self._committed = position
            self.lines += new


def counted_once(log: Log, reader: Reader) -> bool:
    """Tell whether every line that was written was read once; shows the difference when an assertion fails."""
    written, read = Counter(log.written), Counter(reader.lines)
    lost = sorted(written - read)
    doubled = sorted(line for line, times in read.items() if times > 1)
    strange = sorted(read.keys() - written.keys())
    assert (lost, doubled, strange) == ([], [], [])
    return True
