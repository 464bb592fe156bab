"""Whether there is a state, whether it can be read, and whether an exporter uses it."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from postgrey_exporter.doctor.check import Check, mend, unknown, well
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.state.schema import checked_version
from postgrey_exporter.wording import command, duration

if TYPE_CHECKING:
    from pathlib import Path

    from postgrey_exporter.doctor.machine import Machine


def check(machine: Machine, path: Path) -> Check:
    """Check a state file, without opening it for writing."""
    try:
        if not path.exists():
            return unknown("state", f"{path}: not there yet; serve or collect makes it")
        size = path.stat().st_size
        error = _damage(path)
        used = _is_used(path)
    except OSError as problem:
        return mend("state", f"{path}: {problem.strerror}", command("ls", "-l", path))
    if error is not None:
        return mend("state", f"{path}: {error}", command("mv", path, f"{path}.aside"))
    written = max(part.stat().st_mtime for part in (path, _beside(path, "-wal")) if part.exists())
    use = "in use by the exporter" if used else "nobody uses it now"
    return well("state", f"{path}: {size // 1024} KiB, written {duration(machine.now - written)} ago, {use}")


def _damage(path: Path) -> str | None:
    """Return what is wrong with the state. A file that nobody writes is opened so that nothing is put beside it."""
    immutable = "" if _beside(path, "-wal").exists() else "&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{immutable}", uri=True)) as database:
            checked_version(database, str(path))
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    except PostgreyExporterError as error:
        return str(error).removeprefix(f"{path}: ")
    return None if found == "ok" else str(found)


def _is_used(path: Path) -> bool:
    """Tell whether a writer holds the state's lock, see `connection.lock`."""
    lock = _beside(path, ".lock")
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")
