"""The exporter under a real limit of memory: RLIMIT_DATA, with small stacks for its threads."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from support.loglines import decision
from support.parts import require
from support.running import Files, run

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1 << 20
_STEP_MIB: Final = 4


def limited(mib: int) -> list[str]:
    """Return what starts a program that gets so many MiB for its data."""
    return [require("prlimit", "util-linux"), f"--data={mib * MIB}", "--stack=1048576"]


@cache
def least() -> int:
    """Return the MiB that this Python needs to count a single line: what is above that is for the log's own."""
    with TemporaryDirectory() as folder:
        files = Files(Path(folder))
        files.append(decision(time.time() - 60))
        for mib in range(_STEP_MIB, 1024, _STEP_MIB):
            if run("collect", *files.options, before=limited(mib)).returncode == 0:
                return mib
    raise AssertionError("a gigabyte does not suffice for a single line")


def names(count: int, begin: float, seconds: float, *, padding: int = 0) -> Iterator[str]:
    """Yield as many lines, each with a client, a domain and a message of its own; labels as padding for each name."""
    for number in range(count):
        labels = f"{'a' * 50}." * padding
        line = decision(
            begin + number * seconds / count,
            f"m{number}.{labels}d{number}.home.arpa",
            f"198.18.{number >> 8 & 255}.{number & 255}",
        )
        yield line.replace("sender=a@", f"sender=a{number}x@")


def repeats(count: int, times: int, moment: float) -> Iterator[str]:
    """Yield as many lines that each say to stand for several."""
    for number in range(count):
        header, message = decision(moment, f"m{number % 50}.example.com").rstrip("\n").split("[12]: ")
        yield f"{header}[12]: message repeated {times} times: [ {message}]\n"
