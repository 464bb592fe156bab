"""A real `serve`, a log that grows at a steady rate, and how long its scrapes take."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from benchmarks.make_log import Stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES_A_SECOND: Final = 5_000
_TICKS_A_SECOND: Final = 50
_START_SECONDS: Final = 120.0
_ACCEPT: Final = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
_LINES: Final = re.compile(rb"^postgrey_exporter_source_lines_total\{[^}]*\} (\S+)$", re.MULTILINE)
_STARTED_LATER: Final = """
import sys, time
real, offset = time.time, float(sys.argv.pop(1))
time.time = lambda: real() + offset
from postgrey_exporter.__main__ import run
run()
"""


def lines_read(exposition: bytes) -> int:
    """Return how many lines an answer says were read."""
    return int(sum(map(float, _LINES.findall(exposition))))


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processor time so far of a process's threads, user and system.

    Those of the scheduler: the ticks of /proc/PID/stat fall on the timers that wake a thread, and make ten
    milliseconds of each.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@dataclass(slots=True)
class Scrapes:
    """What the scrapes of one scenario were like."""

    seconds: list[float] = field(default_factory=list)
    """Wall time of each, from the connection to the last byte."""
    behind: list[int] = field(default_factory=list)
    """Lines that were in the log before the scrape and not in its answer."""
    size: int = 0
    """Bytes of the last answer."""

    def text(self) -> str:
        """Return them in one line: milliseconds."""
        if len(self.seconds) < 2:
            return f"{len(self.seconds)} scrapes"
        ordered = sorted(self.seconds)
        cuts = quantiles(ordered, n=100, method="inclusive")
        late = sum(behind > 0 for behind in self.behind)
        return (
            f"{len(ordered)} scrapes of {self.size / 1e3:.0f} kB: p50 {cuts[49] * 1e3:.0f} ms, "
            f"p99 {cuts[98] * 1e3:.0f} ms, most {ordered[-1] * 1e3:.0f} ms; "
            f"{late} without all lines, most {max(self.behind, default=0)} lines behind"
        )


class Serving:
    """A running `serve`."""

    def __init__(self, log: Path, state: Path, *options: str, offset: float = 0.0) -> None:
        """Start it on a free port; its clock is ``offset`` seconds ahead."""
        with create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", _STARTED_LATER, str(offset), "serve", "--mail-log", str(log)]
        command += ["--state", str(state), "--web.listen-address", f"127.0.0.1:{self.port}", "--log.level", "error"]
        self.process = subprocess.Popen([*command, *options])
        self.pid = self.process.pid

    def ask(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": _ACCEPT})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def until(self, path: str) -> None:
        """Wait until a path is answered with 200."""
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit:
            try:
                if self.ask(path)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError(path)

    def cpu(self) -> float:
        """Return its processor time so far, see `cpu_seconds`."""
        return cpu_seconds(self.pid)

    def memory(self) -> tuple[float, float]:
        """Return resident memory in MB (10^6 bytes): now, and the most there was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        now, most = (re.search(rf"^{name}:\s+([0-9]+) kB", status, re.MULTILINE) for name in ("VmRSS", "VmHWM"))
        assert now is not None
        assert most is not None
        return int(now[1]) * 1024 / 1e6, int(most[1]) * 1024 / 1e6

    def switches(self) -> int:
        """Return how often its threads woke up."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/status")
        counts = [
            re.search(r"^voluntary_ctxt_switches:\s+([0-9]+)", task.read_text(), re.MULTILINE) for task in tasks
        ]
        return sum(int(count[1]) for count in counts if count is not None)

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(30)


class Appender:
    """Appends lines to a log at a steady rate, stamped with the time of a clock."""

    def __init__(self, log: Path, lines: list[tuple[bytes, ...]], clock: Callable[[], float]) -> None:
        """Take the log, what to append without stamps (blocks of lines) and the clock."""
        self._log = log
        self._blocks = lines
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.lines = 0
        """Lines appended so far."""

    def _run(self) -> None:
        stamp = Stamps("traditional")
        begun, blocks = time.monotonic(), iter(self._blocks)
        with self._log.open("ab", buffering=0) as log:
            while not self._stop.wait(1 / _TICKS_A_SECOND):
                prefix = stamp(self._clock()).encode()
                chosen: list[bytes] = []
                due = int((time.monotonic() - begun) * LINES_A_SECOND) - self.lines
                while len(chosen) < due:
                    chosen.extend(next(blocks))
                log.write(b"".join(prefix + line for line in chosen))
                self.lines += len(chosen)

    @contextmanager
    def at_work(self) -> Iterator[Appender]:
        """Append while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
