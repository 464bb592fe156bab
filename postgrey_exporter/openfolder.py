"""The folder of a file, opened step by step: no link that a stranger could lay leads elsewhere.

A symbolic link is followed where nobody but root and this user can lay one. What is done to the file goes by the
open folder and the file's name in it, so that nothing that is renamed meanwhile matters.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_FOLDER_MODE: Final = 0o755

# A folder that may be entered and not read is enough.
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO would block for ever.
UNSURPRISED: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How a file is opened that may have been planted: over no link, waiting for nobody."""
_MOST_LINKS: Final = 40
"""As many as Linux follows."""


class PlantedLinkError(PostgreyExporterError):
    """A path leads over a symbolic link that may be a stranger's."""


@contextmanager
def opened_folder(path: Path, *, makes_it: bool = False, follows_last: bool = True) -> Iterator[tuple[int, str]]:
    """Open the folder that holds a file; yield its descriptor and the file's name in it.

    ``makes_it`` creates the folder where it is missing. Without ``follows_last`` a file that is a link stands for
    itself. Raises `PlantedLinkError`, `OSError`.
    """
    folder, name = _walk(path, makes_it=makes_it, follows_last=follows_last)
    try:
        yield folder, name
    finally:
        os.close(folder)


def _walk(path: Path, *, makes_it: bool, follows_last: bool) -> tuple[int, str]:
    folder, here = os.open("/", _FOLDER), Path("/")
    ahead = list(reversed(path.absolute().parts[1:])) or ["."]
    links = 0
    try:
        while True:
            name = ahead.pop()
            target = _target(folder, name) if ahead or follows_last else None
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                _check_own(os.fstat(folder), path, here / name)
                ahead += reversed([part for part in target.parts if part != "/"] or ["."])
                if not target.is_absolute():
                    continue
                deeper, here = os.open("/", _FOLDER), Path("/")
            elif not ahead:
                return folder, name
            else:
                if makes_it and len(ahead) == 1:
                    with suppress(FileExistsError):
                        os.mkdir(name, NEW_FOLDER_MODE, dir_fd=folder)
                deeper, here = os.open(name, _FOLDER, dir_fd=folder), here / name
            os.close(folder)
            folder = deeper
    except BaseException:
        os.close(folder)
        raise


def _target(folder: int, name: str) -> Path | None:
    """Return where a link leads; ``None`` for what is none, or not there."""
    try:
        return Path(os.readlink(name, dir_fd=folder))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _check_own(about: os.stat_result, path: Path, link: Path) -> None:
    """Make sure that nobody else can have laid a link into a folder. An access list shows in the group's bits."""
    if about.st_uid not in {0, os.geteuid()} or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PlantedLinkError(
            f"{path}: {link} is a symbolic link in a folder that others can write, and not followed: "
            "name the file that is meant"
        )
