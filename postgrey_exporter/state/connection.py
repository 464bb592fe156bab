"""Opening the state file: the lock against a second writer, damage, and SQLite's errors in the operator's words."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from contextlib import contextmanager
from itertools import chain, count, islice
from os.path import samestat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.openfolder import UNSURPRISED, PlantedLinkError, opened_folder
from postgrey_exporter.state.schema import APPLICATION_ID, MIGRATIONS, checked_version, migrate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_log = logging.getLogger(__name__)

BUSY_SECONDS: Final = 5.0
"""How long another program may lock the state."""
_WAL_LIMIT_BYTES: Final = 16 << 20
_ROWS_TOGETHER: Final = 32
_CACHE_KIB: Final = 4096
_MAGIC: Final = b"SQLite format 3\0"
_APPLICATION_ID_AT: Final = slice(68, 72)


class StateError(PostgreyExporterError):
    """The state can't be used: missing, locked, unwritable, full or damaged."""


class StateLockedError(StateError):
    """Another process is the state's writer."""


def lock(path: Path) -> IO[bytes]:
    """Lock the state for its one writer, until the returned file is closed. Raises `StateLockedError`, `StateError`.

    It lies on a file of its own: SQLite's locks on the state itself would be lost when any other handle of the same
    process is closed (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    name = Path(f"{path}.lock")
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in (path, name):
                _refuse_planted(file)
            handle = os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT | UNSURPRISED, 0o600), "rb")
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            raise StateLockedError(
                f"{path}: another postgrey-exporter is using this state; stop it, or name another file with --state"
            ) from error
        if has_name(handle, name):
            return handle
        handle.close()  # it was deleted before it was locked: others would lock a new one


def _refuse_planted(path: Path) -> None:
    """Make sure that no link which a stranger may have laid leads elsewhere; SQLite sees to its other files."""
    try:
        with opened_folder(path):
            pass
    except PlantedLinkError as error:
        raise StateError(str(error)) from error


def has_name(file: IO[bytes], name: Path) -> bool:
    """Tell whether an open file has a name. Raises `StateError` if the name can't be looked up."""
    try:
        return samestat(name.stat(), os.fstat(file.fileno()))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unwritable(name, error) from error


def open_writable(
    path: Path, busy_seconds: float = BUSY_SECONDS, migrations: Sequence[str] = MIGRATIONS
) -> sqlite3.Connection:
    """Open the state for its writer, or create it; bring it up to date.

    A damaged state is set aside under another name, and a new one begins. Raises `StateError`,
    `schema.NewerStateError`, `schema.ForeignStateError`; the file is then as it was.
    """
    try:
        return _open_checked(path, busy_seconds, migrations)
    except sqlite3.DatabaseError as error:
        if not is_damage(error) or not _is_ours(path):
            raise translate(path, error) from error
        _log.error("%s: the state is damaged (%s); it is kept as %s", path, error, set_aside(path))
    with translated(path):
        return _open_checked(path, busy_seconds, migrations)


def open_readable(path: Path) -> sqlite3.Connection:
    """Open the state for reading while its writer goes on. Raises `StateError`, and as `schema.checked_version`."""
    try:
        path.stat()
    except FileNotFoundError as error:
        raise StateError(
            f"{path}: there is no state here; run `postgrey-exporter serve` or `collect` first"
        ) from error
    except OSError as error:
        raise StateError(f"{path}: can't be read: {error.strerror}; run as the exporter's user, or root") from error
    with translated(path):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if checked_version(db, str(path)) == 0:
                raise StateError(f"{path}: the state is empty still")
        except BaseException:
            db.close()
            raise
    return db


def insert(db: sqlite3.Connection, into: str, rows: Iterable[Sequence[object]], columns: int, rest: str = "") -> int:
    """Insert rows of so many columns; return how many there were.

    ``into`` is the statement before its values, ``rest`` what follows them. Handing over a single row takes most of
    its time, so many go together.
    """
    values = f"({', '.join('?' * columns)})"
    remaining = iter(rows)
    count = 0
    left: list[Sequence[object]] = []

    def together() -> Iterator[list[object]]:
        nonlocal count
        while len(some := list(islice(remaining, _ROWS_TOGETHER))) == _ROWS_TOGETHER:
            count += _ROWS_TOGETHER
            yield list(chain.from_iterable(some))
        left.extend(some)

    db.executemany(f"{into} VALUES {', '.join([values] * _ROWS_TOGETHER)} {rest}", together())
    db.executemany(f"{into} VALUES {values} {rest}", left)
    return count + len(left)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `StateError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(path, error) from error


@contextmanager
def memory_for(purpose: str, path: Path) -> Iterator[None]:
    """Turn memory that runs out into `StateError`."""
    try:
        yield
    except MemoryError as error:
        raise StateError(
            f"{path}: memory does not suffice to {purpose}; allow the exporter more, in its unit by MemoryMax="
        ) from error


def translate(path: Path, error: sqlite3.Error) -> StateError:
    """Return an error of SQLite's as one line that says what is wrong with the state and what to do."""
    remedies = {
        "SQLITE_BUSY": "is locked by another program; end it",
        "SQLITE_FULL": "can't be written: the disk is full",
        "SQLITE_READONLY": "can't be used: the file or its folder is read-only for this user",
        "SQLITE_CANTOPEN": "can't be opened: check the folder and its permissions",
        "SQLITE_IOERR": "can't be read or written: the disk reports an error, or is full",
        "SQLITE_CORRUPT": "is damaged; it is set aside at the next start",
        "SQLITE_NOTADB": "is no state of this program; name another file with --state",
    }
    code: str = getattr(error, "sqlite_errorname", "")
    known = next((text for name, text in remedies.items() if code.startswith(name)), "failed")
    return StateError(f"{path}: the state {known} ({error})")


def unwritable(path: Path, error: OSError) -> StateError:
    """Return an error of the system's as one line that says why the state can't be written."""
    return StateError(f"{path}: the state can't be written: {error.strerror}; name a writable file with --state")


def _open_checked(path: Path, busy_seconds: float, migrations: Sequence[str]) -> sqlite3.Connection:
    try:
        # SQLite would fall back to reading alone, and fail at the first commit.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise unwritable(path, error) from error
    db = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        checked_version(db, str(path), migrations)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        migrate(db, str(path), migrations)
    except BaseException:
        db.close()
        raise
    return db


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_ours(path: Path) -> bool:
    """Tell whether a broken file may be moved away: it has our mark, or the name that only we use."""
    with path.open("rb") as file:
        head = file.read(_APPLICATION_ID_AT.stop)
    marked = head.startswith(_MAGIC) and head[_APPLICATION_ID_AT] == APPLICATION_ID.to_bytes(4, "big")
    return marked or path.name == "state.sqlite3"


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error of SQLite's means that the file's content is damaged."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def set_aside(path: Path) -> Path:
    """Rename the files of a state that exist; return the new name. Raises `OSError`."""
    for number in count(1):
        aside = Path(f"{path}.damaged-{number}")
        if not aside.exists():
            break
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside
