"""One child process with its output in a file: started, watched while it comes up, and stopped by its id."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING, Final, Self

from support.parts.waiting import LIMIT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

STOP_LIMIT: Final = 15.0
"""Seconds between SIGTERM and giving up on a clean end."""


class PartError(AssertionError):
    """A real part did not start, or did not end when it was asked to; the message holds its last output."""


class Daemon:
    """A program in the foreground, in a folder of its own under the system's temporary folder.

    The folder is made and removed here rather than under pytest's ``tmp_path``: that one is closed to the other
    accounts that daemons change to. ``output`` is the file with its standard output and standard error.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        """The part's own folder, from its start to its end."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix=f"{self.name}-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    @property
    def output(self) -> Path:
        return self.directory / "output"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise PartError(f"{self.name} is not running")
        return self._process.pid

    def start(
        self,
        arguments: Sequence[str | Path],
        ready: Callable[[], object],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run the program and return when ``ready()`` is true; its output is appended to that of an earlier run."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment,
            )
        process = self._process

        def up_or_over() -> bool:
            return process.poll() is not None or bool(ready())

        try:
            wait_until(up_or_over, LIMIT, f"{self.name} to answer")
        except TimeoutError as error:
            words = self._words()
            self.kill()
            raise PartError(f"{error}\n{words}") from None
        if process.returncode is not None:
            raise PartError(f"{self.name} ended with {process.returncode} instead of starting\n{self._words()}")

    def stop(self) -> int:
        """End the process with SIGTERM and return its exit status (negative: the signal that ended it)."""
        return self._end(SIGTERM)

    def kill(self) -> int:
        """End the process with SIGKILL, as a crash would."""
        return self._end(SIGKILL)

    def signal(self, number: Signals) -> None:
        if self._process is None:
            raise PartError(f"{self.name} is not running")
        self._process.send_signal(number)

    def check_runs(self) -> None:
        """Raise `PartError` where the process has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise PartError(f"{self.name} ended with {self._process.returncode}\n{self._words()}")

    def close(self) -> None:
        """Stop what runs and remove the folder; harmless when done twice."""
        try:
            if self._process is not None:
                self.stop()
        finally:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _end(self, number: Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            raise PartError(f"{self.name} is not running")
        process.send_signal(number)

        def over() -> bool:
            self.wake()
            return process.poll() is not None

        try:
            wait_until(over, STOP_LIMIT)
        except TimeoutError:
            process.kill()
            process.wait()
            raise PartError(f"{self.name} did not end within {STOP_LIMIT:g} s of {number.name}") from None
        return process.returncode

    def wake(self) -> None:
        """Make the program look up from its waiting, where a signal alone does not; called until it has."""

    def _words(self) -> str:
        return self.output.read_text(errors="replace")[-4000:]

    def run(self) -> None:
        """Start the part; each kind says how."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.run()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
