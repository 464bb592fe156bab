"""One list file: read, and replaced in one step or not at all.

A reader sees the old content or the new one, whatever happens in between: the new file is written beside the old one,
given its owner, mode and extended attributes, synced, and renamed over it. Editors of this program wait for each
other, see `lock`. Other programs know no lock, so the old file is looked at once more right before the rename. All of
it goes by the open folder, see `openfolder`.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.edit.errors import ListChangedError, ListEditError, ListPermissionError
from postgrey_exporter.lists.edit.lock import held, swept
from postgrey_exporter.lists.files import LARGEST_LIST, identity
from postgrey_exporter.openfolder import UNSURPRISED, PlantedLinkError, opened_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NEW_FILE_MODE: Final = 0o644

_WRITABLE: Final = 0o222
_ACL: Final = "system.posix_acl_access"
_CAPABILITIES: Final = "security.capability"

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


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list file as it was at one moment."""

    path: Path
    """As it was named."""
    data: bytes | None
    """Its content; ``None`` when there is no such file."""
    about: os.stat_result | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()
    """Its extended attributes."""

    def check_editable(self) -> None:
        """Make sure that its owner meant it to be changed. Raises `ListEditError`.

        A rename asks for neither its permission bits nor its other names. Another name may be someone else's file.
        """
        if self.about and not self.about.st_mode & _WRITABLE:
            raise ListEditError(f"{self.path}: is read-only: chmod u+w it first, if it may be changed by hand")
        if self.about and self.about.st_nlink > 1:
            raise ListEditError(f"{self.path}: has other names (hard links), which would keep the old content")


def read(path: Path) -> ListFile:
    """Return a list file. Raises `ListEditError`."""
    with _worded(path):
        try:
            with opened_folder(path) as (folder, name):
                return _read(path, folder, name)
        except FileNotFoundError:
            return ListFile(path, None)


@contextmanager
def locked(path: Path, pause: Callable[[float], object], *, makes_folder: bool = False) -> Iterator[LockedList]:
    """Keep other editors of this program off a list; the arguments are `ListEditor`'s. Raises `ListEditError`."""
    with (
        _worded(path),
        opened_folder(path, makes_it=makes_folder) as (folder, name),
        held(path, folder, f".{name}.postgrey-exporter.lock", pause),
    ):
        yield LockedList(path, folder, name)


class LockedList:
    """A list file that no other editor of this program changes."""

    def __init__(self, path: Path, folder: int, name: str) -> None:
        """Take it as it was named, its open folder and its name there."""
        self._path = path
        self._folder = folder
        self._name = name
        self._new = f".{name}.postgrey-exporter"

    def read(self) -> ListFile:
        """Return it as it is now. Raises `ListEditError`, `OSError`."""
        try:
            return _read(self._path, self._folder, self._name)
        except FileNotFoundError:
            return ListFile(self._path, None)

    def replace(self, old: ListFile, data: bytes) -> None:
        """Give it new content, or create it. Raises `ListEditError`, `ListChangedError` after a change, `OSError`."""
        old.check_editable()
        swept(self._path, self._folder, self._new)  # left by an editor that was killed
        try:
            self._write(data, old)
            self._check_unchanged(old)
            if old.data is None:
                self._create()
            else:
                self._rename()
        except FileExistsError:
            raise _changed(self._path) from None
        finally:
            with suppress(FileNotFoundError):
                os.unlink(self._new, dir_fd=self._folder)
        self._sync_folder()

    def remove(self, old: ListFile) -> None:
        """Remove it. Raises `ListEditError`, `ListChangedError` as `replace` does, `OSError`."""
        self._check_unchanged(old)
        os.unlink(self._name, dir_fd=self._folder)
        self._sync_folder()

    def _write(self, data: bytes, old: ListFile) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | UNSURPRISED
        descriptor = os.open(self._new, flags, 0o600, dir_fd=self._folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old.about is None:
                os.fchmod(descriptor, NEW_FILE_MODE)
            else:
                _take_over(descriptor, old.about, old.attributes)
            os.fsync(descriptor)

    def _create(self) -> None:
        try:
            # Unlike a rename, this fails where a file has appeared.
            os.link(self._new, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._rename()

    def _rename(self) -> None:
        os.rename(self._new, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _check_unchanged(self, old: ListFile) -> None:
        try:
            now = self.read()
        except (OSError, ListEditError):
            raise _changed(self._path) from None
        if (now.data, identity(now.about)) != (old.data, identity(old.about)):
            raise _changed(self._path)

    def _sync_folder(self) -> None:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def may_edit(path: Path) -> bool:
    """Tell whether this user may change a file, as far as permissions tell."""
    try:
        with opened_folder(path) as (folder, name):
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
                return False
            with suppress(FileNotFoundError):
                return os.geteuid() in {0, os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid}
            return True
    except (OSError, PlantedLinkError):
        return False


def _read(path: Path, folder: int, name: str) -> ListFile:
    # A device is not even opened: that alone can do something.
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise ListEditError(f"{path}: is no regular file: name a list")
    descriptor = os.open(name, os.O_RDONLY | UNSURPRISED, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ListEditError(f"{path}: is no regular file: name a list")
        if about.st_size > LARGEST_LIST:
            raise ListEditError(f"{path}: is larger than {LARGEST_LIST >> 20} MiB: name a list, not a log")
        return ListFile(path, file.read(LARGEST_LIST + 1), about, _attributes(descriptor))


def _take_over(descriptor: int, about: os.stat_result, attributes: tuple[tuple[str, bytes], ...]) -> None:
    """Give a new file the owner, mode and extended attributes of an old one."""
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (about.st_uid, about.st_gid):
        os.fchown(descriptor, about.st_uid, about.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(about.st_mode))
    for name, value in attributes:
        try:
            os.setxattr(descriptor, name, value)
        except OSError:
            # An access list is a permission; what else can't be set, such as a label, the system sets itself.
            if name == _ACL:
                raise


def _attributes(descriptor: int) -> tuple[tuple[str, bytes], ...]:
    if not hasattr(os, "listxattr"):
        return ()
    try:
        # A program's privileges end when it is written to, and are no list's.
        names = [name for name in os.listxattr(descriptor) if name != _CAPABILITIES]
        return tuple((name, os.getxattr(descriptor, name)) for name in names)
    except OSError:
        return ()  # the file system has none


def _changed(path: Path) -> ListChangedError:
    return ListChangedError(f"{path}: was changed by someone else meanwhile and left as it is; try again")


@contextmanager
def _worded(path: Path) -> Iterator[None]:
    try:
        yield
    except PlantedLinkError as error:
        raise ListEditError(str(error)) from None
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
    if about.st_uid == os.geteuid():
        return "this user may not write to its folder, and a list is replaced as a whole"
    owner = f"user {about.st_uid}"
    with suppress(KeyError, OSError):
        owner = path.owner()
    return f"belongs to {owner}, and this user may not change it"
