"""A source that detects where postgrey logs, and tries again until it finds a place.

If the place falls silent and decisions come in another one (because rsyslog was removed, say), the source cuts over
to the other place, and drops the lines there that it read in the old one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.parser import DEFAULT_TAG
from postgrey_exporter.sources import Batch, Position, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import tzinfo

    from postgrey_exporter.sources import Source
    from postgrey_exporter.sources.detect.discover import Detection, Detector, Finding

    Followed = Mapping[str, tuple[Position, float | None]]
    """The position of each source that the state knows, and the time of its latest decision."""

_log = logging.getLogger(__name__)

NOTHING_FOUND: Final = "detection"
"""The source's name while no place is found."""
RETRY_SECONDS: Final = 30.0
"""How often detection runs while no place is found."""
SILENCE_SECONDS: Final = 3600.0
"""After how long without a decision detection runs again, and how often until there is one."""
SAME_LINE_SECONDS: Final = 1.0
"""How far the times of one line may differ in two places: rsyslog's traditional format cuts off the fraction."""

_READ_UNTIL: Final = "read_elsewhere_until"


class CutOver:
    """Drops the lines that are no newer than the last line that was read in the old place."""

    def __init__(self, read_until: float, zone: tzinfo | None) -> None:
        """Create a cut-over at the time of that last line. ``zone`` is for times without a zone."""
        self.read_until = read_until
        self._headers = HeaderReader(DEFAULT_TAG, zone)
        self._moment: float | None = None

    def newer(self, batch: Batch) -> Batch:
        """Return the batch with its new lines only. A line without a stamp has that of the line before it."""
        limit = self.read_until + SAME_LINE_SECONDS
        newer = []
        for line in batch.lines.splitlines(keepends=True):
            stamp = self._headers.stamp(line.rstrip(b"\n"), batch.seen_at)
            self._moment = self._moment if stamp is None else stamp
            if (batch.seen_at if self._moment is None else self._moment) > limit:
                newer.append(line)
        return Batch(b"".join(newer), batch.seen_at)


class DetectingSource:
    """The source that a `Detector` finds, under that source's own name."""

    def __init__(
        self,
        detector: Detector,
        open_source: Callable[[Finding], Source],
        followed: Followed,
        zone: tzinfo | None,
    ) -> None:
        """Create a source that reads the place found by ``detector``; ``open_source`` makes a source of a place.

        ``followed`` are the sources that the state knows. ``zone`` is for times without a zone.
        """
        self._detector = detector
        self._open_source = open_source
        self._followed = dict(followed)
        self._zone = zone
        self._inner: Source | None = None
        self._cut_over: CutOver | None = None
        self._reason = "not looked yet"
        self._error = "the places where postgrey may log were not looked at yet"
        self._detect_at = 0.0

    # --- the interface of a source

    @property
    def name(self) -> str:
        """The name of the inner source: the one that reads the place that was found."""
        return self._inner.name if self._inner else NOTHING_FOUND

    def check(self) -> None:
        """Do nothing: that no place is found yet is no error."""

    def resume(self, position: Position | None) -> None:
        """Return to a position of the inner source, if there is one."""
        if self._inner is None:
            return
        if position is None:
            self._inner.resume(None)
            return
        position = dict(position)
        read_until = position.pop(_READ_UNTIL, None)
        self._cut_over = None if read_until is None else CutOver(read_until, self._zone)
        self._inner.resume(position)

    def position(self) -> Position:
        """Return the position of the inner source, with the cut-over until it is complete."""
        if self._inner is None:
            return {}
        position = self._inner.position()
        return {**position, _READ_UNTIL: self._cut_over.read_until} if self._cut_over else position

    def is_due(self, now: float) -> bool:
        """Tell whether detection is due, or a reading of the inner source."""
        return self._is_detection_due(now) or (self._inner is not None and self._inner.is_due(now))

    def batches(self, now: float) -> Iterator[Batch]:
        """Run detection if it is due, then yield the new lines of the inner source."""
        if self._is_detection_due(now):
            self._detect(now)
        if self._inner is None:
            return
        for batch in self._inner.batches(now):
            if b"action=" in batch.lines:
                self._detect_at = now + SILENCE_SECONDS
            yield self._cut_over.newer(batch) if self._cut_over else batch
        if self._inner.status().up:
            self._cut_over = None

    def status(self) -> SourceStatus:
        """Return how the last reading went, and why the inner source was chosen."""
        if self._inner is None:
            return SourceStatus(up=False, error=self._error, reason=self._reason)
        return self._inner.status()._replace(reason=self._reason)

    def close(self) -> None:
        """Close the inner source."""
        if self._inner is not None:
            self._inner.close()

    # --- detection

    def _is_detection_due(self, now: float) -> bool:
        return not 0 < self._detect_at - now <= SILENCE_SECONDS

    def _detect(self, now: float) -> None:
        detection = self._detector.detect(now, [self.name] if self._inner else list(self._followed))
        self._detect_at = now + (SILENCE_SECONDS if self._inner or detection.chosen else RETRY_SECONDS)
        if detection.chosen is not None:
            if self._inner is None or detection.chosen.name != self.name:
                self._take(detection, detection.chosen)
        elif self._inner is None:
            self._reason = detection.reason
            self._error = (
                f"{detection.reason}: {detection.explanation()}; name the place with --mail-log or --journal"
            )

    def _take(self, detection: Detection, chosen: Finding) -> None:
        if self._inner is not None:
            mine = next((found for found in detection.findings if found.name == self.name), None)
            self._followed[self.name] = (self.position(), mine.newest_decision if mine else None)
            self._inner.close()
        _log.info("%s is read: %s (%s)", chosen.name, detection.reason, detection.explanation())
        self._inner = self._open_source(chosen)
        self._reason = detection.reason
        position, own_last = self._followed.get(self.name, (None, None))
        others = [last for name, (_, last) in self._followed.items() if name != self.name and last is not None]
        read_until = max(others, default=None)
        self._cut_over = None
        self.resume(position)
        if read_until is not None and (own_last is None or own_last < read_until):
            self._cut_over = CutOver(read_until, self._zone)
