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
from typing import Final

from postgrey_exporter.database import (
    StateError,
    is_damage,
    lock,
    open_writable,
    set_aside,
    sync,
    translate,
    unwritable,
)

_LOG, _INDEX = "-wal", "-shm"
_PARTS: Final = ("", _LOG, _INDEX)
_COPY: Final = ".copy"


class StateTakenAwayError(StateError):
    """The state was taken away while it was open. It is back, without what was to be written next."""


def parts(path: Path) -> dict[str, os.stat_result]:
    """Return the files of a state that are there now, by the suffix of their names. Raises `StateError`."""
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

    def __init__(self, path: Path) -> None:
        """Lock and open the state, making it where there is none. Raises `StateError`."""
        self.path = path
        self._known: dict[str, os.stat_result] = {}
        """The files of the state that were there at the last check."""
        self._lock = lock(path)
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close the connection, and let go of the lock."""
        self.db.close()
        self._lock.close()

    def check(self) -> None:
        """Make sure that what is written next is written to the file of the state's name.

        Raises `StateTakenAwayError` where it had been taken away: all of it was written there again, or a new one
        was begun where nothing could be saved. Raises `StateError` where that can't be done now.
        """
        self._check_lock()
        known, present = self._known, parts(self.path)
        main = present.get("", known[""])
        is_shorter = main.st_size < known[""].st_size
        if not is_shorter and all(suffix in present and samestat(present[suffix], known[suffix]) for suffix in known):
            # The write-ahead log and its index come with the first commit.
            self._known = present
            return
        if not samestat(main, known[""]):
            raise StateError(
                f"{self.path}: the state was replaced by another file while it was in use; restart to go on with the "
                "new one, or move it away to have the old one written there again"
            )
        if is_shorter:
            self._begin_anew("was cut short")
        self._write_again()

    def _open(self) -> None:
        self.db = open_writable(self.path)
        self._known = parts(self.path)

    def _check_lock(self) -> None:
        try:
            is_mine = samestat(Path(f"{self.path}.lock").stat(), os.fstat(self._lock.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            is_mine = False
        except OSError as error:
            raise unwritable(self.path, error) from error
        if is_mine:
            return
        if not self.path.parent.is_dir():
            # Not made anew: it may be where a disk is to be mounted again.
            raise StateError(f"{self.path}: the state's folder is gone; bring it back")
        before, self._lock = self._lock, lock(self.path)
        before.close()

    def _write_again(self) -> None:
        """Write all of the state to a new file under its name."""
        copy = Path(f"{self.path}{_COPY}")
        try:
            copy.unlink(missing_ok=True)
            os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            try:
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

    def _put_in_place(self, copy: Path) -> None:
        for suffix in (_LOG, _INDEX):  # whoever opens the copy is not to take them for its own
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        if self.path.exists():
            copy.replace(self.path)
        else:
            os.link(copy, self.path)  # unlike a rename, this overwrites nothing that was put there just now

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
