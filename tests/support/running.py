"""The exporter as tests run it: its inner parts over files of a folder, or the whole of it as a process."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.decision import GREYLIST, NEW
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.ingest import Ingest, Limits
from postgrey_exporter.sources import Batch, SourceStatus
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window
from support.parts import Daemon, free_port, require
from support.parts.prometheus import answers
from support.parts.waiting import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from signal import Signals

    from postgrey_exporter.state.snapshot import Snapshot

NOBODY: Final = 65534
NOW: Final = 1_720_000_000.0
WINDOW: Final = Window()
EXPORTER: Final = (sys.executable, "-m", "postgrey_exporter")


class Scripted:
    """A source that hands out the blocks it is given; its position is how many it has handed out."""

    def __init__(self, name: str, blocks: Sequence[str] = (), *, rest_until: float = 0.0) -> None:
        self.name = name
        self.blocks = list(blocks)
        self.handed_out = 0
        self.closed = False
        self._rest_until = rest_until
        self.due_at = 0.0
        self.error: str | None = None

    def check(self) -> None:
        pass

    def resume(self, position: dict[str, Any] | None) -> None:
        self.handed_out = (position or {"blocks": 0})["blocks"]

    def is_due(self, now: float) -> bool:
        return now >= self.due_at

    def batches(self, now: float) -> Iterator[Batch]:
        while self.handed_out < len(self.blocks):
            self.handed_out += 1
            yield Batch(self.blocks[self.handed_out - 1].encode(), now)

    def position(self) -> dict[str, Any]:
        return {"blocks": self.handed_out}

    def status(self) -> SourceStatus:
        return SourceStatus(
            up=self.error is None,
            error=self.error,
            unread_bytes=len(self.blocks) - self.handed_out,
            rotations=0,
            lost_bytes=0,
            unreadable=(),
            rest_until=self._rest_until,
        )

    def close(self) -> None:
        self.closed = True


class Files:
    """The files of one exporter, and the exporter without its faces."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "mail.log"
        self.state = folder / "state.sqlite3"
        self.whitelist = folder / "whitelist_clients"
        self.ignore = folder / "ignore"
        self.whitelist.touch()
        self.ignore.touch()

    @property
    def options(self) -> list[str | Path]:
        """The options by which the commands use these files."""
        return [
            *("--mail-log", self.log),
            *("--state", self.state),
            *("--whitelist-file", self.whitelist),
            *("--ignore-file", self.ignore),
        ]

    @contextmanager
    def ingest(self, *sources: Any, max_domains: int = 100, limits: Limits = Limits()) -> Iterator[Ingest]:
        with closing(Store(self.state, window=WINDOW, max_domains=max_domains)) as store:
            chosen = sources or (FileSource(self.log, WINDOW.seconds),)
            lists = ListFiles([self.whitelist], [self.ignore])
            with closing(Ingest(store, chosen, Parser(), lists, limits)) as ingest:
                yield ingest

    def snapshot(self) -> Snapshot:
        with closing(StateReader(self.state)) as reader:
            return reader.snapshot()

    def counted(self) -> int:
        return self.snapshot().decisions.get((GREYLIST, NEW), 0)

    def write_ahead_log(self) -> int:
        """Return the size of the state's write-ahead log: it grows while something is committed."""
        try:
            return self.state.with_name(f"{self.state.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, *lines: str) -> None:
        with self.log.open("a") as log:
            log.writelines(lines)

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.state)) as db, db:
            db.execute(statement)


# --- the whole of it


def environment(**variables: str) -> dict[str, str]:
    """Return an environment that holds nothing of the tests' own but where programs and modules are found."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | kept | variables


def without_privileges() -> list[str]:
    """Return what starts a program so that permissions hold for it, should the tests run as root.

    The account stays the same: Python may lie where no other can reach it.
    """
    if os.geteuid() != 0:
        return []
    capabilities = "-dac_override,-dac_read_search"
    return [require("setpriv", "util-linux"), f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


def as_other_account() -> list[str]:
    """Return what starts a program as an account that owns nothing; Python may lie where no other can reach it."""
    capabilities = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    account = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [require("setpriv", "util-linux"), *account, *capabilities]


def seconds(limit: float) -> float:
    """Return a limit of time for this machine as it is: longer where several processes share a processor."""
    return limit * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def run(
    *arguments: str | Path,
    before: Sequence[str | Path] = (),
    cwd: Path | None = None,
    limit: float = 60,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``before`` is another program that starts it, ``variables`` its environment."""
    return subprocess.run(
        [*before, *EXPORTER, *arguments],
        env=environment(**variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the exporter's web server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(url: str, method: str = "GET", **headers: str) -> Answer:
    """Return the answer of a server on loopback, whatever its status; ``_`` in a header's name stands for ``-``."""
    host, _, path = url.removeprefix("http://").partition("/")
    with closing(HTTPConnection(host, timeout=LIMIT)) as connection:
        connection.request(
            method, f"/{path}", headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


class Serve(Daemon):
    """`serve` over some files; it has started when it has read the log to its end."""

    def __init__(
        self,
        files: Files,
        *options: str | Path,
        logs: Sequence[Path] = (),
        ready: str = "/-/ready",
        before: Sequence[str | Path] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Take the files, further options and logs, and the path by which it is told that it has started.

        ``before`` is another program that starts it, ``variables`` are its environment.
        """
        super().__init__("serve")
        self._before = before
        self._variables = variables or {}
        self._files = files
        self._ready = ready
        self._options = options
        self._logs = logs
        self._before = before
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"

    def run(self) -> None:
        logs = (option for log in self._logs for option in ("--mail-log", log))
        arguments = [*self._files.options, *logs, "--web.listen-address", self.address, *self._options]
        self.start(
            [*self._before, *EXPORTER, "serve", *arguments],
            ready=lambda: answers(f"{self.url}{self._ready}"),
            environment=environment(**self._variables),
        )

    def end(self, number: Signals) -> int:
        """Send a signal and return the exit status."""
        return self._end(number)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return ask(f"{self.url}{path}", method, **headers)

    def value(self, series: str) -> float | None:
        """Return the value of a series, named as the text format names it, after a scrape."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.ask("/metrics").text, re.MULTILINE)
        return None if found is None else float(found[1])

    def words(self) -> str:
        """Return what it has said on standard output and standard error."""
        return self.output.read_text()
