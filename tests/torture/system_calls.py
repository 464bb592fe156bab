"""``python -m torture.system_calls``: kill the true command at each system call by which it changes a file.

strace does it: SIGKILL just before the n-th such call, for every n; and in a second round the call fails with ENOSPC.
SQLite's own writes are among them, so these are the moments inside a COMMIT.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from support.parts.requirement import find_program

from torture.counts import compare
from torture.exporter import COMMAND, KILLED
from torture.folders import fresh_folder
from torture.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

CALLS: Final = "write,pwrite64,fsync,fdatasync,ftruncate,unlink,rename,fallocate"


class Scene:
    """A log, a state that has counted a part of it, and `collect`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "mail.log"
        self._metrics = folder / "metrics"
        self._state = folder / "state" / "state.sqlite3"
        for name in ("whitelist", "ignore"):
            (folder / name).touch()
        self.writer = Writer(self._log, random.Random(1))
        self.writer.write(20)
        self.collect()
        self.writer.write(20)
        self.writer.close()
        shutil.copytree(self._state.parent, folder / "before")

    def collect(self, *under: str) -> int:
        """Run the command, under another program where one is given, and return its exit status."""
        files = {"mail-log": self._log, "state": self._state, "output": self._metrics}
        files |= {f"{name}-file": self._folder / name for name in ("whitelist", "ignore")}
        options = [f"--{name}={path}" for name, path in files.items()]
        ended = subprocess.run([*under, *COMMAND, "collect", *options], check=False, capture_output=True)
        return ended.returncode

    def go_back(self) -> None:
        """Make the state what it was before the last lines were counted."""
        shutil.rmtree(self._state.parent)
        shutil.copytree(self._folder / "before", self._state.parent)

    def adds_up(self) -> bool:
        """Read what is left to read, and tell whether all counts are right; print what is wrong."""
        status = self.collect()
        found = compare(self.writer, self._metrics.read_text(), self._state, str(self._log))
        if status != 0 or found:
            print(f"collect ended with {status}; {found}")
        return status == 0 and not found


def main() -> int:
    strace = find_program("strace")
    if strace is None:
        print("left out: needs strace: apt-get install --no-install-recommends strace")
        return 0
    folder = fresh_folder("system-calls")
    scene = Scene(folder)

    def interrupted(fault: str, number: int) -> int:
        scene.go_back()
        return scene.collect(strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={CALLS}:{fault}:when={number}")

    calls = 0
    while interrupted("signal=SIGKILL", calls + 1) == KILLED:
        calls += 1
        if not scene.adds_up():
            print(f"killed at call {calls}; see {folder}")
            return 1
    print(f"killed at each of {calls} system calls: all counts are right")
    failed = 0
    for number in range(1, calls + 1):
        failed += interrupted("error=ENOSPC", number) != 0
        if not scene.adds_up():
            print(f"no room at call {number}; see {folder}")
            return 1
    print(f"no room at each of {calls} system calls, which ended the command {failed} times: all counts are right")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
