"""The systemd journal as a source: every entry of postgrey's once, whatever rotation and vacuuming do.

The position is the cursor of the last entry that was handed out. Reading starts *at* that entry. If it comes first,
it is skipped. If it does not come, it was vacuumed; the time of the oldest entry that is left tells whether unread
entries were vacuumed too. (``--after-cursor`` would skip an entry that was never read.)

journalctl runs once for each reading at which the journal's files have changed. A child that follows the journal
(``--follow``) would be no cheaper, and could not tell when it has reached the end, which a scrape must know.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.blocks import joined
from postgrey_exporter.sources.compression import explain_os_error
from postgrey_exporter.sources.journal.bookmark import Bookmark, Continuation, restored
from postgrey_exporter.sources.journal.entry import MICROSECOND, Renderer, trusted_accounts
from postgrey_exporter.sources.journal.files import Files, Mark, folders, names, oldest_entry, scan
from postgrey_exporter.sources.journal.journalctl import (
    PATIENCE_SECONDS,
    Journalctl,
    JournalError,
    find_journalctl,
    postgreys,
)
from postgrey_exporter.sources.journal.text import BLOCK_BYTES
from postgrey_exporter.window import HOUR
from postgrey_exporter.wording import readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.sources.journal.entry import Entry

_log = logging.getLogger(__name__)

REST_SECONDS: Final = 15.0
"""How long no reading is due after journalctl ran: on a busy host the journal changes all the time."""
FIRST_PAUSE_SECONDS: Final = 2.0
"""The pause after journalctl failed. Each further failure doubles it."""
LONGEST_PAUSE_SECONDS: Final = 60.0

_ATTEMPTS: Final = 5


class JournalSource:
    """postgrey's entries in the journal (``--journal``)."""

    def __init__(
        self,
        window_seconds: float,
        *,
        tag: str,
        directory: Path | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Create the source of entries with postgrey's syslog tag.

        ``window_seconds`` is how far back the first start reads; ``directory`` holds another journal than the
        system's; ``patience`` is how many seconds journalctl may be silent.
        """
        self.name = "journal" if directory is None else f"journal:{directory}"
        self._window = window_seconds
        self._tag = tag
        self._directory = directory
        self._patience = patience
        self._places = folders() if directory is None else (directory,)
        self._renderer = Renderer(tag, trusted_accounts(tag))
        self._since: float | None = None
        self._bookmark: Bookmark | None = None
        self._last: Bookmark | None = None
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
        """Raise `JournalError` without journalctl, or without permission to read the journal."""
        find_journalctl()
        self._refuse_forbidden(scan(self._places))

    def resume(self, position: Position | None) -> None:
        """Return to a position that `position` returned; ``None`` is the first start."""
        saved: dict[str, Any] = position or {}
        self._since = saved.get("since")
        self._bookmark = restored(saved.get("last"))
        self._complete_until = saved.get("complete_until", 0.0)
        self._gaps = saved.get("gaps", 0)
        self._marks = frozenset()

    def position(self) -> Position:
        """Return the bookmark in JSON's types.

        The time until which everything was read is cut to the hour, because each change of the position is a commit.
        """
        return {
            "since": self._since,
            "last": self._bookmark.saved() if self._bookmark else None,
            "complete_until": self._complete_until // HOUR * HOUR,
            "gaps": self._gaps,
        }

    def is_due(self, now: float) -> bool:
        """Tell whether no pause after a failure is running."""
        return not 0 <= now - self._failed_at < self._pause

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield the new lines."""
        if self._since is None:
            self._since = now - self._window
        try:
            files = self._scan()
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
            unreadable=self._ignored,
            gaps=self._gaps,
            rest_until=self._rest_until,
        )

    def close(self) -> None:
        """Do nothing: no child outlives a reading."""

    # --- reading

    def _scan(self) -> Files:
        files = scan(self._places)
        self._refuse_forbidden(files)
        if not files.marks:
            places = " and ".join(map(str, self._places))
            raise JournalError(f"{self.name}: there are no journal files in {places}; is systemd-journald running?")
        return files

    @staticmethod
    def _refuse_forbidden(files: Files) -> None:
        """Raise `JournalError` if a file is forbidden: reading without it would skip its entries for good."""
        for path, error in files.forbidden:
            raise JournalError(explain_os_error(path, error)) from error

    def _read(self, files: Files, now: float) -> Iterator[Batch]:
        """Yield the entries after the bookmark. Raises `JournalError` after what could be read."""
        with self._opened(files) as child:
            try:
                for block in joined(self._lines(child, files), BLOCK_BYTES):
                    self._bookmark = self._last
                    yield Batch(block, now)
            except JournalError:
                self._failed_at = now
                self._pause = min(max(FIRST_PAUSE_SECONDS, self._pause * 2), LONGEST_PAUSE_SECONDS)
                raise
            finally:
                self._note_ignored(child.ignored_files())
        self._rest_until = now + REST_SECONDS
        self._pause = 0.0

    def _lines(self, child: Journalctl, files: Files) -> Iterator[bytes]:
        """Yield the line of each entry after the bookmark."""
        start = self._last = self._bookmark
        continuation = Continuation(start)
        for entry in child.entries():
            if continuation.is_known(entry):
                continue
            if start is not None and continuation.vacuumed and self._last is start:
                self._note_gap(start, entry, files)
            self._last = Bookmark.of(entry, self._last)
            yield self._renderer.line(entry)

    @contextmanager
    def _opened(self, files: Files) -> Iterator[Journalctl]:
        """Start a journalctl that has opened all of the files.

        If a file is renamed while journalctl starts, journalctl may miss it, and yield later entries without the
        ones in that file. Raises `JournalError` if that happens again and again.
        """
        for _ in range(_ATTEMPTS):
            arguments = [self._starting_point(), *postgreys(self._tag, self._directory, self._patience)]
            with Journalctl(self._directory, arguments, self._patience) as child:
                child.wait_until_open()
                if names(scan(self._places)) == names(files):
                    yield child
                    return
            files = self._scan()
        raise JournalError(f"{self.name}: the journal's files change faster than they can be opened")

    def _starting_point(self) -> str:
        if self._bookmark:
            return f"--cursor={self._bookmark.cursor}"
        return f"--since=@{max(0.0, self._since or 0.0):.6f}"  # a window may reach back before 1970

    def _note_gap(self, start: Bookmark, first: Entry, files: Files) -> None:
        """Log a gap if the bookmark's entry was vacuumed and unread entries may have been vacuumed with it."""
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
