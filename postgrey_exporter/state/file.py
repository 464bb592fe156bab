"""The open state file, and whether it is still the file of its name.

A deleted file can be written to for as long as it is open, and nothing of that outlives the process. So before each
commit the file that is open is compared with the one that the path names: the database, its write-ahead log, its
index of it, and the lock. Where a part was taken away, all that is known is put there again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from os.path import samestat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.state.connection import (
    BUSY_SECONDS,
    StateError,
    has_name,
    is_damage,
    lock,
    open_writable,
    set_aside,
    sync,
    translate,
    unwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG, _INDEX = "-wal", "-shm"
_PARTS: Final = ("", _LOG, _INDEX)
_COPY: Final = ".copy"


class StateTakenAwayError(StateError):
    """The state was taken away while it was open. It is back, without what was to be written next."""


def parts(path: Path) -> dict[str, os.stat_result]:
    """Return the files of a state that exist now, by the suffix of their names. Raises `StateError`."""
    found = {}
    for suffix in _PARTS:
        try:
            found[suffix] = Path(f"{path}{suffix}").stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unwritable(path, error) from error
    return found


class StateFile:
    """A state's lock and its one writing connection."""

    def __init__(self, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        """Lock and open the state, or create it. Raises `StateError`."""
        self.path = path
        self._busy_seconds = busy_seconds
        self._known: dict[str, os.stat_result] = {}
        """The files of the state that were there at the last check."""
        self._lock = lock(path)
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close the connection, and release the lock."""
        self.db.close()
        self._lock.close()

    def check(self) -> None:
        """Make sure that the next write goes to the file of the state's name.

        Raises `StateTakenAwayError` if the state was taken away: all of it is written there again, or a new one
        begins if nothing can be saved. Raises `StateError` if that is impossible for now.
        """
        if self.is_in_place():
            return
        self._renew_lock()
        known, present = self._known, parts(self.path)
        main = present.get("", known[""])
        if not samestat(main, known[""]):
            # What is left of ours would be taken for the new one's.
            ours = {suffix for suffix in present.keys() & known if samestat(present[suffix], known[suffix])}
            self._remove_log(ours)
            raise StateError(
                f"{self.path}: the state was replaced by another file while it was in use; restart to go on with the "
                "new one, or move it away to have the old one written there again"
            )
        if main.st_size < known[""].st_size:
            self._begin_anew("was cut short")
        if not self.is_in_place():
            self._write_again(is_gone="" not in present)

    def is_in_place(self) -> bool:
        """Tell whether the open files are those of the state's name. Raises `StateError`."""
        if not has_name(self._lock, Path(f"{self.path}.lock")):
            return False
        known, present = self._known, parts(self.path)
        if any(suffix not in present or not samestat(present[suffix], known[suffix]) for suffix in known):
            return False
        if present[""].st_size < known[""].st_size:
            return False
        # The write-ahead log and its index come with the first commit.
        self._known = present
        return True

    def _open(self) -> None:
        self.db = open_writable(self.path, self._busy_seconds)
        self._known = parts(self.path)

    def _renew_lock(self) -> None:
        if has_name(self._lock, Path(f"{self.path}.lock")):
            return
        if not self.path.parent.is_dir():
            # Not made anew: it may be where a disk is to be mounted again.
            raise StateError(f"{self.path}: the state's folder is gone; bring it back")
        before, self._lock = self._lock, lock(self.path)
        before.close()

    def _write_again(self, *, is_gone: bool) -> None:
        """Write the whole state to a new file of its name. The old file ``is_gone``, or lacks a part."""
        copy = Path(f"{self.path}{_COPY}")
        try:
            copy.unlink(missing_ok=True)
            os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            try:
                if not is_gone:
                    self._empty_log()
                with closing(sqlite3.connect(copy)) as db:
                    self.db.backup(db)
                sync(copy)
                self._put_in_place(copy)
            finally:
                copy.unlink(missing_ok=True)
            sync(self.path.parent)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise translate(self.path, error) from error
            self._begin_anew(f"was deleted and can't be copied ({error})")
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._reopen()
        raise StateTakenAwayError(f"{self.path}: was deleted while it was in use; all of it was written there again")

    def _empty_log(self) -> None:
        """Move everything into the database, so that nothing is lost without its write-ahead log."""
        busy, pages, done = self.db.execute("PRAGMA wal_checkpoint").fetchone()
        if busy or pages != done:
            raise StateError(f"{self.path}: a part of the state was deleted while others read it; trying again")

    def _put_in_place(self, copy: Path) -> None:
        self._remove_log({_LOG, _INDEX})  # whoever opens the copy is not to take them for its own
        if self.path.exists():
            copy.replace(self.path)
        else:
            os.link(copy, self.path)  # unlike a rename, this overwrites nothing that was put there just now

    def _remove_log(self, suffixes: Iterable[str]) -> None:
        for suffix in suffixes:
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def _begin_anew(self, reason: str) -> None:
        aside = set_aside(self.path)
        self._reopen()
        raise StateTakenAwayError(
            f"{self.path}: the state {reason} while it was in use; a new one is begun, what is left is in {aside}*"
        )

    def _reopen(self) -> None:
        before = self.db
        self._open()
        before.close()
