"""The exporter as it is started and killed: the true command, or a fork of this process that has it loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from postgrey_exporter.cli import collect, main, serve
from postgrey_exporter.clients.domains import registrable_domain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType
    from typing import Any

COMMAND: Final = (sys.executable, "-m", "postgrey_exporter")
KILLED: Final = -signal.SIGKILL

_LOADED: Final = (collect, serve, registrable_domain("www.example.com"))
"""What takes its time at a start, done once before all forks."""


class Process:
    """A running exporter."""

    def __init__(self, pid: int, wait: Callable[[], int]) -> None:
        self.pid = pid
        self._wait = wait

    def kill(self) -> int:
        """Kill it and return how it ended: `KILLED`, or its exit status if it was faster."""
        os.kill(self.pid, signal.SIGKILL)
        return self._wait()

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        return self._wait()


def command(arguments: Sequence[str], output: Path) -> Process:
    """Start the true command."""
    with output.open("ab") as file:
        child = subprocess.Popen(  # the caller waits for it
            [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    return Process(child.pid, child.wait)


def forked(arguments: Sequence[str], output: Path, prepare: Callable[[], None] = lambda: None) -> Process:
    """Run the command's function in a fork; ``prepare`` is called in it first."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            sys.argv = ["postgrey-exporter", *arguments]
            prepare()
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        finally:
            sys.setprofile(None)
            sys.stdout.flush()
            os._exit(status)
    return Process(pid, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def die_at_step(number: int) -> None:
    """End this process by SIGKILL at the n-th step from now: each call of a function and each return is a step."""
    left = number

    def step(_frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(step)


def pause(seconds: float) -> None:
    """Let others run; how long a process that is about to be killed has lived is what is varied by it."""
    time.sleep(seconds)
