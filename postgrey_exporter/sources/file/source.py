"""A log file and its rotated parts as one source: every line once, whatever rotation does.

The source keeps a register of every file that held a part of the log: how its content begins, how far it has been
read, and the checksum of what was read. At each look the files that are there are matched with the register by
content. A file that is known goes on where it was, under whatever name and compression; one that is not is new and is
read from its start. The register is the source's position.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.compression import DamagedError, LogFileError, explain_os_error
from postgrey_exporter.sources.file.folder import SETTLE_SECONDS, Folder, MovedError, Stamp, Trouble
from postgrey_exporter.sources.file.part import MisfitError, Part, State
from postgrey_exporter.sources.file.register import Register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgrey_exporter.sources.file.tail import LogTail

LOOK_AGAIN_SECONDS: Final = 60.0
"""How often the files are looked at although the folder is unchanged: permissions may change, old files grow."""
REST_SECONDS: Final = 600.0
"""The same where nothing at all has changed since such a look, and that left no file unread."""

_CLOCK_TICK_SECONDS: Final = 1.0
_MOST_LOOKS: Final = 50


class FileSource:
    """One log (``--mail-log``) with its rotated files."""

    def __init__(self, path: Path, window_seconds: float) -> None:
        """Take the log's path and how far back rotated files are read at the first start."""
        self.name = str(path)
        self._path = path
        self._window = window_seconds
        self._since: float | None = None
        self._register = Register(self.name)
        self._folder = Folder(path)
        self._looked_at: tuple[object, ...] | None = None
        self._at_rest: tuple[object, ...] | None = None
        self._seen_by_look: tuple[object, ...] | None = None
        self._folders: tuple[Path, ...] = ()
        self._last_look = 0.0
        self._newest: Part | None = None

    # --- the interface of a source

    def check(self) -> None:
        """Raise `LogFileError` where the log can't be read; a missing one is waited for."""
        try:
            self._folder.inspect_log()
        except LogFileError as error:
            if not isinstance(error.__cause__, FileNotFoundError) or self._path.is_symlink():
                raise

    def resume(self, position: Position | None) -> None:
        """Go back to a position that `position` returned; ``None`` is the first start."""
        saved = position or {}
        self._since = saved.get("since")
        self._register.restore(saved)
        self._folder.unreadable = {Stamp(*stamp): Trouble(*trouble) for stamp, trouble in saved.get("unreadable", [])}
        self._looked_at = self._at_rest = None

    def position(self) -> Position:
        """Return the register in JSON's types. The files that it speaks of are flushed to the disk."""
        for part in self._register.parts:
            if part.tail is not None:
                part.tail.flush()
        unreadable = [[list(stamp), list(trouble)] for stamp, trouble in self._folder.unreadable.items()]
        return {"since": self._since, "unreadable": unreadable, **self._register.saved()}

    def is_due(self, now: float) -> bool:
        """Tell whether the files have changed, or are being waited for."""
        longest = REST_SECONDS if self._at_rest == self._seen_by_look else LOOK_AGAIN_SECONDS
        return self._at_rest is None or not 0 <= now - self._last_look < longest or self._at_rest != self._stamps(now)

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield what has come, oldest file first, the log itself last."""
        if self._since is None:
            self._since = now - self._window
        before = self._stamps(now)
        for _ in range(_MOST_LOOKS):
            if self._must_look(now):
                self._seen_by_look = before if self._look(now, self._since) else None
            moved = False
            for part in self._reading_order():
                try:
                    yield from self._read(part, now)
                except (MovedError, MisfitError):
                    moved = True
                    self._looked_at = None
            if not moved:
                self._at_rest = before if self._waits_for_nothing() else None
                return

    def status(self) -> SourceStatus:
        """Return how the last reading went."""
        return SourceStatus(
            up=self._folder.error is None,
            error=self._folder.error,
            unread_bytes=sum(part.unread_bytes for part in self._register.parts),
            rotations=self._register.rotations,
            lost_bytes=self._register.lost_bytes,
            unreadable=tuple(trouble.message for trouble in self._folder.unreadable.values()),
            gaps=self._register.gaps,
        )

    def close(self) -> None:
        """Let go of all open files."""
        for part in self._register.parts:
            part.close()

    # --- looking: which file holds which part

    def _must_look(self, now: float) -> bool:
        """Tell whether files may have come, gone or changed places since the last look.

        Renaming, creating and deleting change the folder's modification time; truncation shows in the file.
        """
        before, self._looked_at = self._looked_at, self._state(now)
        live = self._register.live
        return (
            self._looked_at is None
            or self._looked_at != before
            or not 0 <= now - self._last_look < LOOK_AGAIN_SECONDS
            or (live is not None and (live.tail is None or not live.tail.intact()))
        )

    def _state(self, now: float) -> tuple[object, ...] | None:
        """Return what changes with the names in the folder; ``None`` while it is too new to show the next change."""
        real = Path(os.path.realpath(self._path))
        try:
            changed = [path.parent.stat().st_mtime_ns for path in (self._path, real)]
        except OSError:
            return None
        if max(changed) / 1e9 > now - _CLOCK_TICK_SECONDS:
            return None
        try:
            log = self._path.stat()
        except OSError:
            return (*changed, None)
        return (*changed, log.st_dev, log.st_ino, log.st_size == 0)

    def _stamps(self, now: float) -> tuple[object, ...] | None:
        """Return what changes with any change of the files that are followed, and with the names in their folders.

        ``None`` while it is too new to show the next change.
        """
        try:
            found = [path.stat() for path in (*self._folders, self._path)]
        except OSError:
            return None
        found += [part.tail.stat() for part in self._register.parts if part.tail is not None]
        if max(about.st_ctime for about in found) > now - _CLOCK_TICK_SECONDS:
            return None
        return tuple(
            (about.st_dev, about.st_ino, about.st_nlink, about.st_size, about.st_ctime_ns) for about in found
        )

    def _waits_for_nothing(self) -> bool:
        """Tell whether, after a reading, nothing more can come before the files change."""
        return (
            self._looked_at is not None
            and self._folder.error is None
            and not any(self._is_waited_for(part) for part in self._register.parts)
        )

    def _is_waited_for(self, part: Part) -> bool:
        return part.state not in {State.LIVE, State.ENDED} if part.tail is not None else self._is_wanted(part)

    def _look(self, now: float, since: float) -> bool:
        """Learn which file holds which part. What moves under a look makes it void: then another one is taken.

        The log is opened at once: from then on it can't be lost, however long the reading of others takes. Returns
        whether every file was there to be read.
        """
        self._last_look = now
        self._folders = tuple({self._path.parent, Path(os.path.realpath(self._path)).parent})
        for _ in range(_MOST_LOOKS):
            look = self._folder.look(now)
            matching = self._register.match(look, self._folder, now)
            if self._holds(matching.log_part) and self._folder.is_as_in(look):
                break
            if matching.log_part is not None and matching.log_part not in self._register.parts:
                matching.log_part.close()
        else:
            self._looked_at = None
            return False
        self._folder.note(look, now)
        self._register.accept(matching, look, self._folder, now, since)
        if matching.on_its_way:
            self._looked_at = None
        rotated = [part for part in self._register.parts if part.state in {State.ROTATED, State.ENDED}]
        plain = [part for part in rotated if part.tail is not None or (part.place is not None and part.place.plain)]
        self._newest = max(plain, key=_written, default=None)
        return look.unknown_until == float("-inf")

    def _holds(self, log_part: Part | None) -> bool:
        """Open the log; return whether it has what was taken to be in it."""
        if log_part is None or log_part.tail is not None:
            return True
        try:
            self._open(log_part)
        except (MovedError, MisfitError):
            return False
        return True

    # --- reading

    def _reading_order(self) -> list[Part]:
        parts = [part for part in self._register.parts if part.tail is not None or self._is_wanted(part)]
        return sorted(parts, key=lambda part: (part.state is State.LIVE, _written(part)))

    def _is_wanted(self, part: Part) -> bool:
        """Tell whether something may be read from the file that holds a part."""
        place = part.place
        if place is None or part.state in {State.OLD, State.LOST}:
            return False
        if not place.plain:
            return part.state is not State.WHOLE or not part.verified
        grown = place.stat.st_size > part.offset
        return part.state in {State.LIVE, State.ROTATED} or not part.verified or grown or part is self._newest

    def _read(self, part: Part, now: float) -> Iterator[Batch]:
        """Yield what a part has beyond its position. Raises `MovedError`, `MisfitError`."""
        if part.tail is None and part.place is not None:
            if not part.place.plain:
                yield from self._unpack(part, now)
            else:
                self._open(part)
        if part.tail is not None:
            try:
                yield from self._follow(part, part.tail, now)
            except OSError as error:
                self._folder.error = explain_os_error(self._path, error)
                self._looked_at = None
                part.close()

    def _open(self, part: Part) -> None:
        """Open a part's file. Where that fails, the next look finds out why."""
        try:
            if not part.open() and part.state is State.LIVE:
                self._register.note_shrinking()
        except (MovedError, MisfitError):
            raise
        except LogFileError:
            self._looked_at = None

    def _follow(self, part: Part, tail: LogTail, now: float) -> Iterator[Batch]:
        about = tail.stat()
        dated = now if part.state is State.LIVE else about.st_mtime
        before = part.offset
        for block in part.follow(tail):
            yield Batch(block, dated)
        if part.state is State.LIVE or part.tail is None:
            return
        if part.offset > before:
            part.state = State.ROTATED
        log_goes_on = any(other.state is State.LIVE and other.offset for other in self._register.parts)
        if log_goes_on or now - about.st_mtime >= SETTLE_SECONDS:
            for line in part.finish(tail):
                yield Batch(line, dated)
            self._register.note_end(part, State.ENDED)
            # The newest rotated file stays open: whoever writes the log may not have noticed yet.
            if part is not self._newest or about.st_nlink == 0:
                part.close()

    def _unpack(self, part: Part, now: float) -> Iterator[Batch]:
        place = part.place
        if place is None:
            return
        try:
            for block in part.unpack():
                yield Batch(block, place.stat.st_mtime)
        except (MovedError, MisfitError):
            raise
        except DamagedError as error:
            if not place.settled(now):
                self._looked_at = None  # it is still being written
                return
            self._folder.note_damage(place, error)
        except LogFileError as error:
            self._folder.note_damage(place, error)
            self._looked_at = None
            return
        else:
            self._folder.note_success(place)
        self._register.note_end(part, State.WHOLE)


def _written(part: Part) -> float:
    """Return when a part was last written to, in seconds since the epoch."""
    return part.place.stat.st_mtime if part.place is not None else part.seen
