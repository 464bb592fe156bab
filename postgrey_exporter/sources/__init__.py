"""Where log lines come from. Each source is a module; they share the small interface here.

A source hands out blocks of whole lines and, at any moment, the position that stands for all blocks handed out so
far. It neither parses nor counts nor saves: `ingest` joins it with the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Position = dict[str, Any]
"""Whatever a source needs to go on where it stopped, in JSON's types; opaque to everyone else."""


class Batch(NamedTuple):
    """Whole lines, and what dates those that carry no full date."""

    lines: bytes
    seen_at: float
    """Seconds since the epoch: the present for a live log, the modification time for an archive."""


class SourceStatus(NamedTuple):
    """How a source is doing, as of its last reading."""

    up: bool
    error: str | None
    """Why it is not up: one line that names the thing and the remedy."""
    unread_bytes: int
    rotations: int
    lost_bytes: int
    """Bytes known to have been in a log and gone before they were read."""
    unreadable: tuple[str, ...]
    """One line for each rotated file that can't be read."""
    gaps: int = 0
    """Times that lines may have been lost and nobody can tell how many, or whether any."""
    rest_until: float = 0.0
    """Until when, in seconds since the epoch, a look is not worth its cost unless somebody asks."""
    reason: str = "named"
    """Why this source is read and not another."""


class Source(Protocol):
    """A place where postgrey's lines appear."""

    @property
    def name(self) -> str:
        """What it is called in the state, in metrics and in messages."""

    def check(self) -> None:
        """Raise `PostgreyExporterError` where the source can't work; that it is not there yet is no fault."""

    def resume(self, position: Position | None) -> None:
        """Go (back) to a position; ``None`` is the first start. Closes whatever is open."""

    def is_due(self, now: float) -> bool:
        """Tell, at next to no cost, whether `batches` may yield something, or the status or the position change."""

    def batches(self, now: float) -> Iterator[Batch]:
        """Yield what has come since the position, oldest first, up to the present end."""

    def position(self) -> Position:
        """Return the position after everything that `batches` has yielded."""

    def status(self) -> SourceStatus:
        """Return how the last reading went."""

    def close(self) -> None:
        """Let go of all files and processes."""
