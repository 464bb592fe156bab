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
from typing import TYPE_CHECKING, Final

from postgrey_exporter.exporter.evidence_cache import EvidenceCache
from postgrey_exporter.exporter.metrics import make_view
from postgrey_exporter.exporter.scrape_gate import Turns
from postgrey_exporter.memory.table import give_back_free
from postgrey_exporter.parsing.parser import DECISION
from postgrey_exporter.state.connection import StateError
from postgrey_exporter.summary.domain import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from postgrey_exporter.exporter.metrics import View
    from postgrey_exporter.lists import ListFileStatus
    from postgrey_exporter.pipeline.ingest import Ingest
    from postgrey_exporter.state.reader import Snapshot, StateReader
    from postgrey_exporter.summary.domain import DomainStanding
    from postgrey_exporter.window import Window

_log = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0
"""How often the sources are looked at when no scrape asks for it …"""
IDLE_POLL_SECONDS: Final = 60.0
"""… and when nothing comes and all is well; from the one to the other the pauses double."""
MOST_WARNINGS_LOGGED: Final = 20
"""How many warnings about one list file go to the log."""
_QUICK_SECONDS: Final = 0.01
"""How long evidence is worked out while scrapes wait for it …"""
_EVIDENCE_SECONDS: Final = 0.5
"""… and after they were answered, before the log is looked at again."""
_BUSY_EVIDENCE_SECONDS: Final = 0.005
"""The same while the log grows quickly. Then nearly every domain changes every second, and each is worked out every
twenty seconds or so."""


class StoppedError(Exception):
    """Raised inside a reading when the service is to stop; what is committed stays."""


