"""The position in the journal, and which entries to skip when reading continues from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from postgrey_exporter.sources.journal.entry import Entry

_MOST_TWINS: Final = 1000


class Bookmark(NamedTuple):
    """The last entry that was handed out: up to it, everything was read."""

    cursor: str
    """journald's name for the entry."""
    realtime: int
    """Its time, in microseconds since the epoch."""
    twins: tuple[str, ...] = ()
    """The cursors of the entries before it that have the same time."""

    @classmethod
    def of(cls, entry: Entry, last: Bookmark | None) -> Bookmark:
        """Return the bookmark of an entry; ``last`` is the bookmark of the entry before it."""
        if last is None or last.realtime != entry.realtime:
            return cls(entry.cursor, entry.realtime)
        return cls(entry.cursor, entry.realtime, (*last.twins[-_MOST_TWINS:], last.cursor))

    def saved(self) -> dict[str, Any]:
        """Return the bookmark in JSON's types."""
        return {"cursor": self.cursor, "realtime": self.realtime, "twins": list(self.twins)}


def restored(saved: dict[str, Any] | None) -> Bookmark | None:
    """Return the bookmark that `Bookmark.saved` was called for."""
    return None if saved is None else Bookmark(saved["cursor"], saved["realtime"], tuple(saved["twins"]))


def identity(cursor: str) -> tuple[str, ...]:
    """Return the fields of a cursor that identify the entry: boot, clocks and content.

    The other fields number the entry within a series of files, and change when journald moves entries from memory to
    disk. sd_journal_get_cursor in systemd's source describes the fields.
    """
    fields = dict(field.partition("=")[::2] for field in cursor.split(";"))
    return tuple(fields.get(name, "") for name in "bmtx")


class Continuation:
    """Finds, among the entries that journalctl yields from a bookmark on, those that were handed out before."""

    def __init__(self, start: Bookmark | None) -> None:
        """Start at a bookmark; ``None`` is the start of the window, where nothing was handed out before."""
        self._start = start
        self._twins: frozenset[tuple[str, ...]] | None = None
        self.vacuumed = False
        """Whether the bookmark's own entry was vacuumed; known after the first entry."""

    def is_known(self, entry: Entry) -> bool:
        """Tell whether an entry was handed out before. Must be called for every entry, in order."""
        start = self._start
        if start is None:
            return False
        if self._twins is None:
            own = identity(start.cursor)
            self._twins = frozenset({own, *map(identity, start.twins)})
            self.vacuumed = identity(entry.cursor) != own
            return not self.vacuumed or self._is_twin(entry, start)
        return self.vacuumed and self._is_twin(entry, start)

    def _is_twin(self, entry: Entry, start: Bookmark) -> bool:
        """Tell whether an entry was read with the bookmark's: without that one, journalctl starts at its time."""
        return entry.realtime == start.realtime and identity(entry.cursor) in (self._twins or ())
