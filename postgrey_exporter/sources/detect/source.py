"""A source that finds out by itself where postgrey logs, and goes on looking until it does.

When the place falls silent while decisions come in another one (rsyslog was removed, say), that one is read
from then on; see `handover`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from postgrey_exporter.sources import Batch, Position, SourceStatus
from postgrey_exporter.sources.file.handover import Newer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import tzinfo

    from postgrey_exporter.sources import Source
    from postgrey_exporter.sources.detect.discover import Detection, Detector, Finding

    Followed = Mapping[str, tuple[Position, float | None]]
    """The sources that a state knows: their positions, and the times of their latest decisions."""

_log = logging.getLogger(__name__)

NOTHING_FOUND: Final = "detection"
"""The source's name while nothing is found."""
LOOK_SECONDS: Final = 30.0
"""How often the places are tried while nothing is found."""
SILENCE_SECONDS: Final = 3600.0
"""After how long without a decision the places are tried again, and how often while it lasts."""

_READ_UNTIL: Final = "read_elsewhere_until"


class DetectingSource:
    """The source that a `Detector` finds, under that source's own name."""

    def __init__(
        self,
        detector: Detector,
        open_source: Callable[[Finding], Source],
        followed: Followed,
        zone: tzinfo | None,
    ) -> None:
        """Take what finds a place and what makes a source of it.

        ``followed`` are the sources that the state knows: their positions, and the times of their latest decisions.
        ``zone`` is that of stamps that name none.
        """
        self._detector = detector
        self._open_source = open_source
        self._followed = dict(followed)
        self._zone = zone
        self._inner: Source | None = None
        self._newer: Newer | None = None
        self._reason = "not looked yet"
        self._error = "the places where postgrey may log were not looked at yet"
        self._look_at = 0.0

    # --- the interface of a source

    @property
    def name(self) -> str:
        """The name of the source that was found."""
        return self._inner.name if self._inner else NOTHING_FOUND

    def check(self) -> None:
        """Raise nothing: that there is no place yet is no fault."""

    def resume(self, position: Position | None) -> None:
        """Go back to a position of the source that was found; while there is none, do nothing."""
        if self._inner is None:
            return
        if position is None:
            self._inner.resume(None)
            return
        position = dict(position)
        read_until = position.pop(_READ_UNTIL, None)
        self._newer = None if read_until is None else Newer(read_until, self._zone)
        self._inner.resume(position)

    def position(self) -> Position:
        """Return the position of the source that was found."""
        if self._inner is None:
            return {}
        position = self._inner.position()
        return {**position, _READ_UNTIL: self._newer.read_until} if self._newer else position

    def is_due(self, now: float) -> bool:
        """Tell whether the places are to be tried, or something may have come from the source that was found."""
        return self._is_detection_due(now) or (self._inner is not None and self._inner.is_due(now))

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield what has come, from the source that was found."""
        if self._is_detection_due(now):
            self._detect(now)
        if self._inner is None:
            return
        for batch in self._inner.batches(now):
            if b"action=" in batch.lines:
                self._look_at = now + SILENCE_SECONDS
            yield self._newer.only(batch) if self._newer else batch
        if self._inner.status().up:
            self._newer = None

    def status(self) -> SourceStatus:
        """Return how the last reading went, and why this source is read."""
        if self._inner is None:
            return SourceStatus(
                up=False,
                error=self._error,
                unread_bytes=0,
                rotations=0,
                lost_bytes=0,
                unreadable=(),
                reason=self._reason,
            )
        return self._inner.status()._replace(reason=self._reason)

    def close(self) -> None:
        """Let go of all files and processes."""
        if self._inner is not None:
            self._inner.close()

    # --- finding

    def _is_detection_due(self, now: float) -> bool:
        return not 0 < self._look_at - now <= SILENCE_SECONDS

    def _detect(self, now: float) -> None:
        detection = self._detector.detect(now, [self.name] if self._inner else list(self._followed))
        self._look_at = now + (SILENCE_SECONDS if self._inner or detection.chosen else LOOK_SECONDS)
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
        self._newer = None
        self.resume(position)
        if read_until is not None and (own_last is None or own_last < read_until):
            self._newer = Newer(read_until, self._zone)
