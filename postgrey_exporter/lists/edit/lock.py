"""The lock of a list: a file beside it that only root and its maker can open, and so hold.

A lock on the folder or on the list itself could be held for ever by whoever may read it. What a stranger has planted
under the lock's name is taken away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.edit.errors import ListEditError
from postgrey_exporter.openfolder import UNSURPRISED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ATTEMPTS: Final = 100
_PAUSE: Final = 0.1
_OTHERS: Final = 0o077
_IN_THE_WAY: Final = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
"""What opening a name answers that something was planted under since it was looked at."""


@contextmanager
def held(path: Path, folder: int, name: str, pause: Callable[[float], object]) -> Iterator[None]:
    """Hold a list's lock, a name in an open folder; it is gone afterwards. Raises `ListEditError`, `OSError`."""
    descriptor = _locked(path, folder, name, pause)
    try:
        yield
    finally:
        if _is_named(descriptor, folder, name):
            os.unlink(name, dir_fd=folder)
        os.close(descriptor)


def _locked(path: Path, folder: int, name: str, pause: Callable[[float], object]) -> int:
    """Return the lock's descriptor once this process holds it."""
    for _ in range(_ATTEMPTS):
        descriptor = _opened_lock(path, folder, name)
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                # The one that was waited for may have removed it, and the next one made another.
                if _is_named(descriptor, folder, name) and _is_lock(os.fstat(descriptor)):
                    return descriptor
            os.close(descriptor)
        pause(_PAUSE)
    raise ListEditError(
        f"{path}: another editor is at work, by its lock {path.parent / name}; nothing was changed, try again"
    )


def _opened_lock(path: Path, folder: int, name: str) -> int | None:
    """Open the lock, or create it; ``None`` where it is root's, or someone else was quicker."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        about = None
    if about is not None and not _is_lock(about):
        swept(path, folder, name)
    try:
        return os.open(name, os.O_RDWR | os.O_CREAT | UNSURPRISED, 0o600, dir_fd=folder)
    except OSError as error:
        is_roots = about is not None and isinstance(error, PermissionError)
        if is_roots or error.errno in _IN_THE_WAY:
            return None
        raise


def _is_lock(about: os.stat_result) -> bool:
    """Tell whether a file is a lock that only root and this user can hold."""
    return (
        stat.S_ISREG(about.st_mode)
        and about.st_uid in {0, os.geteuid()}
        and about.st_nlink == 1
        and not about.st_mode & _OTHERS
    )


def swept(path: Path, folder: int, name: str) -> None:
    """Remove what lies under a name that is this program's own. Raises `ListEditError`."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError:
        raise ListEditError(f"{path}: {path.parent / name} is in the way: remove it") from None


def _is_named(descriptor: int, folder: int, name: str) -> bool:
    """Tell whether a name still stands for an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False
