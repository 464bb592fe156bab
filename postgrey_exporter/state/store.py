"""The state: counts, the window and the reading positions, in one SQLite file.

It moves from one consistent state to the next: what was counted and how far was read are committed together, or
neither is. Commits are synchronous (``synchronous=FULL`` in WAL mode): what a scrape has shown is on disk, so no
counter goes back when the power fails, and one flush a commit is cheap at a commit a second at most.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.parsing.hashing import KEY_SIZE
from postgrey_exporter.parsing.syslog import CLOCK_SKEW
from postgrey_exporter.state.clients import judge_all, merge_greylisted, name_unknown, prune_greylisted, shift_window
from postgrey_exporter.state.clock import Looks
from postgrey_exporter.state.connection import StateError, translated
from postgrey_exporter.state.domains import keep_to_limit
from postgrey_exporter.state.file import StateFile, StateTakenAwayError
from postgrey_exporter.state.messages import all_seen, give_up_oldest, merge_messages, prune_messages
from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.counting.increment import Increment
    from postgrey_exporter.lists import Lists
    from postgrey_exporter.window import Window

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 300.0
"""How far behind the present `Store.note_look` may be."""


class Store:
    """The state file, opened by its one writer."""

    def __init__(self, path: Path, *, window: Window, max_domains: int) -> None:
        """Open the state, making it where there is none.

        Raises `StateError` with one line that says what is wrong and what to do; nothing is overwritten.
        """
        self.path = path
        self._window = window
        self.max_domains = max_domains
        self._known_meta: dict[str, Any] = {}
        """What `_meta` has read; nobody else writes the state."""
        self._secret: bytes | None = None
        self._message_room = 0
        """How many messages may be written before they are counted again."""
        self._file = StateFile(path)
        self._begin()

    def close(self) -> None:
        """Close the state; everything that was merged is on disk, under its name if that can be had."""
        try:
            self.check()
        except StateError as error:
            _log.error("%s", error)
        finally:
            self._file.close()

    def check(self) -> None:
        """Make sure that what is committed next goes to the file of the state's name, see `StateFile.check`.

        Raises `StateError`, also where the state was taken away and had to be put there again: what was to be
        committed is then to be read again from the positions that the state has now.
        """
        try:
            self._file.check()
        except StateTakenAwayError:
            self._begin()
            raise

    def size_bytes(self) -> int:
        """Return the size on disk, the write-ahead log included."""
        parts = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def position(self, source: str) -> dict[str, Any] | None:
        """Return where a source goes on, or ``None`` at its first start."""
        with translated(self.path):
            row = self._db.execute("SELECT position FROM source WHERE name = ?", (source,)).fetchone()
        return None if row is None else json.loads(row[0])

    def followed(self) -> dict[str, tuple[dict[str, Any], float | None]]:
        """Return each source that was read: its position and the time of its latest decision."""
        with translated(self.path):
            rows = self._db.execute("SELECT name, position, last_event FROM source").fetchall()
        return {name: (json.loads(position), last) for name, position, last in rows}

    def merge(
        self,
        source: str,
        increment: Increment,
        position: dict[str, Any],
        lists: Lists,
        now: float,
    ) -> None:
        """Add an increment, judged by some lists, and move a source's position, in one transaction.

        The increment has settled then. Raises `StateError`; the state is then as it was.
        """
        increment.judge(lists)
        with self._transaction() as db:
            db.execute(
                """
                INSERT INTO source (name, position, last_event, future) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO UPDATE SET
                    position = ?2,
                    last_event = coalesce(max(min(last_event, ?5), ?3), min(last_event, ?5), ?3),
                    future = future + ?4
                """,
                (
                    *(source, json.dumps(position, separators=(",", ":")), increment.last_event, increment.future),
                    self.present(now) + CLOCK_SKEW.total_seconds(),
                ),
            )
            if increment.last_event is not None:
                # A stamp ahead of the clock is no reason to drop more.
                newest = min(increment.last_event, now)
                self._set_meta("newest", max(newest, self._meta("newest") or newest))
            first_hour, kept_hour = self._move_window(db, now)
            db.executemany(
                "INSERT INTO source_lines VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
                [(source, outcome, count) for outcome, count in increment.lines.items()],
            )
            db.executemany(
                "INSERT INTO decision VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
                [(*labels, count) for labels, count in increment.decision_totals().items() if count],
            )
            db.executemany(
                "INSERT INTO decision_hour VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET total = total + excluded.total",
                [row for row in increment.decision_hours() if row[0] >= kept_hour],
            )
            numbers = merge_greylisted(db, increment, first_hour, kept_hour, self.max_domains)
            written = merge_messages(db, increment, kept_hour * HOUR, self._seen, numbers)
            room = self._keep_messages_bounded(written)
        self._message_room = room

    def secret(self) -> bytes:
        """Return what is hashed with; made at the first start, kept with the state."""
        found: bytes | None = self._meta("secret")
        if found is None:
            found = os.urandom(KEY_SIZE)
            with self._transaction():
                self._set_meta("secret", found)
        self._secret = found
        return found

    def note_look(self, now: float) -> None:
        """Keep that the sources were looked at, for those who read the state and wonder whether it is up to date.

        Written at most every `LOOK_SECONDS`, so that an idle server's disk stays idle.
        """
        before = self._meta("looked_at")
        if before is None or abs(now - before) >= LOOK_SECONDS:
            with self._transaction():
                self._set_meta("looked_at", now)
                looks = self._looks(now).after(now)
                self._set_meta("latest_look", looks.latest)
                self._set_meta("behind_since", looks.behind_since)

    def present(self, now: float) -> float:
        """Return the moment that is the present where the clock says ``now``, see `clock.Looks`."""
        return max(now, self._looks(now).latest)

    def _looks(self, now: float) -> Looks:
        latest = self._meta("latest_look")
        return Looks(now if latest is None else latest, self._meta("behind_since"))

    def is_current(self, now: float, lists: str) -> bool:
        """Tell whether `prune` and `judge` have nothing to do."""
        return (self._meta("first_hour"), self._meta("lists")) == (self._window.first_hour(now), lists)

    def has_more_clients_than(self, few: int) -> bool:
        """Tell whether there are more than a few clients, which makes `prune` and `judge` take their time."""
        with translated(self.path):
            query = "SELECT count(*) FROM (SELECT 1 FROM client LIMIT ?)"
            count: int = self._db.execute(query, (few + 1,)).fetchone()[0]
        return count > few

    def prune(self, now: float) -> None:
        """Have the window be that of the present, and drop what nothing will show again.

        What is shown goes by the clock. What is dropped lies a window behind the newest decision, too: a clock that
        was wrong for a while loses nothing.
        """
        if self._window.first_hour(now) != self._meta("first_hour"):
            with self._transaction() as db:
                self._move_window(db, now)

    def judge(self, lists: Lists, fingerprint: str) -> None:
        """Judge every client again, unless that was done by the same lists, which are known by a fingerprint."""
        if self._meta("lists") == fingerprint:
            return
        with self._transaction() as db:
            name_unknown(db, self.max_domains, self._meta("kept_hour") or 0)
            judge_all(db, lists)
            self._set_meta("lists", fingerprint)

    def _begin(self) -> None:
        """Take over what an opened state holds."""
        self._known_meta.clear()
        with self._transaction() as db:
            keep_to_limit(db, self.max_domains)
            self._seen = all_seen(db)
            if self._secret is not None:
                # Whoever parses goes on hashing with it, also where the state was begun anew.
                self._set_meta("secret", self._secret)

    @property
    def _db(self) -> sqlite3.Connection:
        return self._file.db

    def _move_window(self, db: sqlite3.Connection, now: float) -> tuple[int, int]:
        """Move the window; return its first hour, and the first one of which something is kept."""
        first_hour, before = self._window.first_hour(now), self._meta("first_hour")
        if first_hour != before:
            if before is not None:
                shift_window(db, before, first_hour)
            self._set_meta("first_hour", first_hour)
        newest = self._meta("newest")
        kept_hour = first_hour if newest is None else self._window.first_hour(min(now, newest))
        if kept_hour != self._meta("kept_hour"):
            _prune(db, kept_hour)
            self._set_meta("kept_hour", kept_hour)
        return first_hour, kept_hour

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.check()
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if not self._file.is_in_place():
                    raise StateError(f"{self.path}: the state was taken away just now; trying again")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._known_meta.clear()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _keep_messages_bounded(self, written: int) -> int:
        """Return how many more messages may be written, after the oldest were given up where there were too many."""
        room = self._message_room - written
        if room >= 0:
            return room
        given_up, room = give_up_oldest(self._db)
        if given_up:
            self._set_meta("given_up", (self._meta("given_up") or 0) + given_up)
        return room

    def _meta(self, key: str) -> Any:
        if key not in self._known_meta:
            with translated(self.path):
                row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            self._known_meta[key] = None if row is None else row[0]
        return self._known_meta[key]

    def _set_meta(self, key: str, value: object) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        self._known_meta[key] = value


def _prune(db: sqlite3.Connection, kept_hour: int) -> None:
    """Drop what is of before an hour."""
    prune_greylisted(db, kept_hour)
    db.execute("DELETE FROM decision_hour WHERE hour < ?", (kept_hour,))
    db.execute(
        "DELETE FROM message WHERE domain IN (SELECT id FROM domain WHERE last_hour < ? AND NOT labelled)",
        (kept_hour,),
    )
    db.execute("DELETE FROM domain WHERE last_hour < ? AND NOT labelled", (kept_hour,))
    prune_messages(db, kept_hour * HOUR)
