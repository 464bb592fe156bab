"""Watches list files: an edit is seen at the next look, and a file that can't be read keeps its last content."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter import __version__
from postgrey_exporter.lists.content import ListContent, ListWarning, Name
from postgrey_exporter.lists.ignore import read_ignore
from postgrey_exporter.lists.index import Lists
from postgrey_exporter.lists.netaddr import Network
from postgrey_exporter.lists.whitelist import read_whitelist

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from postgrey_exporter.lists.content import ListKind
    from postgrey_exporter.lists.patterns import ClientPattern

READERS: Final = {"whitelist": read_whitelist, "ignore": read_ignore}
"""What reads the content of a list, by its kind."""
LARGEST_LIST: Final = 32 * 1024 * 1024
"""Bytes; whatever is larger is no list but a mistake, such as a mail log."""

_CLOCK_TICK_SECONDS: Final = 2.0
"""How long a change may be followed by another that leaves the same time; file systems differ."""
_READ_ATTEMPTS: Final = 3
_OPTIONAL_ENDING: Final = ".local"
"""postgrey does not miss a whitelist of this name (read_clients_whitelists)."""


class ListFileStatus(NamedTuple):
    """How one list file is doing."""

    path: Path
    list: ListKind
    up: bool
    """Whether what is in force is what the file says now."""
    entries: int
    """Entries in force, those of the last good content where the file is not up."""
    warnings: tuple[ListWarning, ...]
    last_change: float | None
    """When the content last changed, seconds since the epoch; ``None`` for a file that was never there."""
    error: str | None
    """Why the file is not up, in one line; ``None`` where it is."""
    undecided: int = 0
    """How often since the start a pattern of the file took too long for a name."""


class ListFiles:
    """The list files that were given, and what they say together."""

    def __init__(self, whitelist: Sequence[Path], ignore: Sequence[Path], optional: Collection[Path] = ()) -> None:
        """Take the files in the order in which they apply. Nothing is read before the first `refresh`.

        A whitelist named ``….local`` may be missing or vanish, as for postgrey. Those in ``optional`` may be missing,
        but once they were there they are missed.
        """
        self._whitelist = [_ListFile(path, "whitelist", optional=path in optional) for path in whitelist]
        self._ignore = [_ListFile(path, "ignore", optional=path in optional) for path in ignore]
        self._files = [*self._whitelist, *self._ignore]
        self.lists = Lists()
        """What the files say; replaced, never altered, when they change."""

    def is_due(self) -> bool:
        """Tell, without reading a file, whether `refresh` may find anything else than the last time."""
        return any(file.is_due() for file in self._files)

    def doubt(self) -> None:
        """Have the next `refresh` read all files, whatever their stamps say."""
        for file in self._files:
            file.doubted = True

    def refresh(self, now: float) -> bool:
        """Take over what changed by ``now``, in seconds since the epoch; return whether anything did.

        A file that can't be read is no error: see `statuses`.
        """
        changed = [file.refresh(now) for file in self._files]
        if any(changed):
            self.lists = Lists([file.content for file in self._whitelist], [file.content for file in self._ignore])
        return any(changed)

    @property
    def fingerprint(self) -> str:
        """Return what stands for all that decides: what was judged by the same one need not be judged again."""
        return _digest(repr((__version__, [file.fingerprint() for file in self._files])).encode())

    def statuses(self) -> list[ListFileStatus]:
        """Return how each file is doing, in the order given, whitelists first."""
        return [file.status() for file in self._files]


class _UnusableError(Exception):
    """A file can't be read as a list; the message says why and what to do."""


def identity(about: os.stat_result | None) -> tuple[int, ...] | None:
    """Return what tells one state of a file from another without reading it; ``None`` for a missing file."""
    if about is None:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


class _Reading(NamedTuple):
    """A file as it was at one moment."""

    data: bytes
    about: os.stat_result | None
    """``None`` where it was not there."""
    shows_changes: bool
    """Whether any change since shows in the identity: the file had lain still for a while."""


