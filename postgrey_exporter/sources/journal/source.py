"""The systemd journal as a source: every entry of postgrey's once, whatever rotation and vacuuming do.

The position is the cursor of the last entry that was handed out. Reading starts *at* that entry: if it comes first,
it is passed over; if it does not come, it was vacuumed, and whether others went unread with it is told by the time of
the oldest entry that is left. (``--after-cursor`` would pass over an entry that was never read instead.)

journalctl runs for each look at which the journal's files have changed, and ends. A child that follows
(``--follow``) would be no cheaper and could not say when it has come to the end, which a scrape has to know.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.compression import explain_os_error
from postgrey_exporter.sources.journal.bookmark import Bookmark, Continuation, restored
from postgrey_exporter.sources.journal.entry import MICROSECOND, Renderer, trusted_accounts
from postgrey_exporter.sources.journal.files import Files, Mark, folders, look, names, oldest_entry
from postgrey_exporter.sources.journal.journalctl import Journalctl, JournalError, find_journalctl, postgreys
from postgrey_exporter.sources.journal.text import BLOCK_BYTES
from postgrey_exporter.window import HOUR
from postgrey_exporter.wording import readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.sources.journal.entry import Entry

_log = logging.getLogger(__name__)

REST_SECONDS: Final = 15.0
"""How long no look is due after one for which journalctl ran: on a busy host the journal changes all the time."""
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""The pauses between attempts while journalctl fails; each is twice the one before."""

_ATTEMPTS: Final = 5


