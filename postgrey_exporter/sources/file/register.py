"""The register of all segments of one log, with what was rotated and what was lost."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.sources.file.logfile import HEAD_SIZE
from postgrey_exporter.sources.file.segment import DAY, Segment, Stage
from postgrey_exporter.sources.file.segment_reader import adopt

if TYPE_CHECKING:
    from postgrey_exporter.sources.file.folder import Folder, Scan
    from postgrey_exporter.sources.file.matching import Matching

_log = logging.getLogger(__name__)

FORGET_SECONDS: Final = 7 * DAY
"""How long a segment that was read is remembered after its file vanished, in case the file comes back."""


class Register:
    """The segments of one log, and counts of what happened to them."""

    def __init__(self, name: str) -> None:
        """Create an empty register for the log of this name."""
        self._name = name
        self.segments: list[Segment] = []
        self.rotations = 0
        self.lost_bytes = 0
        """Bytes that are known to have been in a segment and vanished before they were read."""
        self.gaps = 0
        """Segments that vanished before they were known to be read to their end."""

    @property
    def live(self) -> Segment | None:
        """The segment that the log holds, or held before it went missing."""
        return next((segment for segment in self.segments if segment.stage is Stage.LIVE), None)

    def restore(self, saved: dict[str, Any]) -> None:
        """Return to what `saved` returned. A file stays open if it holds what its restored segment says."""
        tails = {segment.tail.stat().st_ino: segment.tail for segment in self.segments if segment.tail is not None}
        self.segments = [Segment.restored(segment) for segment in saved.get("parts", [])]
        self.rotations = saved.get("rotations", 0)
        self.lost_bytes = saved.get("lost_bytes", 0)
        self.gaps = saved.get("gaps", 0)
        for segment in self.segments:
            tail = tails.get(segment.file_id.inode)
            if tail is not None and adopt(segment, tail):
                del tails[segment.file_id.inode]
        for tail in tails.values():
            tail.close()

    def saved(self) -> dict[str, Any]:
        """Return what is kept over a restart, in JSON's types."""
        return {
            "rotations": self.rotations,
            "lost_bytes": self.lost_bytes,
            "gaps": self.gaps,
            "parts": [segment.saved() for segment in self.segments],
        }

    def accept(self, matching: Matching, scan: Scan, folder: Folder, now: float, since: float) -> None:
        """Add the new segments of a matching, and note rotation and loss.

        Rotated files that were last written before ``since`` are not read.
        """
        was_live = self.live
        for file in matching.new:
            stage = Stage.OLD if file.stat.st_mtime < since else Stage.ROTATED
            self.segments.append(Segment.of(file, stage, now))
        if matching.log_segment is not None:
            if matching.log_segment not in self.segments:
                self.segments.append(matching.log_segment)
            matching.log_segment.stage = Stage.LIVE
        self._note_rotation(was_live, matching.log_segment)
        if not matching.is_copying:
            self._note_loss(scan, folder, now)
        self.segments = [segment for segment in self.segments if not _is_forgotten(segment, now)]

    def note_end(self, segment: Segment, stage: Stage) -> None:
        """Note that a segment was read to its end."""
        missing = segment.settle(stage)
        if missing:
            self.lost_bytes += missing
            _log.error("%s: %d bytes that were written to it are in no file any more", self._name, missing)

    def note_shrinking(self) -> None:
        """Note that the log lost its end and grows again in the same file."""
        self.gaps += 1
        _log.error(
            "%s: is shorter than what was read of it, though its beginning is the same: reading goes on at its end; "
            "lines that were written since then may be lost",
            self._name,
        )

    def _note_rotation(self, was_live: Segment | None, log_segment: Segment | None) -> None:
        """Note that the log holds another segment. While the log is missing, its segment stays the live one."""
        if was_live is None or was_live is log_segment or (log_segment is None and was_live.file is None):
            return
        was_live.stage = Stage.ROTATED
        self.rotations += 1
        _log.info("%s was rotated", self._name)

    def _note_loss(self, scan: Scan, folder: Folder, now: float) -> None:
        """Search the neighbourhood for missing segments, and note those that are not there as lost.

        A file that can't be read may hold a segment, unless it was written before the segment was last seen.
        """
        missing = [
            segment
            for segment in self.segments
            if segment.stage is Stage.ROTATED
            and segment.file is None
            and segment.tail is None
            and scan.unknown_until < segment.seen - DAY
        ]
        if not missing:
            return
        taken = {segment.file.version for segment in self.segments if segment.file is not None}
        others = [file for file in folder.neighbours() if file.version not in taken]
        for segment in missing:
            for file in others:
                is_known = file.id == segment.file_id or segment.head_size == HEAD_SIZE
                if is_known and segment.begins(file) and segment.fits(file):
                    segment.put(file, now)
                    break
            else:
                self._lose(segment)

    def _lose(self, segment: Segment) -> None:
        known = segment.unread_bytes or (0 if segment.offset else segment.file_id.size)
        segment.stage = Stage.LOST
        self.lost_bytes += known
        self.gaps += 1
        _log.error(
            "%s: a rotated file was deleted, or moved elsewhere, before its end was read: %d bytes are known to be "
            "lost, and more if it was written to after that; reading goes on. Keep rotated logs for longer than the "
            "exporter may be down",
            self._name,
            known,
        )


def _is_forgotten(segment: Segment, now: float) -> bool:
    vanished = segment.file is None and segment.tail is None
    is_needed = segment.stage in {Stage.LIVE, Stage.ROTATED}
    return vanished and not is_needed and now - segment.seen >= FORGET_SECONDS
