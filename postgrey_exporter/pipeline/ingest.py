"""Reads the sources into the state: one step parses what has come, counts it and commits it.

An error leaves everything at the last commit. Whatever the error was, the sources go back to their committed
positions before the next step: what they had handed out since is not counted. When memory runs out, the step is
repeated with half the size.
"""

from __future__ import annotations

import gc
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.memory.table import give_back_free
from postgrey_exporter.parsing.line import Carry
from postgrey_exporter.pipeline.background import Background
from postgrey_exporter.state.connection import memory_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from postgrey_exporter.lists import ListFiles
    from postgrey_exporter.parsing.decisions import Decisions
    from postgrey_exporter.parsing.parser import Parser
    from postgrey_exporter.sources import Source, SourceStatus
    from postgrey_exporter.state.store import Store

_log = logging.getLogger(__name__)

_CARRY: Final = "carry"
"""Beside a source's own position in the state: what its lines so far leave to the next."""
_MOST_ODDITIES: Final = 100
"""Odd lines that are told, each form once: it may be a stranger who writes them."""
_SMALLEST_STEP: Final = 1 / 64
"""The smallest part of a commit that is tried when memory runs out."""


class Limits(NamedTuple):
    """How much is committed together, and what is quick: a matter of some ten milliseconds."""

    commit_size_bytes: int = 16 << 20
    """Memory that counts take before they are committed, whatever the log holds."""
    commit_bytes: int = 128 << 20
    """Bytes read before they are committed: bounds what is read again after a crash."""
    quick_bytes: int = 128 << 10
    """The largest block of lines that is quick to count and to commit."""
    quick_clients: int = 1_000
    """The most clients that are quick to judge anew, or to prune."""


class Watcher:
    """Follows a reading. This one does nothing."""

    def pause(self) -> None:
        """Let the watcher stop the reading, by an exception, after a block of lines."""

    def takes_long(self) -> None:
        """Announce work that takes long: many lines, a window that moves on, clients to be judged anew."""

    def changes(self, domains: Iterable[str] | None) -> None:
        """Announce the domains that the next commit changes; ``None`` stands for all."""

    def committed(self) -> None:
        """Announce that a commit is done."""


_NO_WATCHER: Final = Watcher()


