"""One list file: read, and replaced in one step or not at all.

A reader sees the old content or the new one, whatever happens in between: the new file is written beside the old one,
given its owner, mode and extended attributes, synced, and renamed over it. Editors of this program wait for each
other by a lock on the folder, which works for a file that is not there yet and leaves nothing behind. Other programs
know no lock, so the old file is looked at once more right before the rename.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.lists.files import LARGEST_LIST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEW_FILE_MODE: Final = 0o644
NEW_FOLDER_MODE: Final = 0o755

_WRITABLE: Final = 0o222
_LOCK_ATTEMPTS: Final = 100
_LOCK_PAUSE: Final = 0.1
_ACL: Final = "system.posix_acl_access"

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without hard links answers."""

_REASONS: Final = {
    errno.ENOSPC: "the disk is full; nothing was changed",
    errno.EDQUOT: "the disk quota is used up; nothing was changed",
    errno.EROFS: "the file system is read-only",
    errno.EBUSY: "is a mount point, such as a single file given to a container: change it where it comes from",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.ENOENT: "its folder is not there: create it, or name the right file",
}


class ListEditError(PostgreyExporterError):
    """A list file can't be changed; it is as it was."""


class ListPermissionError(ListEditError):
    """It can't be changed by this user."""


class ListChangedError(ListEditError):
    """Someone else changed it meanwhile; it is as they left it."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list file as it was at one moment."""

    path: Path
    """As it was named."""
    real: Path
    """Where symbolic links lead."""
    data: bytes | None
    """Its content; ``None`` when there is no such file."""
    about: os.stat_result | None


def read(path: Path) -> ListFile:
    """Return a list file. Raises `ListEditError`."""
    with _worded(path):
        real = Path(os.path.realpath(path))
        try:
            # Without O_NONBLOCK a FIFO would block for ever.
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ListFile(path, real, None, None)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise ListEditError(f"{path}: is no regular file: name a list")
            if about.st_size > LARGEST_LIST:
                raise ListEditError(f"{path}: is larger than {LARGEST_LIST >> 20} MiB: name a list, not a log")
            return ListFile(path, real, file.read(LARGEST_LIST + 1), about)


def make_folder(path: Path) -> None:
    """Create the folder of a file where it is missing. Raises `ListEditError`."""
    with _worded(path):
        path.parent.mkdir(mode=NEW_FOLDER_MODE, exist_ok=True)


@contextmanager
def locked(path: Path, pause: Callable[[float], object]) -> Iterator[None]:
    """Keep other editors of this program off the lists of a file's folder. Raises `ListEditError`.

    ``pause`` waits for some seconds.
    """
    with _worded(path):
        folder = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _worded(path):
            _lock(folder, path, pause)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, path: Path, pause: Callable[[float], object]) -> None:
    # Whoever may read the folder may hold the lock, so it is not waited for without a limit.
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < _LOCK_ATTEMPTS:
                pause(_LOCK_PAUSE)
        else:
            return
    raise ListEditError(f"{path}: its folder is locked by another program; nothing was changed, try again")


def replace(old: ListFile, data: bytes) -> None:
    """Give a file new content, or create it. Raises `ListEditError`.

    `ListChangedError` is raised when it is no longer as it was read.
    """
    new = old.real.with_name(f".{old.real.name}.postgrey-exporter")
    with _worded(old.path):
        if old.about is not None:
            _check_editable(old.path, old.about)
        with suppress(FileNotFoundError):
            new.unlink()  # left by an editor that was killed
        try:
            _write(new, data, old)
            _check_unchanged(old)
            if old.data is None:
                _create(new, old.real)
            else:
                new.replace(old.real)
        except FileExistsError:
            raise _changed(old) from None
        finally:
            with suppress(FileNotFoundError):
                new.unlink()
        _sync_folder(old.real.parent)


def remove(old: ListFile) -> None:
    """Remove a file. Raises `ListEditError`, `ListChangedError` as `replace` does."""
    with _worded(old.path):
        _check_unchanged(old)
        old.real.unlink()
        _sync_folder(old.real.parent)


def may_edit(path: Path) -> bool:
    """Tell whether this user may change a file, as far as permissions tell."""
    real = Path(os.path.realpath(path))
    user = os.geteuid()
    if not os.access(real.parent, os.W_OK | os.X_OK, effective_ids=True):
        return False
    try:
        return user in {0, real.stat().st_uid}
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _write(new: Path, data: bytes, old: ListFile) -> None:
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if old.about is None:
            os.fchmod(descriptor, NEW_FILE_MODE)
        else:
            _take_over(descriptor, old.real, old.about)
        os.fsync(descriptor)


def _check_editable(path: Path, about: os.stat_result) -> None:
    # A rename asks for neither, so what the file's owner meant by them has to be asked for here.
    if not about.st_mode & _WRITABLE:
        raise ListEditError(f"{path}: is read-only: chmod u+w it first, if it may be changed by hand")
    if about.st_nlink > 1:
        raise ListEditError(f"{path}: has other names (hard links), which would keep the old content")


def _create(new: Path, path: Path) -> None:
    try:
        os.link(new, path)  # unlike a rename, this fails where a file has appeared
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        new.replace(path)


def _take_over(descriptor: int, old: Path, about: os.stat_result) -> None:
    """Give a new file the owner, mode and extended attributes of an old one."""
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (about.st_uid, about.st_gid):
        os.fchown(descriptor, about.st_uid, about.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(about.st_mode))
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(old)
    except OSError:
        return  # the file system has none
    for name in names:
        try:
            os.setxattr(descriptor, name, os.getxattr(old, name))
        except OSError:
            # An access list is a permission; what else can't be set, such as a label, the system sets itself.
            if name == _ACL:
                raise


def _check_unchanged(old: ListFile) -> None:
    now = read(old.path)
    if (now.real, now.data, _identity(now)) != (old.real, old.data, _identity(old)):
        raise _changed(old)


def _identity(file: ListFile) -> tuple[int, ...] | None:
    about = file.about
    if about is None:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _changed(old: ListFile) -> ListChangedError:
    return ListChangedError(f"{old.path}: was changed by someone else meanwhile and left as it is; try again")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _worded(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise ListPermissionError(f"{path}: {_why_closed(path)}") from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or f"can't be changed: {error.strerror}"
        raise ListEditError(f"{path}: {reason}") from None


def _why_closed(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:
        return "this user may not write to its folder"
    if os.geteuid() == 0:
        return "may not be changed, not even by root; it may be immutable (lsattr)"
    if about.st_uid != os.geteuid():
        return f"belongs to {_user_name(about.st_uid)}, and this user may not change it"
    return "this user may not write to its folder, and a list is replaced as a whole"


def _user_name(number: int) -> str:
    import pwd  # noqa: PLC0415 - only for a message

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
