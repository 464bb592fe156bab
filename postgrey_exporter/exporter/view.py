"""What one exposition is made of, and how the service makes it from the state."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postgrey_exporter.exporter.evidence_cache import EvidenceCache
from postgrey_exporter.state.connection import StateError, memory_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postgrey_exporter.exporter.evidence_cache import Known
    from postgrey_exporter.exporter.status_log import StatusLog
    from postgrey_exporter.lists import ListFileStatus
    from postgrey_exporter.pipeline.ingest import Ingest
    from postgrey_exporter.sources import SourceStatus
    from postgrey_exporter.state.reader import StateReader
    from postgrey_exporter.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class View:
    """What one exposition is made of."""

    snapshot: Snapshot
    evidence: Mapping[str, Known]
    """Of an unreviewed domain's uncovered clients: what became of their messages, and how many networks there are."""
    sources: Mapping[str, SourceStatus]
    lists: tuple[ListFileStatus, ...]
    state_up: bool
    state_bytes: int
    max_domains: int


def make_view(ingest: Ingest, snapshot: Snapshot, evidence: Mapping[str, Known], *, state_up: bool) -> View:
    """Return a view of a snapshot and its evidence, with what the ingest knows of the sources and the lists."""
    return View(
        snapshot=snapshot,
        evidence=evidence,
        sources=ingest.statuses,
        lists=tuple(ingest.lists.statuses()),
        state_up=state_up,
        state_bytes=ingest.store.size_bytes(),
        max_domains=ingest.store.max_domains,
    )


class ViewMaker:
    """Makes views. Keeps the evidence and, for times when the state can't be read, the last snapshot."""

    def __init__(self, ingest: Ingest, reader: StateReader, log: StatusLog) -> None:
        """Create it without a snapshot."""
        self._ingest = ingest
        self._reader = reader
        self._log = log
        self._using_reader = threading.Lock()
        self.evidence = EvidenceCache()
        self.snapshot: Snapshot | None = None
        """What the state held when it was read last."""

    def make(self) -> View:
        """Return a view of the state or, while it can't be read, of the last snapshot. Raises `StateError`."""
        with memory_for("show the state", self._ingest.store.path):
            snapshot = self._take_snapshot()
            evidence = self.evidence.of(snapshot.unreviewed)
            return make_view(self._ingest, snapshot, evidence, state_up=self._log.is_state_up)

    def work_out_evidence(self, now: float, is_enough: Callable[[], bool]) -> bool:
        """Update the evidence until ``is_enough`` returns true; return whether any was updated."""
        try:
            with self._using_reader, memory_for("work out evidence", self._ingest.store.path):
                is_updated = self.evidence.refresh(self._reader, now, is_enough)
        except StateError as error:
            self._log.note_state("looked through", error)
            return False
        self._log.note_state("looked through")
        return is_updated

    def _take_snapshot(self) -> Snapshot:
        try:
            with self._using_reader, memory_for("read the state", self._ingest.store.path):
                self.snapshot = self._reader.snapshot()
        except StateError as error:
            if self.snapshot is None:
                raise
            self._log.note_state("read", error)
        else:
            self._log.note_state("read")
        return self.snapshot
