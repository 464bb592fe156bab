"""The running exporter: a loop that reads on, and scrapes that read on too before they answer.

The state has one writer at a time: whoever holds the lock. While the first reading of old logs goes on, a scrape does
not wait for it; it answers with what is committed so far.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from postgrey_exporter.database import StateError
from postgrey_exporter.metrics import View
from postgrey_exporter.parser import DECISION
from postgrey_exporter.standing import Standings, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from postgrey_exporter.ingest import Ingest
    from postgrey_exporter.lists import ListFileStatus
    from postgrey_exporter.messages import Evidence
    from postgrey_exporter.snapshot import Snapshot, StateReader
    from postgrey_exporter.window import Window

    _Reading = tuple[Snapshot, Mapping[str, tuple[Evidence, int]]]

_log = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0
"""How often the sources are looked at when no scrape does."""
MOST_WARNINGS_LOGGED: Final = 20
"""How many warnings about one list file go to the log."""
SCRAPE_PATIENCE_SECONDS: Final = 2.0
"""How long a scrape waits for a reading that is under way."""


class StoppedError(Exception):
    """Raised inside a reading when the service is to stop; what is committed stays."""


class Service:
    """Joins the reading with the answering; used by one reading and any number of answering threads."""

    def __init__(self, ingest: Ingest, reader: StateReader, window: Window, clock: Callable[[], float]) -> None:
        """Take the parts. ``clock`` returns the present in seconds since the epoch."""
        self._ingest = ingest
        self._reader = reader
        self._window = window
        self._clock = clock
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._caught_up = threading.Event()
        self._state_errors: dict[str, str] = {}
        self._last_reading: _Reading | None = None
        self._source_errors: dict[str, str | None] = {}
        self._lists_said: dict[tuple[str, Path], ListFileStatus] = {}

    @property
    def ready(self) -> bool:
        """Whether the sources have been read to their end once."""
        return self._caught_up.is_set()

    def run(self) -> None:
        """Read on until `stop` is called."""
        while not self._stopping.is_set():
            with self._writing:
                self._advance(asked=False)
            self._stopping.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping.set()

    def view(self) -> View:
        """Return what the metrics are made of, after reading what the log has grown by."""
        if self._caught_up.is_set() and self._writing.acquire(timeout=SCRAPE_PATIENCE_SECONDS):
            try:
                self._advance(asked=True)
            finally:
                self._writing.release()
        snapshot, evidence = self._read()
        return make_view(self._ingest, snapshot, evidence, state_up=not self._state_errors)

    def standings(self) -> Standings:
        """Return the standings of the window. Raises `StateError`."""
        lists = self._ingest.lists.lists
        with self._reading:
            now = self._clock()
            first_hour = self._window.first_hour(now)
            return standings(self._reader.facts(first_hour), lists, now)

    def _advance(self, *, asked: bool) -> None:
        try:
            self._ingest.advance(self._clock(), self._stop_if_told, asked=asked)
        except StoppedError:
            return
        except StateError as error:
            self._note_state("written", error)
            return
        self._note_state("written", None)
        self._say_what_changed()
        if not self._caught_up.is_set():
            self._caught_up.set()
            self._say_what_was_found()

    def _stop_if_told(self) -> None:
        if self._stopping.is_set():
            raise StoppedError

    def _note_state(self, doing: str, error: StateError | None) -> None:
        """Log an error of the state once when it begins, and once when it is over."""
        before = self._state_errors.get(doing)
        if error is not None:
            if str(error) != before:
                _log.error("%s; trying again, nothing is lost as long as the log is there", error)
            self._state_errors[doing] = str(error)
        elif before is not None:
            _log.info("the state can be %s again", doing)
            del self._state_errors[doing]

    def _say_what_changed(self) -> None:
        """Log a source's trouble once when it begins and once when it is over, and a list when it changes."""
        for name, status in self._ingest.statuses.items():
            before = self._source_errors.get(name)
            self._source_errors[name] = status.error
            if status.error is not None and status.error != before:
                _log.warning("%s; waiting for it", status.error)
            elif status.error is None and before is not None:
                _log.info("%s: can be read again", name)
        for said in self._ingest.lists.statuses():
            if said != self._lists_said.get((said.list, said.path)):
                self._lists_said[said.list, said.path] = said
                _say_what_list_says(said)

    def _say_what_was_found(self) -> None:
        lines = self._read()[0].lines
        for name, status in self._ingest.statuses.items():
            if not status.up:
                continue
            read = sum(total for (source, _), total in lines.items() if source == name)
            decisions = lines.get((name, DECISION), 0)
            if decisions:
                _log.info("%s: %d decisions of postgrey's in %d lines so far", name, decisions, read)
            else:
                _log.warning(
                    "%s: none of the %d lines read is a decision of postgrey's: it may log elsewhere (on Debian 12 "
                    "to the journal), under another tag (--syslog-tag), or not at all (--quiet)",
                    name,
                    read,
                )

    def _read(self) -> _Reading:
        """Return what the state holds or, while it can't be read, what it held before."""
        with self._reading:
            try:
                snapshot = self._reader.snapshot()
                self._last_reading = snapshot, self._reader.evidence(snapshot.unreviewed, self._clock())
            except StateError as error:
                if self._last_reading is None:
                    raise
                self._note_state("read", error)
            else:
                self._note_state("read", None)
            return self._last_reading


def _say_what_list_says(status: ListFileStatus) -> None:
    if status.error is not None:
        _log.warning("%s; what it said last stays in force", status.error)
        return
    _log.info("%s: %d entries are in force (%s)", status.path, status.entries, status.list)
    for warning in status.warnings[:MOST_WARNINGS_LOGGED]:
        _log.warning("%s", warning)
    if len(status.warnings) > MOST_WARNINGS_LOGGED:
        _log.warning("%s: %d more lines like these", status.path, len(status.warnings) - MOST_WARNINGS_LOGGED)


def make_view(
    ingest: Ingest, snapshot: Snapshot, evidence: Mapping[str, tuple[Evidence, int]], *, state_up: bool
) -> View:
    """Put together what the metrics are made of."""
    return View(
        snapshot=snapshot,
        evidence=evidence,
        sources=ingest.statuses,
        lists=tuple(ingest.lists.statuses()),
        state_up=state_up,
        state_bytes=ingest.store.size_bytes(),
        max_domains=ingest.store.max_domains,
    )
