"""Where log lines come from: log files, the journal, or whichever of them detection finds.

A source yields blocks of whole lines. At any moment it has a position, which stands for all blocks yielded so far. A
source neither parses nor counts nor saves: `ingest` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Position = dict[str, Any]
"""What a source needs to continue where it stopped, in JSON's types. Only the source itself reads it."""


class Batch(NamedTuple):
    """Whole lines, and a date for those that carry no full date."""

    lines: bytes
    seen_at: float
    """Seconds since the epoch: the present for a live log, the modification time for an archive."""


class SourceStatus(NamedTuple):
    """How the last reading of a source went."""

    up: bool
    error: str | None
    """Why it is not up: one line that names the thing and the remedy."""
    unread_bytes: int = 0
    rotations: int = 0
    lost_bytes: int = 0
    """Bytes that are known to have been in a log and vanished before they were read."""
    unreadable: tuple[str, ...] = ()
    """One line for each rotated file that can't be read."""
    gaps: int = 0
    """How often an unknown number of lines may have been lost."""
    rest_until: float = 0.0
    """Until when, in seconds since the epoch, a reading is not worth its cost unless somebody asks."""
    reason: str = "named"
    """Why this source is read and not another one."""


class Source(Protocol):
    """A log that postgrey writes to."""

    @property
    def name(self) -> str:
        """The source's name in the state, in metrics and in messages."""

    def check(self) -> None:
        """Raise `PostgreyExporterError` if the source can't work. A source that is missing may come yet."""

    def resume(self, position: Position | None) -> None:
        """Return to a position; ``None`` is the first start."""

    def is_due(self, now: float) -> bool:
        """Tell, at almost no cost, whether `batches` may yield something, or change the status or the position."""

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield the lines after the position, oldest first, up to the present end."""

    def position(self) -> Position:
        """Return the position after everything that `batches` has yielded."""

    def status(self) -> SourceStatus:
        """Return how the last reading went."""

    def close(self) -> None:
        """Close all files and end all child processes."""
