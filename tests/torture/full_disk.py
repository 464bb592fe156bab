"""``python -m torture.full_disk FOLDER``: fill a small disk so that a commit meets its end at every possible page.

FOLDER is where that disk is mounted, with nothing on it. Each time a little more room is left; a fork of this process
reads what has come and fails, or does not; then the room is given back, and the counts have to be right.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sys
from pathlib import Path

from torture.counts import compare
from torture.exporter import forked
from torture.folders import fresh_folder
from torture.writer import Writer

PAGE = 4096


def main() -> int:
    disk = Path(sys.argv[1])
    folder = fresh_folder("full-disk")
    log, output = folder / "mail.log", folder / "output"
    for name in ("whitelist", "ignore"):
        (folder / name).touch()
    state = disk / "state.sqlite3"
    arguments = ["collect", "--mail-log", str(log), "--state", str(state)]
    arguments += ["--whitelist-file", str(folder / "whitelist"), "--ignore-file", str(folder / "ignore")]
    arguments += ["--output", str(folder / "metrics"), "--log.level", "error"]
    writer = Writer(log, random.Random(1))
    writer.write(20)
    failed = succeeded = 0
    room = 0
    while succeeded < 5:
        ballast = disk / "ballast"
        fill(ballast, room)
        writer.write(20)
        status = forked(arguments, output).wait()
        failed, succeeded = failed + (status == 2), succeeded + (status == 0)
        ballast.unlink()
        if status not in {0, 2}:
            print(f"with {room} bytes left collect ended with {status}: {output.read_text()[-2000:]}")
            return 1
        again = forked(arguments, output).wait()
        difference = compare(writer, (folder / "metrics").read_text(), state, str(log))
        if again != 0 or difference:
            print(f"after {room} bytes were left, collect ended with {again}: {difference}; see {folder}")
            return 1
        room += PAGE
    words = output.read_text()
    shutil.rmtree(folder)
    if "Traceback" in words or "disk is full" not in words:
        print(words)
        return 1
    print(f"a full disk met {failed} readings, each at another page: all counts are right")
    return 0


def fill(ballast: Path, room: int) -> None:
    """Fill the disk with a file, but for ``room`` bytes."""
    with ballast.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), b"x" * PAGE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        size = os.fstat(file.fileno()).st_size
        os.ftruncate(file.fileno(), max(0, size - room))


if __name__ == "__main__":
    sys.exit(main())
