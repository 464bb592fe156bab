"""Who may read a file: its permission bits and its access control list."""

from __future__ import annotations

import grp
import os
import stat
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_ACL: Final = "system.posix_acl_access"
_ACL_VERSION_BYTES: Final = 4
_ACL_ENTRY: Final = struct.Struct("<HHI")
_ACL_USER: Final = 0x02
_ACL_GROUP: Final = 0x08
_READ: Final = 4


def readers(path: Path) -> tuple[frozenset[int], frozenset[int]] | None:
    """Return the users and groups that may read a file, without root; ``None`` if everybody may. Raises `OSError`.

    The access list's form is that of posix_acl_xattr.h in Linux; journald gives its files one, for the group ``adm``.
    """
    about = path.stat()
    if about.st_mode & stat.S_IROTH:
        return None
    users = {about.st_uid} if about.st_mode & stat.S_IRUSR else set()
    groups = {about.st_gid} if about.st_mode & stat.S_IRGRP else set()
    for tag, permissions, number in _ACL_ENTRY.iter_unpack(_acl(path)):
        if permissions & _READ:
            users |= {number} if tag == _ACL_USER else set()
            groups |= {number} if tag == _ACL_GROUP else set()
    return frozenset(users), frozenset(groups)


def may_read(path: Path, uid: int, groups: Collection[int]) -> bool:
    """Tell whether an account may read a file. Raises `OSError`."""
    allowed = readers(path)
    return uid == 0 or allowed is None or uid in allowed[0] or not allowed[1].isdisjoint(groups)


def group_name(path: Path) -> str | None:
    """Return the group whose members may read a file, its own rather than one of its list. Raises `OSError`."""
    allowed = readers(path)
    if allowed is None or not allowed[1]:
        return None
    own = path.stat().st_gid
    number = own if own in allowed[1] else min(allowed[1])
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _acl(path: Path) -> bytes:
    try:
        return os.getxattr(path, _ACL)[_ACL_VERSION_BYTES:]
    except (OSError, AttributeError):  # none, or no such thing on this system
        return b""