class Service:
    """Joins the reading with the answering: one thread reads, and an event loop in another one answers."""

    def __init__(self, ingest: Ingest, reader: StateReader, window: Window, clock: Callable[[], float]) -> None:
        """Take the parts. ``clock`` returns the present in seconds since the epoch."""
        self._ingest = ingest
        self._reader = reader
        self._window = window
        self._clock = clock
        self._turns = Turns()
        self._using_reader = threading.Lock()
        self._stopping = False
        self._reload_asked = False
        self._caught_up = threading.Event()
        self._state_errors: dict[str, str] = {}
        self._evidence = EvidenceCache()
        self._last_snapshot: Snapshot | None = None
        self._view: View | None = None
        self._has_news = False
        self._is_busy = False
        self.prepare: Callable[[View], None] = lambda _: None
        """Called with each new view by the thread that reads, so that the work is done before somebody waits."""
        self._is_unprepared = False
        self._source_errors: dict[str, str | None] = {}
        self._lists_said: dict[tuple[str, Path], ListFileStatus] = {}

    @property
    def ready(self) -> bool:
        """Whether the sources have been read to their end once."""
        return self._caught_up.is_set()

    def run(self) -> None:
        """Read on until `stop` is called."""
        rest = POLL_SECONDS
        self._publish()
        while not self._stopping:
            is_asked = self._turns.begin()
            was_ready = self.ready
            if self._reload_asked:
                self._reload()
            is_read = self._advance(asked=is_asked)
            is_calm = self._is_calm()
            if is_asked or self._has_news or self._state_errors:
                self._publish()
            self._turns.end(following=was_ready)
            if is_read and not was_ready:
                self._say_what_was_found()
                give_back_free()
                self._caught_up.set()
            most = _BUSY_EVIDENCE_SECONDS if self._is_busy else _EVIDENCE_SECONDS
            if self._work_out_evidence(most, until_asked=True):
                if self._is_busy:
                    self._has_news = True  # for the next turn, which is about to begin
                else:
                    self._publish()
            last, rest = rest, min(2 * rest, IDLE_POLL_SECONDS) if is_calm else POLL_SECONDS
            if last < rest == IDLE_POLL_SECONDS:
                give_back_free()
            self._turns.rest(rest)

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping = True
        self._turns.wake()

    def reload(self) -> None:
        """Have lists and configuration read again at once; may be called from any thread."""
        if not self._reload_asked:
            self._reload_asked = True
            self._turns.wake()

    async def view(self) -> View:
        """Return what the metrics are made of, after reading what the log has grown by. Raises `StateError`."""
        if self._caught_up.is_set():
            asked = self._turns.ask()
            await asyncio.wait([asyncio.wrap_future(asked.ended)], timeout=asked.patience)
        if self._view is None:
            return await asyncio.to_thread(self._made_view)
        return self._view

    def reader(self) -> StateReader:
        """Return a connection to the state for another thread, to be closed by it. Raises `StateError`."""
        return self._reader.again()

    def standing(self, reader: StateReader, domain: str) -> DomainStanding | None:
        """Return what is known of a domain that was greylisted inside the window. Raises `StateError`.

        Attempts are not told apart, see `StateReader.facts_of`.
        """
        known = standings(reader.facts_of(domain), self._ingest.lists.lists, self._clock()).domains
        return known[0] if known else None

    def pause(self) -> None:
        """Be called between two blocks of lines."""
        if self._stopping:
            raise StoppedError

    def takes_long(self) -> None:
        """Be called before work that no scrape is to wait for."""
        self._is_busy = True
        self._turns.takes_long()

    def changes(self, domains: Iterable[str] | None) -> None:
        """Be told whose evidence changes."""
        if domains is None:
            self._evidence.note_all()
        else:
            self._evidence.note(domains)

    def committed(self) -> None:
        """Be called after a commit."""
        self._has_news = True
        if not self.ready:
            self._publish()

    def _reload(self) -> None:
        self._reload_asked = False
        self._ingest.lists.doubt()
        self._lists_said.clear()
        _log.info("the lists are read again")

    def _advance(self, *, asked: bool) -> bool:
        """Read on, and tell whether all sources have been read to their ends."""
        self._is_busy = False
        try:
            has_looked = self._ingest.advance(self._clock(), self, asked=asked)
        except StoppedError:
            return False
        except StateError as error:
            self._note_state("written", error)
            self._evidence.note_all()  # it may have been begun anew
            return False
        self._note_state("written", None)
        if has_looked:
            self._say_what_changed()
        # Before the first answers everything is worked out, whatever it takes.
        self._has_news |= self._work_out_evidence(_QUICK_SECONDS if self.ready else float("inf"), until_asked=False)
        return not self._stopping

    def _is_calm(self) -> bool:
        """Tell whether nothing has come, and nothing is waited for to be well again."""
        return not (
            self._has_news
            or self._state_errors
            or any(status.error is not None for status in self._ingest.statuses.values())
        )

    def _publish(self) -> None:
        """Have the next answers show what the state holds now."""
        self._has_news = False
        try:
            self._view = self._made_view()
        except (StateError, MemoryError) as error:
            self._note_state("read", error)
            return
        try:
            self.prepare(self._view)
        except Exception as error:  # noqa: BLE001 - the reading goes on, and answers are made where somebody asks
            if not self._is_unprepared:
                _log.error("answers can't be prepared: %r; reading goes on", error, exc_info=error)
            self._is_unprepared = True
        else:
            self._is_unprepared = False

    def _made_view(self) -> View:
        with self._using_reader:
            snapshot = self._snapshot()
        evidence = self._evidence.of(snapshot.unreviewed)
        return make_view(self._ingest, snapshot, evidence, state_up=not self._state_errors)

    def _work_out_evidence(self, seconds: float, *, until_asked: bool) -> bool:
        """Bring evidence up to date for some seconds, or until a scrape asks; tell whether any changed."""
        now = self._clock()

        def is_enough() -> bool:
            self.pause()
            return self._clock() - now > seconds or (until_asked and self._turns.is_asked)

        try:
            with self._using_reader:
                changed = self._evidence.refresh(self._reader, now, is_enough)
        except StoppedError:
            return False
        except (StateError, MemoryError) as error:
            self._note_state("looked through", error)
            return False
        self._note_state("looked through", None)
        return changed

    def _note_state(self, doing: str, error: StateError | MemoryError | None) -> None:
        """Log an error of the state once when it begins, and once when it is over."""
        before = self._state_errors.get(doing)
        if error is not None:
            text = "memory does not suffice" if isinstance(error, MemoryError) else str(error)
            if text != before:
                _log.error("%s; trying again, nothing is lost as long as the log is there", text)
            self._state_errors[doing] = text
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
        for list_status in self._ingest.lists.statuses():
            said = list_status._replace(undecided=0)
            if said != self._lists_said.get((said.list, said.path)):
                self._lists_said[said.list, said.path] = said
                _say_what_list_says(said)

    def _say_what_was_found(self) -> None:
        lines = self._last_snapshot.lines if self._last_snapshot else {}
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

    def _snapshot(self) -> Snapshot:
        """Return what the state holds or, while it can't be read, what it held before."""
        try:
            self._last_snapshot = self._reader.snapshot()
        except (StateError, MemoryError) as error:
            if self._last_snapshot is None:
                raise
            self._note_state("read", error)
        else:
            self._note_state("read", None)
        return self._last_snapshot


def _say_what_list_says(status: ListFileStatus) -> None:
    if status.error is not None:
        _log.warning("%s; what it said last stays in force", status.error)
        return
    _log.info("%s: %d entries are in force (%s)", status.path, status.entries, status.list)
    for warning in status.warnings[:MOST_WARNINGS_LOGGED]:
        _log.warning("%s", warning)
    if len(status.warnings) > MOST_WARNINGS_LOGGED:
        _log.warning("%s: %d more lines like these", status.path, len(status.warnings) - MOST_WARNINGS_LOGGED)
