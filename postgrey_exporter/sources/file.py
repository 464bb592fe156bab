"""A log file and its rotated parts as one source: every line once, whatever rotation does.

The source keeps a register of every file that held a part of the log: its content's head, how far it has been
read, and what stood just before that point. At each look the files that are there are matched against the
register by content. A file that is known goes on where it was, under whatever name and compression; one that is
not is new and is read from its start. The register is the source's position.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.archive import LogFileError, explain_os_error, looks_binary
from postgrey_exporter.sources.part import Part
from postgrey_exporter.sources.rotation import Candidate, digest, inspect, is_copy, rotated_names
from postgrey_exporter.sources.tail import LogTail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 60.0
"""How long a rotated file may still change: rsyslog writes on until it gets its HUP, gzip takes its time."""
FORGET_SECONDS: Final = 30 * 86400.0
"""How long a file that is gone stays in the register, in case it comes back under another name."""


class FileSource:
    """One log (``--mail-log``) with its rotated files."""

    def __init__(self, path: Path, window_seconds: float) -> None:
        """Take the log's path and how far back rotated files are read at the first start."""
        self.name = str(path)
        self._path = path
        self._window = window_seconds
        self._parts: list[Part] = []
        self._since: float | None = None
        self._rotations = 0
        self._lost_bytes = 0
        self._error: str | None = f"{path}: not read yet"
        self._unreadable: dict[Path, str] = {}
        self._looked_at: tuple[int, ...] | None = None
        self._archives: dict[tuple[Any, ...], Candidate] = {}

    # --- the interface of a source

    def check(self) -> None:
        """Raise `LogFileError` where the log can't be read; a missing one is waited for."""
        try:
            self._inspect(self._path)
        except LogFileError:
            if self._path.exists() or self._path.is_symlink():
                raise

    def resume(self, position: Position | None) -> None:
        """Go back to a position that `position` returned; ``None`` is the first start."""
        self.close()
        saved = position or {}
        self._looked_at = None
        self._parts = [Part(**part) for part in saved.get("parts", [])]
        self._since = saved.get("since")
        self._rotations = saved.get("rotations", 0)
        self._lost_bytes = saved.get("lost_bytes", 0)

    def position(self) -> Position:
        """Return the register in JSON's types."""
        return {
            "since": self._since,
            "rotations": self._rotations,
            "lost_bytes": self._lost_bytes,
            "parts": [part.saved() for part in self._parts if part.head_size],
        }

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield what has come, oldest file first, the log itself last."""
        if self._since is None:
            self._since = now - self._window
        if self._must_look():
            self._look(now)
        for part in self._reading_order():
            yield from self._read(part, now)

    def status(self) -> SourceStatus:
        """Return how the last reading went."""
        return SourceStatus(
            up=self._error is None,
            error=self._error,
            unread_bytes=sum(part.unread_bytes for part in self._parts),
            rotations=self._rotations,
            lost_bytes=self._lost_bytes,
            unreadable=tuple(self._unreadable.values()),
        )

    def close(self) -> None:
        """Let go of all open files."""
        for part in self._parts:
            part.close()

    # --- looking: which file holds which part

    def _must_look(self) -> bool:
        """Tell whether files may have come, gone or changed places since the last look.

        Renaming, creating and deleting change the folder's modification time; truncation shows in the file.
        """
        try:
            folder, log = self._path.parent.stat(), self._path.stat()
        except OSError:
            self._looked_at = None
            return True
        state = (folder.st_mtime_ns, log.st_dev, log.st_ino)
        unchanged, self._looked_at = state == self._looked_at, state
        live = self._live_part()
        return not (unchanged and live is not None and live.is_in_open_file())

    def _look(self, now: float) -> None:
        candidates = self._candidates(now)
        log = next((candidate for candidate in candidates if candidate.path == self._path), None)
        was_live = self._live_part()
        for part in self._parts:
            part.place = None
            if part.tail is not None and not part.is_in_open_file():
                part.close()
        self._match(candidates, now)
        self._register_new(candidates, log, now)
        if was_live is not None and was_live.place is not log:
            self._let_go(was_live)
        for part in self._parts:
            part.live = part.live if log is None and part.place is None else part.place is log and log is not None
        self._parts = [part for part in self._parts if part.place or part.tail or now - part.seen < FORGET_SECONDS]

    def _live_part(self) -> Part | None:
        return next((part for part in self._parts if part.live), None)

    def _let_go(self, part: Part) -> None:
        """Note that the log is another file now; say so where the rest of the old one can't be had any more."""
        part.live = False
        self._rotations += 1
        _log.info("%s was rotated", self._path)
        if part.place is None and part.tail is None:
            self._lost_bytes += part.unread_bytes
            _log.error(
                "%s: the file that was being read is gone and no rotated file has its content; lost are %d bytes "
                "known to be unread, and whatever was written to it after that",
                self._path,
                part.unread_bytes,
            )

    def _candidates(self, now: float) -> list[Candidate]:
        """Inspect the log and its rotated files; remember what can't be read."""
        self._error = None
        failures: dict[Path, str] = {}
        found: list[Candidate] = []
        try:
            paths = [*rotated_names(self._path), self._path]
        except OSError as error:
            self._error = explain_os_error(self._path.parent, error)
            return found
        for path in paths:
            try:
                found.append(self._inspect(path))
            except LogFileError as error:
                self._looked_at = None
                if path == self._path:
                    self._error = str(error)
                elif _settled(path, now):
                    failures[path] = str(error)
        for path in failures.keys() - self._unreadable.keys():
            _log.warning("%s; its lines are not counted", failures[path])
        self._unreadable = failures
        return [candidate for candidate in found if candidate.head]

    def _inspect(self, path: Path) -> Candidate:
        try:
            about = path.stat()
        except OSError as error:
            raise LogFileError(explain_os_error(path, error)) from error
        key = (path, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        if key in self._archives:
            return self._archives[key]
        candidate = inspect(path)
        if path == self._path and not candidate.plain:
            raise LogFileError(f"{path}: is compressed; name the log that is being written, rotated files are found")
        if candidate.plain and looks_binary(candidate.head):
            raise LogFileError(f"{path}: is a binary file; name a log file")
        if not candidate.plain:
            self._archives[key] = candidate
        return candidate

    def _match(self, candidates: list[Candidate], now: float) -> None:
        """Find each part's file: the same inode rather than another, plain rather than compressed."""
        pairs = [(part, candidate) for part in self._parts for candidate in candidates if part.is_in(candidate)]
        pairs.sort(key=lambda pair: (pair[1].stat.st_ino != pair[0].inode, not pair[1].plain, -pair[1].stat.st_mtime))
        taken: set[Path] = set()
        for part, candidate in pairs:
            if part.place is None and candidate.path not in taken:
                part.found_in(candidate, now)
                taken.add(candidate.path)

    def _register_new(self, candidates: list[Candidate], log: Candidate | None, now: float) -> None:
        """Take up the files that hold no known part. A copy of another file is none: it is being made, or kept."""
        known = [part.place for part in self._parts if part.place is not None]
        if log is not None and log not in known:
            self._parts.append(self._new_part(log, now))
            known.append(log)
        for candidate in sorted(candidates, key=lambda c: (not c.plain, -c.stat.st_size)):
            if candidate in known:
                continue
            if not any(is_copy(candidate, other) for other in known):
                self._parts.append(self._new_part(candidate, now))
            known.append(candidate)

    def _new_part(self, candidate: Candidate, now: float) -> Part:
        part = Part(seen=now, inode=candidate.stat.st_ino, size=candidate.stat.st_size, place=candidate)
        since = now if self._since is None else self._since
        if candidate.path != self._path and candidate.stat.st_mtime < since:
            # From before the window: kept in the register, so that it is not taken for new one day, and not read.
            part.head_size, part.head_digest = len(candidate.head), digest(candidate.head)
            part.settle()
        return part

    # --- reading

    def _reading_order(self) -> list[Part]:
        def age(part: Part) -> tuple[bool, float]:
            return (part.live, part.place.stat.st_mtime if part.place else part.seen)

        return sorted((part for part in self._parts if not part.complete), key=age)

    def _read(self, part: Part, now: float) -> Iterator[Batch]:
        if part.tail is None and part.place is not None:
            if not part.place.plain:
                yield from self._read_archive(part, part.place)
            elif part.live or part.unread_bytes:
                part.tail = self._open(part, part.place)
        if part.tail is not None:
            yield from self._follow(part, part.tail, now)

    def _open(self, part: Part, place: Candidate) -> LogTail | None:
        try:
            tail = LogTail(place.path, part.offset)
        except (OSError, LogFileError):
            self._looked_at = None  # it was moved after the look: look again
            return None
        if tail.stat().st_ino != place.stat.st_ino:
            self._looked_at = None
            tail.close()
            return None
        return tail

    def _follow(self, part: Part, tail: LogTail, now: float) -> Iterator[Batch]:
        about = tail.stat()
        dated = now if part.live else about.st_mtime
        for block in part.follow(tail):
            yield Batch(block, dated)
        if part.live:
            return
        log_goes_on = any(other.live and other.offset for other in self._parts)
        if log_goes_on or now - about.st_mtime >= SETTLE_SECONDS:
            for line in part.finish(tail):
                yield Batch(line, dated)
            # The newest rotated file stays open: whoever writes the log may not have noticed yet.
            newest = max((p for p in self._parts if p.tail and not p.live), key=lambda p: p.seen)
            if part is not newest or about.st_nlink == 0:
                part.close()

    def _read_archive(self, part: Part, place: Candidate) -> Iterator[Batch]:
        try:
            for block in part.unpack(place):
                yield Batch(block, place.stat.st_mtime)
        except LogFileError as error:
            if place.path not in self._unreadable:
                _log.warning("%s; the lines before the damage are counted", error)
            self._unreadable[place.path] = str(error)
            part.settle()


def _settled(path: Path, now: float) -> bool:
    """Tell whether a file has not changed for a while, so that what is wrong with it is not on its way."""
    try:
        return now - path.lstat().st_mtime >= SETTLE_SECONDS
    except OSError:
        return False