class Ingest:
    """Reads the sources into the store. For one thread at a time. The store is closed by its owner."""

    def __init__(
        self, store: Store, sources: Sequence[Source], parser: Parser, lists: ListFiles, limits: Limits = Limits()
    ) -> None:
        """Set each source to its committed position. Raises `StateError`."""
        self.store = store
        self._parser = parser
        self._limits = limits
        self.lists = lists
        self.sources = sources
        self.statuses: dict[str, SourceStatus] = {}
        """How each source is doing, as of the last reading."""
        self._unfinished = False
        self._carries: dict[str, Carry] = {}
        self._told: set[str] = set()
        self._step = 1.0
        """The part of the limits that is committed together."""
        self._background = Background()
        self._resume()

    def advance(self, now: float, watcher: Watcher = _NO_WATCHER, *, asked: bool = True) -> bool:
        """Read what has come, up to the sources' present ends, and commit it.

        Sources that rest are read only if ``asked``. Returns whether anything may have changed, be it only the status
        of a source or a list.

        Raises `StateError` if the state can't be read or written, or memory does not suffice. Nothing is lost by
        that.
        """
        with memory_for("add what was read", self.store.path):
            return self._advance(now, watcher, asked=asked)

    def close(self) -> None:
        """Close the sources' files."""
        self._background.shutdown()
        for source in self.sources:
            source.close()

    def _advance(self, now: float, watcher: Watcher, *, asked: bool) -> bool:
        if self._unfinished:
            self._resume()
        self._unfinished = True
        self.store.check()
        has_looked = self.lists.is_due()
        if has_looked:
            self.lists.refresh(now)
        if not self.store.is_current(now, self.lists.fingerprint):
            if self.store.has_more_clients_than(self._limits.quick_clients):
                watcher.takes_long()
            watcher.changes(None)
            self.store.prune(now)
            self.store.judge(self.lists.lists, self.lists.fingerprint)
            has_looked = True
        for source in self.sources:
            if (asked or not self._rests(source, now)) and source.is_due(now):
                self._read_by_steps(source, now, watcher)
                has_looked = True
        self.store.note_look(now)
        self._unfinished = False
        return has_looked

    def _resume(self) -> None:
        for source in self.sources:
            self._resume_source(source)

    def _resume_source(self, source: Source) -> None:
        self._carries.pop(source.name, None)
        source.resume(self.store.position(source.name))

    def _carry(self, source: Source) -> Carry:
        """Return what the lines of a source that were read so far leave to the next."""
        if source.name not in self._carries:
            self._carries[source.name] = Carry.restored((self.store.position(source.name) or {}).get(_CARRY))
        return self._carries[source.name]

    def _read_by_steps(self, source: Source, now: float, watcher: Watcher) -> None:
        """Read a source to its end; when memory runs out, by smaller steps from then on. Raises `MemoryError`."""
        while True:
            try:
                return self._read(source, now, watcher)
            except MemoryError:
                if self._step <= _SMALLEST_STEP:
                    raise
                if self._step == 1:
                    _log.warning("%s: memory runs out; reading by smaller steps from now on", source.name)
                self._step /= 2
            # An error and the frames that it came through hold each other.
            gc.collect()
            give_back_free()
            self._resume_source(source)

    def _read(self, source: Source, now: float, watcher: Watcher) -> None:
        committed = source.position()
        present = self.store.present(now)
        increment = self._new_increment()
        pending = 0
        parsing: Future[Decisions] | None = None

        def count_parsed() -> None:
            nonlocal parsing
            if parsing is not None:
                done, parsing = parsing, None
                self._count(source, increment, done.result())

        try:
            for batch in source.batches(now):
                if pending + len(batch.lines) > self._limits.quick_bytes:
                    watcher.takes_long()
                count_parsed()
                parse = partial(
                    self._parser.read, batch.lines, batch.seen_at, present, before=partial(self._carry, source)
                )
                if len(batch.lines) > self._limits.quick_bytes:
                    # Parsed while the next one is read.
                    parsing = self._background.submit(parse)
                else:
                    self._count(source, increment, parse())
                pending += len(batch.lines)
                if self._is_enough(increment, pending):
                    count_parsed()
                    committed = source.position()
                    self._commit(source, increment, now, watcher)
                    increment = self._new_increment()
                    pending = 0
                watcher.pause()
            count_parsed()
        finally:
            # The parser is for one thread at a time.
            if parsing is not None:
                with suppress(MemoryError):
                    parsing.result()
        if pending or source.position() != committed:
            self._commit(source, increment, now, watcher)
        self._note_status(source)

    def _count(self, source: Source, increment: Increment, decisions: Decisions) -> None:
        self._carries[source.name] = decisions.carry
        increment.add(decisions)
        for oddity in decisions.oddities - self._told if len(self._told) < _MOST_ODDITIES else ():
            self._told.add(oddity)
            _log.warning("%s: %s", source.name, oddity)

    def _is_enough(self, increment: Increment, pending: int) -> bool:
        """Tell whether it is time to commit an increment, which comes from so many bytes."""
        limits = self._limits
        return max(increment.size_bytes / limits.commit_size_bytes, pending / limits.commit_bytes) >= self._step

    def _commit(self, source: Source, increment: Increment, now: float, watcher: Watcher) -> None:
        watcher.changes(increment.domains)
        position = {**source.position(), _CARRY: self._carry(source).saved()}
        self.store.merge(source.name, increment, position, self.lists.lists, now)
        self._note_status(source)
        watcher.committed()

    def _new_increment(self) -> Increment:
        changes = [
            status.last_change
            for status in self.lists.statuses()
            if status.list == "whitelist" and status.last_change is not None
        ]
        return Increment(self._parser.keyed, lists_changed=max(changes, default=float("inf")))

    def _rests(self, source: Source, now: float) -> bool:
        status = self.statuses.get(source.name)
        return status is not None and now < status.rest_until

    def _note_status(self, source: Source) -> None:
        """Record the status of a source, and forget those of sources that are no longer read."""
        names = {other.name for other in self.sources}
        kept = {name: status for name, status in self.statuses.items() if name in names}
        self.statuses = {**kept, source.name: source.status()}
