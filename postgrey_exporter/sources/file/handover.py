"""What is new in a place that is read instead of another one: the two may have held the same lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.parsing.syslog import HeaderReader
from postgrey_exporter.sources import Batch

if TYPE_CHECKING:
    from datetime import tzinfo

SAME_LINE_SECONDS: Final = 1.0
"""How far the stamps of one line may differ: rsyslog's traditional one is cut to the second."""

_BLANKS_IN_HEADER: Final = 4


class Newer:
    """Leaves out the lines that are no newer than what was read elsewhere."""

    def __init__(self, read_until: float, zone: tzinfo | None) -> None:
        """Take the time of the last line that was read elsewhere, and the zone of stamps that name none."""
        self.read_until = read_until
        self._headers = HeaderReader(zone)

    def only(self, batch: Batch) -> Batch:
        """Return the batch with its new lines only. A line without a header is as old as the batch."""
        limit = self.read_until + SAME_LINE_SECONDS
        lines = batch.lines.splitlines(keepends=True)
        return Batch(b"".join(line for line in lines if self._moment(line, batch.seen_at) > limit), batch.seen_at)

    def _moment(self, line: bytes, seen_at: float) -> float:
        end = -1
        for _ in range(_BLANKS_IN_HEADER + 1):
            end = line.find(b" ", end + 1)
            if end < 0:
                break
            moment = self._headers.moment(line, 0, end, seen_at)
            if moment is not None:
                return moment
        return seen_at
