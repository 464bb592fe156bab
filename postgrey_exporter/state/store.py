"""The state: counts, the window and the reading positions, in one SQLite file.

It moves from one consistent state to the next: what was counted and how far was read are committed together, or
neither is. Commits are synchronous (``synchronous=FULL`` in WAL mode): what a scrape has shown is on disk, so no
counter goes back when the power fails, and one flush a commit is cheap at a commit a second at most.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.parsing.hashing import KEY_SIZE
from postgrey_exporter.state.clients import judge_all, merge_greylisted, name_unknown, prune_greylisted, shift_window
from postgrey_exporter.state.clock import Looks
from postgrey_exporter.state.connection import BUSY_SECONDS, StateError, translated
from postgrey_exporter.state.domains import keep_to_limit
from postgrey_exporter.state.file import StateFile, StateTakenAwayError
from postgrey_exporter.state.messages import MOST_MESSAGES, all_seen, give_up_oldest, merge_messages
from postgrey_exporter.state.meta import Meta
from postgrey_exporter.state.sources import merge_lines, move_source, positions
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


class Store:
    """The state file, opened by its one writer."""

    def __init__(
        self,
        path: Path,
        *,
        window: Window,
        max_domains: int,
        most_messages: int = MOST_MESSAGES,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open the state, or create it. Raises `StateError`; nothing is overwritten."""
        self.path = path
        self._window = window
        self.max_domains = max_domains
        self._most_messages = most_messages
        self._secret: bytes | None = None
        self._message_room = 0
        """How many messages may be written before they are counted again."""
        self._file = StateFile(path, busy_seconds)
        self._meta = Meta(self._file)
        self._begin()

    def close(self) -> None:
        """Close the state. Everything that was merged is on disk, under the state's name if possible."""
        try:
            self.check()
        except StateError as error:
            _log.error("%s", error)
        finally:
            self._file.close()

    def check(self) -> None:
        """Make sure that the next commit goes to the file of the state's name, see `StateFile.check`.

        Raises `StateError`, also if the state was taken away and is back, with the positions that it has now.
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
        """Return the committed position of a source, ``None`` at its first start."""
        return self.followed().get(source, (None, None))[0]

    def followed(self) -> dict[str, tuple[dict[str, Any], float | None]]:
        """Return the position of each source that was read, and the time of its latest decision."""
        with translated(self.path):
            return positions(self._file.db)

    def merge(self, source: str, increment: Increment, position: dict[str, Any], lists: Lists, now: float) -> None:
        """Judge an increment by the lists, add it, and set its source's position, in one transaction.

        The increment has settled then. Raises `StateError`; the state is then as it was.
        """
        increment.judge(lists)
        with self._transaction() as db:
            move_source(db, source, position, increment, self.present(now))
            if increment.last_event is not None:
                # A stamp ahead of the clock is no reason to delete more.
                newest = min(increment.last_event, now)
                self._meta.set("newest", max(newest, self._meta.get("newest") or newest))
            first_hour, kept_hour = self._move_window(db, now)
            merge_lines(db, source, increment, kept_hour)
            numbers = merge_greylisted(db, increment, first_hour, kept_hour, self.max_domains)
            written = merge_messages(db, increment, kept_hour * HOUR, self._seen, numbers)
            room = self._keep_messages_bounded(written)
        self._message_room = room

    def secret(self) -> bytes:
        """Return the key of the hashes; it is made at the first start and kept in the state."""
        found: bytes | None = self._meta.get("secret")
        if found is None:
            found = os.urandom(KEY_SIZE)
            with self._transaction():
                self._meta.set("secret", found)
        self._secret = found
        return found

    def note_look(self, now: float) -> None:
        """Record that the sources were looked at, at most every `LOOK_SECONDS`: an idle server's disk stays idle."""
        before = self._meta.get("looked_at")
        if before is None or abs(now - before) >= LOOK_SECONDS:
            with self._transaction():
                self._meta.set("looked_at", now)
                looks = self._looks(now).after(now)
                self._meta.set("latest_look", looks.latest)
                self._meta.set("behind_since", looks.behind_since)

    def present(self, now: float) -> float:
        """Return the present when the clock says ``now``, see `clock.Looks`."""
        return max(now, self._looks(now).latest)

    def _looks(self, now: float) -> Looks:
        latest = self._meta.get("latest_look")
        return Looks(now if latest is None else latest, self._meta.get("behind_since"))

    def is_current(self, now: float, lists: str) -> bool:
        """Tell whether `prune` and `judge` have nothing to do."""
        return (self._meta.get("first_hour"), self._meta.get("lists")) == (self._window.first_hour(now), lists)

    def has_more_clients_than(self, few: int) -> bool:
        """Tell whether there are more than so many clients, for which `prune` and `judge` take long."""
        with translated(self.path):
            return self._file.db.execute("SELECT 1 FROM client LIMIT 1 OFFSET ?", (few,)).fetchone() is not None

    def prune(self, now: float) -> None:
        """Move the window to the present, and delete what nothing will show again.

        What is shown goes by the clock. What is deleted lies a window behind the newest decision, too: a clock that
        was wrong for a while loses nothing.
        """
        if self._window.first_hour(now) != self._meta.get("first_hour"):
            with self._transaction() as db:
                self._move_window(db, now)

    def judge(self, lists: Lists, fingerprint: str) -> None:
        """Judge every client again, unless lists with the same fingerprint did so last."""
        if self._meta.get("lists") == fingerprint:
            return
        with self._transaction() as db:
            name_unknown(db, self.max_domains, self._meta.get("kept_hour") or 0)
            judge_all(db, lists)
            self._meta.set("lists", fingerprint)

    def _begin(self) -> None:
        self._meta.forget()
        with self._transaction() as db:
            keep_to_limit(db, self.max_domains)
            self._seen = all_seen(db)
            if self._secret is not None:
                # Whoever parses goes on hashing with it, also where the state was begun anew.
                self._meta.set("secret", self._secret)

    def _move_window(self, db: sqlite3.Connection, now: float) -> tuple[int, int]:
        """Move the window; return its first hour, and the first hour that is kept."""
        first_hour, before = self._window.first_hour(now), self._meta.get("first_hour")
        if first_hour != before:
            if before is not None:
                shift_window(db, before, first_hour)
            self._meta.set("first_hour", first_hour)
        newest = self._meta.get("newest")
        kept_hour = first_hour if newest is None else self._window.first_hour(min(now, newest))
        if kept_hour != self._meta.get("kept_hour"):
            _prune(db, kept_hour)
            self._meta.set("kept_hour", kept_hour)
        return first_hour, kept_hour

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.check()
        with translated(self.path):
            self._file.db.execute("BEGIN IMMEDIATE")
            try:
                if not self._file.is_in_place():
                    raise StateError(f"{self.path}: the state was taken away just now; trying again")
                yield self._file.db
                self._file.db.execute("COMMIT")
            except BaseException:
                self._meta.forget()
                if self._file.db.in_transaction:
                    self._file.db.execute("ROLLBACK")
                raise

    def _keep_messages_bounded(self, written: int) -> int:
        """Give up the oldest messages if there are too many; return how many more may be written."""
        room = self._message_room - written
        if room >= 0:
            return room
        given_up, room = give_up_oldest(self._file.db, self._most_messages)
        if given_up:
            self._meta.set("given_up", (self._meta.get("given_up") or 0) + given_up)
        return room


def _prune(db: sqlite3.Connection, kept_hour: int) -> None:
    prune_greylisted(db, kept_hour)
    silent = "last_hour < ? AND NOT labelled"
    db.execute("DELETE FROM decision_hour WHERE hour < ?", (kept_hour,))
    db.execute(f"DELETE FROM message WHERE domain IN (SELECT id FROM domain WHERE {silent})", (kept_hour,))  # noqa: S608
    db.execute(f"DELETE FROM domain WHERE {silent}", (kept_hour,))  # noqa: S608
    db.execute("DELETE FROM message WHERE last < ?", (kept_hour * HOUR,))
