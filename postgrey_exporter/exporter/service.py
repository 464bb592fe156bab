"""The running exporter: one thread reads on, and scrapes have it read on before they answer.

The state has one writer, the thread in `Service.run`, which also prepares the answers. A scrape asks it to read and
waits until it has: what is in the file is in the answer. It does not wait for what takes long (the first reading of
old logs, hundreds of lines at once, a large state at the turn of the hour or after a list edit): then it gets the
answer that was prepared after the latest commit, and the next one shows the rest.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.exporter.scrape_gate import ScrapeGate
from postgrey_exporter.exporter.status_log import StatusLog
from postgrey_exporter.exporter.view import ViewMaker
from postgrey_exporter.memory.table import give_back_free
from postgrey_exporter.pipeline.ingest import Watcher
from postgrey_exporter.state.connection import StateError
from postgrey_exporter.summary.domain import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postgrey_exporter.exporter.view import View
    from postgrey_exporter.pipeline.ingest import Ingest
    from postgrey_exporter.state.reader import StateReader
    from postgrey_exporter.summary.domain import DomainStanding

_log = logging.getLogger(__name__)


class Pace(NamedTuple):
    """How often the sources are read, and how long evidence is worked out. All in seconds."""

    poll: float = 2.0
    """Pause between two readings that no scrape asks for. It doubles while nothing comes and all is well …"""
    idle_poll: float = 60.0
    """… up to this one."""
    quick_evidence: float = 0.01
    """For evidence while scrapes wait for it."""
    evidence: float = 0.5
    """For evidence after the scrapes were answered, before the log is read again."""
    busy_evidence: float = 0.005
    """The same while the log grows quickly: nearly every domain changes every second then."""


class StoppedError(Exception):
    """Raised inside a reading when the service is to stop; what is committed stays."""


class Service(Watcher):
    """Joins the reading with the answering: one thread reads, and an event loop in another one answers."""

    def __init__(
        self,
        ingest: Ingest,
        reader: StateReader,
        clock: Callable[[], float],
        *,
        pace: Pace = Pace(),
        gate: ScrapeGate | None = None,
    ) -> None:
        """Create the service, which reads nothing yet. ``clock`` returns the present in seconds since the epoch."""
        self._ingest = ingest
        self._reader = reader
        self._clock = clock
        self._pace = pace
        self._gate = gate or ScrapeGate()
        self._log = StatusLog()
        self._maker = ViewMaker(ingest, reader, self._log)
        self._stopping = False
        self._reload_asked = False
        self._caught_up = threading.Event()
        self._view: View | None = None
        self._has_news = False
        self._is_busy = False
        self.prepare: Callable[[View], None] = lambda _: None
        """Called with each new view by the thread that reads, so that the work is done before a scrape waits."""

    @property
    def ready(self) -> bool:
        """Whether the sources have been read to their end once."""
        return self._caught_up.is_set()

    def run(self) -> None:
        """Read on until `stop` is called."""
        rest = self._pace.poll
        self._publish()
        while not self._stopping:
            is_calm = self._turn()
            last, rest = rest, min(2 * rest, self._pace.idle_poll) if is_calm else self._pace.poll
            if last < rest == self._pace.idle_poll:
                give_back_free()
            self._gate.rest(rest)

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping = True
        self._gate.wake()

    def reload(self) -> None:
        """Have the lists read again at once; may be called from any thread."""
        if not self._reload_asked:
            self._reload_asked = True
            self._gate.wake()

    async def view(self) -> View:
        """Return what the metrics are made of, after reading what the log has grown by. Raises `StateError`."""
        if self.ready:
            asked = self._gate.ask()
            await asyncio.wait([asyncio.wrap_future(asked.ended)], timeout=asked.patience)
        return await asyncio.to_thread(self._maker.make) if self._view is None else self._view

    def reader(self) -> StateReader:
        """Return a connection to the state for another thread, to be closed by it. Raises `StateError`."""
        return self._reader.again()

    def standing(self, reader: StateReader, domain: str) -> DomainStanding | None:
        """Return what is known of a domain inside the window, with all attempts as new ones. Raises `StateError`."""
        known = standings(reader.facts_of(domain), self._ingest.lists.lists, self._clock()).domains
        return known[0] if known else None

    # --- what the reading calls

    def pause(self) -> None:
        """Stop the reading if the service is to stop."""
        if self._stopping:
            raise StoppedError

    def takes_long(self) -> None:
        """Release the scrapes that wait."""
        self._is_busy = True
        self._gate.takes_long()

    def changes(self, domains: Iterable[str] | None) -> None:
        """Mark the evidence of these domains, or of all, as out of date."""
        if domains is None:
            self._maker.evidence.note_all()
        else:
            self._maker.evidence.note(domains)

    def committed(self) -> None:
        """Have the commit shown: at once during the first reading, else at the end of the turn."""
        self._has_news = True
        if not self.ready:
            self._publish()

    # --- a turn

    def _turn(self) -> bool:
        """Read on and publish a view; return whether nothing came and nothing is in trouble."""
        is_asked = self._gate.begin()
        was_ready = self.ready
        if self._reload_asked:
            self._reload()
        is_read = self._advance(asked=is_asked)
        needs_view = self._has_news or not self._log.is_state_up
        is_calm = not needs_view and all(status.error is None for status in self._ingest.statuses.values())
        if is_asked or needs_view:
            self._publish()
        self._gate.end(following=was_ready)
        if is_read and not was_ready:
            snapshot = self._maker.snapshot
            self._log.note_first_reading(self._ingest.statuses, snapshot.lines if snapshot else {})
            give_back_free()
            self._caught_up.set()
        seconds = self._pace.busy_evidence if self._is_busy else self._pace.evidence
        if self._work_out_evidence(seconds, until_asked=True):
            if self._is_busy:
                self._has_news = True  # for the next turn, which is about to begin
            else:
                self._publish()
        return is_calm

    def _reload(self) -> None:
        self._reload_asked = False
        self._ingest.lists.doubt()
        self._log.repeat_lists()
        _log.info("the lists are read again")

    def _advance(self, *, asked: bool) -> bool:
        """Read on; return whether all sources have been read to their ends."""
        self._is_busy = False
        try:
            has_looked = self._ingest.advance(self._clock(), self, asked=asked)
        except StoppedError:
            return False
        except StateError as error:
            self._log.note_state("written", error)
            self._maker.evidence.note_all()  # the state may have been begun anew
            return False
        self._log.note_state("written")
        if has_looked:
            self._log.note_sources(self._ingest.statuses)
            self._log.note_lists(self._ingest.lists.statuses())
        # All evidence is worked out before the first answers, however long that takes.
        self._has_news |= self._work_out_evidence(self._pace.quick_evidence if self.ready else inf, until_asked=False)
        return not self._stopping

    def _work_out_evidence(self, seconds: float, *, until_asked: bool) -> bool:
        """Update evidence for some seconds, or until a scrape asks; return whether any was updated."""
        now = self._clock()

        def is_enough() -> bool:
            return self._stopping or self._clock() - now > seconds or (until_asked and self._gate.is_asked)

        return self._maker.work_out_evidence(now, is_enough) and not self._stopping

    def _publish(self) -> None:
        """Make a view of the present state, for all answers from now on."""
        self._has_news = False
        try:
            self._view = self._maker.make()
        except StateError as error:
            self._log.note_state("read", error)
            return
        try:
            self.prepare(self._view)
        except Exception as error:  # noqa: BLE001 - the reading goes on, and answers are made where somebody asks
            self._log.note_preparing(error)
        else:
            self._log.note_preparing()
