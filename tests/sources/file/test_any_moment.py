"""Rotation at any moment: just before each single system call of a reading, and right after the last."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from sources.file.scene import SECONDS_UNTIL_SETTLED, Log, Reader, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

_SYSTEM_CALLS = {
    "stat",
    "lstat",
    "fstat",
    "open",
    "close",
    "pread",
    "scandir",
    "read",
    "readinto",
    "read1",
    "fdatasync",
}


class AtCall:
    """Does something just before the n-th system call that is made under it."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self._left = number
        self._act = act

    def __enter__(self) -> None:
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        if self._left >= 0:
            self._act()

    @property
    def too_late(self) -> bool:
        return self._left >= 0

    def _note(self, _frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in _SYSTEM_CALLS:
            if self._left == 0:
                sys.setprofile(None)
                self._act()
                sys.setprofile(self._note)
            self._left -= 1


def rename_and_create(log: Log) -> None:
    log.rename()
    log.write(1)


def rename_and_write_to_the_old_file(log: Log) -> None:
    log.write(1, to=log.rename())
    log.write(1)


def copytruncate(log: Log) -> None:
    log.copy()
    log.truncate()
    log.write(1)


def copytruncate_and_outgrow(log: Log) -> None:
    log.copy()
    log.truncate()
    log.write(400)


def compress_at_once(log: Log) -> None:
    log.compress(log.rename())
    log.write(1)


def a_chain(log: Log) -> None:
    if log.named(".3.gz").exists():
        log.named(".3.gz").rename(log.named(".4.gz"))
    log.named(".2.gz").rename(log.named(".3.gz"))
    log.compress(log.named(".1"), to=log.named(".2.gz"))
    log.rename()
    log.write(1)


def two_rotations(log: Log) -> None:
    a_chain(log)
    a_chain(log)


def to_a_folder_below(log: Log) -> None:
    log.named("old/x").parent.mkdir()
    log.rename("old/mail.log-20260301")
    log.write(1)


def a_scene(folder: Path) -> tuple[Log, Reader]:
    log = Log(folder)
    log.write(40)
    log.compress(log.rename(), to=log.named(".2.gz"))
    log.write(40)
    log.rename()
    log.write(60)
    return log, Reader(log)


@pytest.mark.parametrize("before", ["first start", "after a start", "running"])
@pytest.mark.parametrize(
    "rotate",
    [
        rename_and_create,
        rename_and_write_to_the_old_file,
        copytruncate,
        copytruncate_and_outgrow,
        compress_at_once,
        a_chain,
        two_rotations,
        to_a_folder_below,
    ],
)
def test_rotation_at_any_moment_of_a_reading(folder: Path, rotate: Callable[[Log], None], before: str) -> None:
    number = 0
    done = False
    while not done:
        log, reader = a_scene(folder / str(number))
        if rotate in {copytruncate, copytruncate_and_outgrow, compress_at_once, rename_and_create}:
            log.named(".1").rename(log.named(".7"))
        elif rotate is rename_and_write_to_the_old_file:
            log.named(".1").rename(log.named(".3"))
        if before != "first start":
            reader.read()
            log.write(3)
        if before == "after a start":
            reader.restart()
        call = AtCall(number, lambda log=log: rotate(log))  # type: ignore[misc]
        with call:
            reader.read()
        done = call.too_late
        reader.read()
        log.write(1)
        reader.restart()
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
        assert counted_once(log, reader), number
        assert (reader.status.lost_bytes, reader.status.gaps, reader.status.unreadable) == (0, 0, ()), number
        number += 1
    assert number > 10
