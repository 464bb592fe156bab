"""Sources, parser, lists and store, joined: one step reads on and commits what was read.

An error leaves everything at the last commit: before the next step the sources go back to their committed positions,
whatever the error was, for what they had handed out by then is not counted. Where memory runs out, the step is done
again by halves.
"""

from __future__ import annotations

import gc
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.memory.table import give_back_free
from postgrey_exporter.pipeline.background import Background
from postgrey_exporter.state.connection import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from postgrey_exporter.lists import ListFiles
    from postgrey_exporter.parsing.decisions import Decisions
    from postgrey_exporter.parsing.parser import Parser
    from postgrey_exporter.sources import Source, SourceStatus
    from postgrey_exporter.state.store import Store

_log = logging.getLogger(__name__)

COMMIT_SIZE_BYTES: Final = 16 << 20
"""Memory that counts take before they are committed: bounds it, whatever the log holds."""
COMMIT_BYTES: Final = 128 << 20
"""Bytes read before they are committed: bounds what is read again after a crash."""
SMALLEST_STEP: Final = 1 / 64
"""What part of both is small enough: where memory does not suffice for that, it suffices for nothing."""
QUICK_BYTES: Final = 128 << 10
"""A block of lines up to this size is counted and committed within some ten milliseconds."""

QUICK_CLIENTS: Final = 1_000
"""So many clients are judged anew, or pruned, within some ten milliseconds."""


class Watcher(Protocol):
    """Who wants to know how a reading goes on."""

    def pause(self) -> None:
        """Be called after each block of lines: a place to stop by an exception."""

    def takes_long(self) -> None:
        """Be called before work that takes long: many lines, a window that moves on, clients to be judged anew."""

    def changes(self, domains: Iterable[str] | None) -> None:
        """Be told which domains the next commit changes; ``None`` stands for all."""

    def committed(self) -> None:
        """Be called after a commit."""


class Unwatched:
    """Lets a reading run as it may."""

    def pause(self) -> None:
        """Go on."""

    def takes_long(self) -> None:
        """Take the time."""

    def changes(self, domains: Iterable[str] | None) -> None:
        """Be told."""

    def committed(self) -> None:
        """Go on."""


_UNWATCHED: Final = Unwatched()


class Ingest:
    """Reads the sources into the store. Owns neither; not for several threads at once."""

    def __init__(self, store: Store, sources: Sequence[Source], parser: Parser, lists: ListFiles) -> None:
        """Take the parts and set each source to its committed position. Raises `StateError`."""
        self.store = store
        self._parser = parser
        self.lists = lists
        self.sources = sources
        self.statuses: dict[str, SourceStatus] = {}
        """How each source is doing, as of the last reading."""
        self._unfinished = False
        self._step = 1.0
        """What part of `COMMIT_SIZE_BYTES` and `COMMIT_BYTES` is committed together."""
        self._background = Background()
        self._resume()

    def advance(self, now: float, watcher: Watcher = _UNWATCHED, *, asked: bool = True) -> bool:
        """Read what has come, up to the sources' present ends, and commit it.

        Sources whose next look is not worth its cost yet are left alone unless somebody ``asked``. Returns whether
        anything may have changed, be it only how a source or a list is doing.

        Raises `StateError` when the state could not be read or written, or memory does not suffice. Nothing is lost
        by that.
        """
        try:
            return self._advance(now, watcher, asked=asked)
        except MemoryError as error:
            raise StateError(
                f"{self.store.path}: memory does not suffice to add what was read; "
                "allow the exporter more, in its unit by MemoryMax="
            ) from error

    def close(self) -> None:
        """Let go of the sources' files."""
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
            if self.store.has_more_clients_than(QUICK_CLIENTS):
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
            source.resume(self.store.position(source.name))

    def _read_by_steps(self, source: Source, now: float, watcher: Watcher) -> None:
        """Read a source to its end; where memory runs out, by smaller steps from then on. Raises `MemoryError`."""
        while True:
            try:
                return self._read(source, now, watcher)
            except MemoryError:
                if self._step <= SMALLEST_STEP:
                    raise
                if self._step == 1:
                    _log.warning("%s: memory runs out; reading by smaller steps from now on", source.name)
                self._step /= 2
            # An error and the frames that it came through hold each other.
            gc.collect()
            give_back_free()
            source.resume(self.store.position(source.name))

    def _read(self, source: Source, now: float, watcher: Watcher) -> None:
        committed = source.position()
        present = self.store.present(now)
        increment = self._new_increment()
        pending = 0
        parsing: Future[Decisions] | None = None

        def count_parsed() -> None:
            nonlocal parsing
            if parsing is not None:
                decisions, parsing = parsing, None
                increment.add(decisions.result())

        try:
            for batch in source.batches(now):
                if pending + len(batch.lines) > QUICK_BYTES:
                    watcher.takes_long()
                count_parsed()
                parse = partial(self._parser.read, batch.lines, batch.seen_at, present)
                if len(batch.lines) > QUICK_BYTES:
                    # Parsed while the next one is read.
                    parsing = self._background.submit(parse)
                else:
                    increment.add(parse())
                pending += len(batch.lines)
                if max(increment.size_bytes / COMMIT_SIZE_BYTES, pending / COMMIT_BYTES) >= self._step:
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

    def _commit(self, source: Source, increment: Increment, now: float, watcher: Watcher) -> None:
        watcher.changes(increment.domains)
        self.store.merge(source.name, increment, source.position(), self.lists.lists, now)
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
        """Note it, and forget that of a source that is not read any more."""
        names = {other.name for other in self.sources}
        kept = {name: status for name, status in self.statuses.items() if name in names}
        self.statuses = {**kept, source.name: source.status()}
