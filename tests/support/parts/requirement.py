"""Whether a part is installed: a test without its part is skipped, or failed where every part is asked for."""

from __future__ import annotations

import os
import shutil
from typing import Final, NoReturn

import pytest

REQUIRE_PARTS: Final = "POSTGREY_EXPORTER_TEST_REQUIRE_PARTS"
"""Set to 1 (continuous integration does), a missing part fails the test that needs it."""

_ADMIN_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/lib/systemd")


def find_program(program: str) -> str | None:
    """Return the path of ``program``; looked for in the administrator's folders too, which a user's PATH lacks."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_ADMIN_FOLDERS]
    return shutil.which(program, path=os.pathsep.join(folders))


def require(program: str, package: str | None = None) -> str:
    """Return the path of ``program``; without it, skip the test and name the Debian package (default: same name).

    May be called in a test, in a fixture, or at a module's top. With `REQUIRE_PARTS` set to 1 the test fails.
    """
    path = find_program(program)
    return lacking(program, package or program) if path is None else path


def lacking(part: str, package: str = "", how: str = "apt-get install --no-install-recommends") -> NoReturn:
    """Say that a part is not there, as `require` does for a program, and how it comes there."""
    reason = f"needs {part}: {how} {package}".rstrip()
    if os.environ.get(REQUIRE_PARTS) == "1":
        pytest.fail(f"{reason} ({REQUIRE_PARTS}=1)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
