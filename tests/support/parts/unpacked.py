"""Programs that lie in .parts/, where `.ci/unpack` has unpacked their packages: installed, they remove each other."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.parts.requirement import lacking

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parents[3] / ".parts"
_LIBRARIES: Final = f"{platform.machine()}-linux-gnu"


def require_unpacked(program: str) -> Path:
    """Return the path of a program, named from the root of its package; without it, skip the test or fail it."""
    path = FOLDER / program
    if not path.exists():
        lacking(path.name, how=".ci/unpack")
    return path


def libraries() -> Mapping[str, str]:
    """Return the environment in which these programs find their libraries."""
    folders = ("usr/lib/syslog-ng", f"usr/lib/{_LIBRARIES}", f"lib/{_LIBRARIES}")
    return os.environ | {"LD_LIBRARY_PATH": ":".join(str(FOLDER / folder) for folder in folders), "TZ": "UTC"}
