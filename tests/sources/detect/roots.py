"""The ``/var/log`` trees of the systems that postgrey runs on, made by the test."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

NOW: Final = 1_760_000_000.0


def message(number: int) -> str:
    return f"action=greylist, reason=new, client_name=m{number}.example.com, client_address=192.0.2.{number % 250}"


def said_by(program: str, number: int) -> str:
    text = message(number) if program.startswith("postgrey") else "connect from unknown[192.0.2.7]"
    return f"{program}: {text}"


def traditional(numbers: Iterable[int], program: str = "postgrey[6346]") -> bytes:
    """Return lines at that many seconds before `NOW`, as rsyslog's traditional template has them, in UTC."""
    stamps = ((time.strftime("%b %e %H:%M:%S", time.gmtime(NOW - number)), number) for number in numbers)
    return b"".join(f"{stamp} mx1 {said_by(program, number)}\n".encode() for stamp, number in stamps)


def rfc3339(numbers: Iterable[int], program: str = "postgrey[6346]") -> bytes:
    stamps = (
        (time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00", time.gmtime(NOW - number)), number) for number in numbers
    )
    return b"".join(f"{stamp} mx1 {said_by(program, number)}\n".encode() for stamp, number in stamps)


def headerless(numbers: Iterable[int]) -> bytes:
    return b"".join(f"{message(number)}\n".encode() for number in numbers)


_PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


class Root:
    """A folder that stands for ``/``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, log: Path, content: Iterable[bytes], seconds_ago: float = 0) -> None:
        with log.open("ab") as file:
            file.writelines(content)
        os.utime(log, (NOW - seconds_ago, NOW - seconds_ago))

    def write(self, name: str, content: bytes, seconds_ago: float = 0) -> Path:
        """Write a file, compressed as its name says, last changed that long before `NOW`."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_PACKERS.get(path.suffix, bytes)(content))
        os.utime(path, (NOW - seconds_ago, NOW - seconds_ago))
        return path