class JournalSource:
    """postgrey's entries in the journal (``--journal``)."""

    def __init__(self, window_seconds: float, *, tag: str, directory: Path | None = None) -> None:
        """Take how far back the first start reads, postgrey's syslog tag, and another journal than the system's."""
        self.name = "journal" if directory is None else f"journal:{directory}"
        self._window = window_seconds
        self._tag = tag
        self._directory = directory
        self._places = folders() if directory is None else (directory,)
        self._renderer = Renderer(tag, trusted_accounts(tag))
        self._since: float | None = None
        self._bookmark: Bookmark | None = None
        self._gaps = 0
        self._complete_until = 0.0
        self._marks: frozenset[Mark] = frozenset()
        self._error: str | None = f"{self.name}: not read yet"
        self._ignored: tuple[str, ...] = ()
        self._pause = 0.0
        self._failed_at = 0.0
        self._rest_until = 0.0

    # --- the interface of a source

    def check(self) -> None:
        """Raise `JournalError` where there is no journalctl, or no permission to read the journal."""
        find_journalctl()
        self._refuse_closed(look(self._places))

    def resume(self, position: Position | None) -> None:
        """Go back to a position that `position` returned; ``None`` is the first start."""
        saved: dict[str, Any] = position or {}
        self._since = saved.get("since")
        self._bookmark = restored(saved.get("last"))
        self._complete_until = saved.get("complete_until", 0.0)
        self._gaps = saved.get("gaps", 0)
        self._marks = frozenset()

    def position(self) -> Position:
        """Return the bookmark in JSON's types.

        Up to when all was complete is told by the hour: each change of the position is a commit.
        """
        return {
            "since": self._since,
            "last": self._bookmark.saved() if self._bookmark else None,
            "complete_until": self._complete_until // HOUR * HOUR,
            "gaps": self._gaps,
        }

    def is_due(self, now: float) -> bool:
        """Tell whether no pause is being made after a failure."""
        return not 0 <= now - self._failed_at < self._pause

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield what has come."""
        if self._since is None:
            self._since = now - self._window
        try:
            files = self._look()
            if files.marks != self._marks:
                yield from self._read(files, now)
        except JournalError as error:
            self._error = str(error)
            return
        self._marks = files.marks
        self._complete_until = max(self._complete_until, now)
        self._error = None

    def status(self) -> SourceStatus:
        """Return how the last reading went."""
        return SourceStatus(
            up=self._error is None,
            error=self._error,
            unread_bytes=0,
            rotations=0,
            lost_bytes=0,
            unreadable=self._ignored,
            gaps=self._gaps,
            rest_until=self._rest_until,
        )

    def close(self) -> None:
        """Do nothing: no child outlives a reading."""

    # --- reading

    def _look(self) -> Files:
        files = look(self._places)
        self._refuse_closed(files)
        if not files.marks:
            places = " and ".join(map(str, self._places))
            raise JournalError(f"{self.name}: there are no journal files in {places}; is systemd-journald running?")
        return files

    @staticmethod
    def _refuse_closed(files: Files) -> None:
        """Raise where a file is closed to us: its entries would be passed over if reading went on without it."""
        for path, error in files.closed:
            raise JournalError(explain_os_error(path, error)) from error

    def _read(self, files: Files, now: float) -> Iterator[Batch]:
        """Yield what journalctl has from the bookmark on. Raises `JournalError` after what could be read."""
        failure: JournalError | None = None
        start = last = self._bookmark
        continuation = Continuation(start)
        with self._opened(files) as child:
            lines: list[bytes] = []
            size = 0
            try:
                for entry in child.entries():
                    if continuation.is_known(entry):
                        continue
                    if start is not None and continuation.gone and last is start:
                        self._note_gone(start, entry, files)
                    last = last.moved(entry) if last else Bookmark.at(entry)
                    lines.append(self._renderer.line(entry))
                    size += len(lines[-1])
                    if size >= BLOCK_BYTES:
                        self._bookmark = last
                        yield Batch(b"".join(lines), now)
                        lines.clear()
                        size = 0
            except JournalError as error:
                failure = error
            self._note_ignored(child.ignored_files())
        self._bookmark = last
        if lines:
            yield Batch(b"".join(lines), now)
        if failure is not None:
            self._failed_at = now
            self._pause = min(max(FIRST_PAUSE_SECONDS, self._pause * 2), LONGEST_PAUSE_SECONDS)
            raise failure
        self._rest_until = now + REST_SECONDS
        self._pause = 0.0

    @contextmanager
    def _opened(self, files: Files) -> Iterator[Journalctl]:
        """Start a journalctl that has opened all of the files.

        While files are renamed under it, it may open the new one and miss what the old one is called now; the
        entries missed would then lie before those that it yields. Raises `JournalError` when that goes on.
        """
        for _ in range(_ATTEMPTS):
            with Journalctl(self._directory, [self._starting_point(), *postgreys(self._tag)]) as child:
                child.wait_until_open()
                if names(look(self._places)) == names(files):
                    yield child
                    return
            files = self._look()
        raise JournalError(f"{self.name}: the journal's files change faster than they can be opened")

    def _starting_point(self) -> str:
        if self._bookmark:
            return f"--cursor={self._bookmark.cursor}"
        return f"--since=@{max(0.0, self._since or 0.0):.6f}"  # a window may reach back before 1970

    def _note_gone(self, start: Bookmark, first: Entry, files: Files) -> None:
        """Say that the bookmark's entry was vacuumed, and what may have gone with it unread."""
        complete_until = max(start.realtime, int(self._complete_until * MICROSECOND))
        oldest = oldest_entry(files)
        if oldest is not None and oldest <= complete_until:
            return
        self._gaps += 1
        _log.error(
            "%s: the last entry that was read, of %s, was vacuumed; reading goes on with that of %s. What postgrey "
            "logged in between and was vacuumed unread is not counted; give the journal more room (SystemMaxUse= in "
            "journald.conf) or keep the exporter running",
            self.name,
            _moment(complete_until),
            _moment(first.realtime),
        )

    def _note_ignored(self, ignored: tuple[str, ...]) -> None:
        for complaint in ignored:
            if complaint not in self._ignored:
                _log.warning("%s: journalctl says: %s", self.name, complaint)
        self._ignored = ignored


def _moment(microseconds: int) -> str:
    return readable(microseconds // MICROSECOND)
