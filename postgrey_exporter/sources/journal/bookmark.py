"""The place in the journal up to which everything was read, and what to pass over when reading goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from postgrey_exporter.sources.journal.entry import Entry

_MOST_TWINS: Final = 1000


class Bookmark(NamedTuple):
    """The last entry that was handed out."""

    cursor: str
    realtime: int
    """Its time, in microseconds since the epoch."""
    twins: tuple[str, ...] = ()
    """The cursors of the entries before it that have the same time."""

    @classmethod
    def at(cls, entry: Entry) -> Bookmark:
        """Return the bookmark at the first entry of all."""
        return cls(entry.cursor, entry.realtime)

    def moved(self, entry: Entry) -> Bookmark:
        """Return the bookmark at a later entry."""
        twins = (*self.twins[-_MOST_TWINS:], self.cursor) if entry.realtime == self.realtime else ()
        return Bookmark(entry.cursor, entry.realtime, twins)

    def saved(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {"cursor": self.cursor, "realtime": self.realtime, "twins": list(self.twins)}


def restored(saved: dict[str, Any] | None) -> Bookmark | None:
    """Return what `Bookmark.saved` returned."""
    return None if saved is None else Bookmark(saved["cursor"], saved["realtime"], tuple(saved["twins"]))


def identity(cursor: str) -> tuple[str, ...]:
    """Return the part of a cursor that is the entry's own: boot, clocks and content.

    The rest is the entry's number within a series of files, which changes when journald moves entries from memory
    to disk. What the parts are: sd_journal_get_cursor in systemd's source.
    """
    parts = dict(part.partition("=")[::2] for part in cursor.split(";"))
    return tuple(parts.get(name, "") for name in "bmtx")


class Continuation:
    """Told the entries that journalctl yields from a bookmark on, tells those that were handed out before."""

    def __init__(self, start: Bookmark | None) -> None:
        """Take where the reading starts; ``None``: at the window's begin, where nothing was handed out."""
        self._start = start
        self._twins: frozenset[tuple[str, ...]] | None = None
        self.gone = False
        """Whether the bookmark's own entry is not in the journal any more; known after the first entry."""

    def is_known(self, entry: Entry) -> bool:
        """Tell whether an entry was handed out before; to be asked of every entry in its turn."""
        start = self._start
        if start is None:
            return False
        if self._twins is None:
            own = identity(start.cursor)
            self._twins = frozenset({own, *map(identity, start.twins)})
            self.gone = identity(entry.cursor) != own
            return not self.gone or self._is_twin(entry, start)
        return self.gone and self._is_twin(entry, start)

    def _is_twin(self, entry: Entry, start: Bookmark) -> bool:
        """Without the bookmark's entry journalctl starts by the time, which others may share with it."""
        return entry.realtime == start.realtime and identity(entry.cursor) in (self._twins or ())
