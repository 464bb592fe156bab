"""The domains' table of the state: counters by label, and which domains have a label of their own.

Labels come from reverse DNS, which senders write, so their number is bounded: domains beyond the bound count under
`OTHER`. A domain that was silent for a whole window loses its label when another one needs it. Every function works
inside its caller's transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.state.connection import insert

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from postgrey_exporter.counting.evidence import DomainChange

OTHER: Final = "other"
"""Counts the attempts of all domains without a label, see ``--max-domains``."""
DEFAULT_MAX_DOMAINS: Final = 1000
_Row = tuple[str, int, int, int, int, int]
"""A domain's name and its changes."""
_NAMES: Final = "SELECT value FROM json_each(?)"


def merge_domains(
    db: sqlite3.Connection, changes: Mapping[str, DomainChange], max_domains: int, kept_hour: int
) -> dict[str, int]:
    """Add to the domains; return the number of each one's row. One silent since ``kept_hour`` may lose its label."""
    names = json.dumps(list(changes))
    query = f"SELECT name FROM domain WHERE labelled AND name IN ({_NAMES})"  # noqa: S608
    labelled = {name for (name,) in db.execute(query, (names,))}
    # These first: a domain that comes up in this very merge doesn't lose its label to another.
    _add(db, ((name, *changes[name]) for name in sorted(labelled)), labelled=True)
    labels = _Labels(db, max_domains, kept_hour)
    with_label: list[str] = []
    without: list[str] = []
    for name in sorted(changes.keys() - labelled):
        (with_label if labels.take(name) else without).append(name)
    _add(db, ((name, *changes[name]) for name in with_label), labelled=True)
    _add(db, ((name, 0, 0, 0, *changes[name][3:]) for name in without), labelled=False)
    if without:
        _add(db, [_of_other([changes[name] for name in without])], labelled=True)
    return numbers_of_domains(db, changes)


def numbers_of_domains(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of the domains that have a row."""
    query = f"SELECT name, id FROM domain WHERE name IN ({_NAMES})"  # noqa: S608
    return dict(db.execute(query, (json.dumps(list(names)),)).fetchall())


def keep_to_limit(db: sqlite3.Connection, max_domains: int) -> None:
    """Remove the labels of the longest silent domains if there are more than ``max_domains``."""
    surplus = _count(db) - max_domains
    if surplus > 0:
        db.execute(
            """
            UPDATE domain SET labelled = 0, new = 0, early_retry = 0, ineffective = 0 WHERE id IN (
                SELECT id FROM domain WHERE labelled AND name NOT IN (?, ?) ORDER BY last_hour, name LIMIT ?
            )
            """,
            (UNKNOWN, OTHER, surplus),
        )


class _Labels:
    """The labels that are free, and the silent domains that can lose theirs."""

    def __init__(self, db: sqlite3.Connection, max_domains: int, kept_hour: int) -> None:
        self._db = db
        self._free = max_domains - _count(db)
        self._kept_hour = kept_hour
        self._silent: list[int] | None = None

    def take(self, name: str) -> bool:
        """Take a label for a domain; tell whether there was one."""
        if name == UNKNOWN:
            return True
        if self._free <= 0 and not self._take_from_silent():
            return False
        self._free -= 1
        return True

    def _take_from_silent(self) -> bool:
        if self._silent is None:
            rows = self._db.execute(
                "SELECT id FROM domain WHERE labelled AND last_hour < ? AND name NOT IN (?, ?) "
                "ORDER BY last_hour DESC",
                (self._kept_hour, UNKNOWN, OTHER),
            )
            self._silent = [number for (number,) in rows]
        while self._silent:
            number = self._silent.pop()
            # It may have come up in this very merge.
            gone = self._db.execute("DELETE FROM domain WHERE id = ? AND last_hour < ?", (number, self._kept_hour))
            if gone.rowcount:
                self._db.execute("DELETE FROM message WHERE domain = ?", (number,))
                self._free += 1
                return True
        return False


def _count(db: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM domain WHERE labelled AND name NOT IN (?, ?)"
    count: int = db.execute(query, (UNKNOWN, OTHER)).fetchone()[0]
    return count


def _of_other(folded: Sequence[DomainChange]) -> _Row:
    """Return what domains without a label add to `OTHER`; their unreviewed attempts stay with themselves."""
    new, early_retry, ineffective = (sum(change[column] for change in folded) for column in range(3))
    return OTHER, new, early_retry, ineffective, 0, max(change.last_hour for change in folded)


def _add(db: sqlite3.Connection, rows: Iterable[_Row], *, labelled: bool) -> None:
    """Add to domains, in the order of their names: what lies together in the file is written together."""
    insert(
        db,
        "INSERT INTO domain (name, new, early_retry, ineffective, unreviewed, last_hour, labelled)",
        ((*row, labelled) for row in rows),
        7,
        """
        ON CONFLICT DO UPDATE SET
            labelled = excluded.labelled,
            new = new + excluded.new,
            early_retry = early_retry + excluded.early_retry,
            ineffective = ineffective + excluded.ineffective,
            unreviewed = unreviewed + excluded.unreviewed,
            last_hour = max(last_hour, excluded.last_hour)
        """,
    )