class _ListFile:
    def __init__(self, path: Path, kind: ListKind, *, optional: bool) -> None:
        self._path = path
        self._kind = kind
        self._may_vanish = kind == "whitelist" and path.name.endswith(_OPTIONAL_ENDING)
        self._may_be_missing = optional or self._may_vanish
        self._reading: _Reading | None = None
        self._looked = False
        self._last_change: float | None = None
        self._error: str | None = "not read yet"
        self._digest: str | None = ""
        self._patterns: list[tuple[int, ClientPattern]] = []
        self.doubted = False
        """Whether to read it whatever its stamps say."""
        self._undecided_before = 0
        self.content = ListContent(str(path))

    def is_due(self) -> bool:
        """Tell whether the file may not be any more what was read last, or could not be read then."""
        if self._reading is None or self._error is not None or self.doubted:
            return True
        try:
            found = self._path.stat()
        except FileNotFoundError:
            found = None
        except OSError:
            return True
        return identity(found) != identity(self._reading.about) or not self._reading.shows_changes

    def refresh(self, now: float) -> bool:
        """Read the file if it may have changed; tell whether its content has."""
        if not self.is_due():
            return False
        looked, self._looked = self._looked, True
        try:
            reading = self._read(now)
        except _UnusableError as error:
            self._error = f"{self._path} {error}"
            return False
        self._error = None
        self.doubted = False
        before, self._reading = self._reading, reading
        changed = before is None or reading.data != before.data
        modified = reading.about and reading.about.st_mtime_ns / 1e9
        times = [self._last_change, modified, now if changed and looked else None]
        self._last_change = max((time for time in times if time is not None), default=None)
        if changed:
            self.content = READERS[self._kind](reading.data, str(self._path))
            self._digest = None
            self._undecided_before = self._undecided
            self._patterns = [
                (entry.line, entry.covers)
                for entry in self.content.entries
                if not isinstance(entry.covers, (Name, Network))
            ]
        return changed

    def fingerprint(self) -> tuple[str, str]:
        if self._digest is None:
            self._digest = _digest(self._reading.data if self._reading else b"")
        return self._kind, self._digest

    def status(self) -> ListFileStatus:
        too_slow = tuple(
            ListWarning(str(self._path), line, "this pattern takes too long for some names: it covers none of them")
            for line, pattern in self._patterns
            if pattern.undecided
        )
        return ListFileStatus(
            path=self._path,
            list=self._kind,
            up=self._error is None,
            entries=len(self.content.entries),
            warnings=self.content.warnings + too_slow,
            last_change=self._last_change,
            error=self._error,
            undecided=self._undecided,
        )

    @property
    def _undecided(self) -> int:
        return self._undecided_before + sum(pattern.undecided for _, pattern in self._patterns)

    def _read(self, now: float) -> _Reading:
        """Return the file as it is; raises `_UnusableError`."""
        try:
            _checked(self._path.stat())
            return self._read_open(now)
        except FileNotFoundError:
            was_there = self._reading is not None and self._reading.about is not None
            if self._may_vanish or (self._may_be_missing and not was_there):
                return _Reading(b"", None, shows_changes=True)
            raise _UnusableError("is not there: create it, or name the right file") from None
        except PermissionError:
            raise _UnusableError("can't be read: give this program's user the permission") from None
        except OSError as error:
            raise _UnusableError(f"can't be read: {error.strerror}") from None

    def _read_open(self, now: float) -> _Reading:
        # Without O_NONBLOCK a FIFO put in the file's place after the check above would block for ever.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            for _ in range(_READ_ATTEMPTS):
                before = _checked(os.fstat(descriptor))
                file.seek(0)
                data = file.read(before.st_size + 1)
                after = _checked(os.fstat(descriptor))
                if identity(before) == identity(after):
                    settled = after.st_ctime_ns / 1e9 < now - _CLOCK_TICK_SECONDS
                    return _Reading(data, after, shows_changes=settled)
        raise _UnusableError("changes while it is read: it is read again at the next look")


def _checked(result: os.stat_result) -> os.stat_result:
    """Return what is told of a file that can be a list; raises `_UnusableError` for anything else."""
    if stat.S_ISDIR(result.st_mode):
        raise _UnusableError("is a directory: name the list file itself")
    if not stat.S_ISREG(result.st_mode):
        raise _UnusableError("is no regular file: a list can't be read from a pipe, socket or device")
    if result.st_size > LARGEST_LIST:
        raise _UnusableError(f"is larger than {LARGEST_LIST >> 20} MiB: name a list, not a log")
    return result


def _digest(content: bytes) -> str:
    import hashlib  # noqa: PLC0415 - a report, which needs no fingerprint, should not wait for it

    return hashlib.sha256(content).hexdigest()
