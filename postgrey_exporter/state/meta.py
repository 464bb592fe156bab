"""The single values of a state, such as the first hour of its window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postgrey_exporter.state.connection import translated

if TYPE_CHECKING:
    from postgrey_exporter.state.file import StateFile


class Meta:
    """The values by key. Keeps in memory what it read or wrote: nobody else writes the state."""

    def __init__(self, file: StateFile) -> None:
        """Read nothing yet."""
        self._file = file
        self._known: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return a value, ``None`` if there is none. Raises `StateError`."""
        if key not in self._known:
            with translated(self._file.path):
                row = self._file.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            self._known[key] = None if row is None else row[0]
        return self._known[key]

    def set(self, key: str, value: object) -> None:
        """Write a value, inside its caller's transaction."""
        self._file.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        self._known[key] = value

    def forget(self) -> None:
        """Read all values again: the state is another one, or a transaction was rolled back."""
        self._known.clear()
