"""Who can be tortured: this exporter, a job with plain pygtail, and mtail; started, stopped and killed alike."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, Protocol

from support.parts.requirement import find_program
from support.parts.waiting import LIMIT, free_port, wait_until
from support.running import ask

from postgrey_exporter.state.reader import StateReader
from torture.exporter import COMMAND, pause

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STILL_SECONDS: Final = 0.5
"""How long a count has to stand still until its reader is taken to have come to the end."""


class Reader(Protocol):
    """Something that follows a log and counts its clients."""

    name: str

    def start(self) -> None:
        """Begin, or go on after an end."""

    def catch_up(self) -> None:
        """Let it read to the log's present end, as far as it will."""

    def stop(self) -> None:
        """End it in the way that is meant for it."""

    def kill(self, seconds: float) -> None:
        """End it by SIGKILL, after some time in which it may read."""

    def counted(self) -> Counter[str]:
        """Return how often each client was counted in all; the reader has ended."""


class Ours:
    """This exporter's `serve`."""

    name = "postgrey-exporter"

    def __init__(self, log: Path, folder: Path) -> None:
        self._state = folder / "state.sqlite3"
        self._output = folder / "output"
        whitelist, ignore = folder / "whitelist", folder / "ignore"
        whitelist.touch()
        ignore.touch()
        self._options = [*("--mail-log", str(log)), *("--state", str(self._state))]
        self._options += [*("--whitelist-file", str(whitelist)), *("--ignore-file", str(ignore))]
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def start(self) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        arguments = [*COMMAND, "serve", *self._options, "--web.listen-address", f"127.0.0.1:{port}"]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(lambda: _answers(f"{self._url}/-/ready"), what=f"serve; see {self._output}")

    def catch_up(self) -> None:
        ask(f"{self._url}/metrics")

    def stop(self) -> None:
        _end(self._process, signal.SIGTERM)

    def kill(self, seconds: float) -> None:
        pause(seconds)
        _end(self._process, signal.SIGKILL)

    def counted(self) -> Counter[str]:
        with closing(StateReader(self._state)) as reader:
            return Counter({client.name: new + early_retry for client, new, early_retry in reader.clients(0)})


_PYGTAIL_JOB: Final = """
import re, sys
from pygtail import Pygtail
log, offset, counts = sys.argv[1:]
found = [re.search("greylist.* client_name=([^,]*)", line) for line in Pygtail(log, offset_file=offset)]
with open(counts, "a") as file:
    file.writelines(match[1] + "\\n" for match in found if match)
"""
_MTAIL_PROGRAM: Final = """
counter greylisted by client
/action=greylist.* client_name=(?P<client>[^,]*)/ {
  greylisted[$client]++
}
"""


class PlainPygtail:
    """A job for cron as it is written with pygtail: reads what is new, then adds it to a file of counts."""

    name = "pygtail 0.14"

    def __init__(self, log: Path, folder: Path) -> None:
        self._counts = folder / "counts"
        self._counts.touch()
        files = [str(path) for path in (log, folder / "offset", self._counts)]
        self._arguments = [sys.executable, "-c", _PYGTAIL_JOB, *files]

    def start(self) -> None:
        self.catch_up()

    def catch_up(self) -> None:
        subprocess.run(self._arguments, check=False, stdin=subprocess.DEVNULL, capture_output=True)

    def stop(self) -> None:
        """Do nothing: it runs from time to time."""

    def kill(self, seconds: float) -> None:
        job = subprocess.Popen(
            self._arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        pause(seconds)
        _end(job, signal.SIGKILL)

    def counted(self) -> Counter[str]:
        return Counter(self._counts.read_text().split())


class Mtail:
    """mtail as a daemon that is scraped; what Prometheus would have of it is added up over its lives."""

    name = "mtail 3.0.0-rc50"

    def __init__(self, log: Path, folder: Path) -> None:
        programs = folder / "programs"
        programs.mkdir()
        (programs / "greylisted.mtail").write_text(_MTAIL_PROGRAM)
        self._arguments = [find_program("mtail") or "mtail", *("--progs", str(programs)), *("--logs", str(log))]
        self._arguments += [*("--poll_interval", "50ms"), *("--poll_log_interval", "50ms")]
        self._arguments += [*("--address", "127.0.0.1"), *("--log_dir", str(folder))]
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._scraped: Counter[str] = Counter()
        self._total: Counter[str] = Counter()

    def start(self) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [*self._arguments, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: _answers(f"{self._url}/metrics"), what="mtail")
        _wait_until_still(self._scrape)

    def catch_up(self) -> None:
        _wait_until_still(self._scrape)

    def stop(self) -> None:
        self.catch_up()
        self._end(signal.SIGTERM)

    def kill(self, seconds: float) -> None:
        pause(seconds)
        self._scrape()  # in its favour: as if Prometheus had come at the last moment
        self._end(signal.SIGKILL)

    def counted(self) -> Counter[str]:
        return self._total + self._scraped

    def _end(self, number: signal.Signals) -> None:
        _end(self._process, number)
        self._total += self._scraped
        self._scraped = Counter()

    def _scrape(self) -> int:
        text = ask(f"{self._url}/metrics").text
        found = re.findall(r'^greylisted\{client="([^"]*)".*\} (\d+)$', text, re.MULTILINE)
        self._scraped = Counter({client: int(count) for client, count in found})
        return self._scraped.total()


READERS: Final[tuple[Callable[[Path, Path], Reader], ...]] = (Ours, PlainPygtail, Mtail)


def _answers(url: str) -> bool:
    with suppress(OSError):
        return ask(url).status == 200
    return False


def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None:
        process.send_signal(number)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_still(count: Callable[[], int]) -> None:
    """Wait until a count has not changed for a while."""
    last, since = count(), time.monotonic()

    def still() -> bool:
        nonlocal last, since
        now = count()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= _STILL_SECONDS

    wait_until(still, what="a count to stand still")
