from collections.abc import Callable

from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.header import HeaderReader

class UsualLines:
    """Reads usual lines. Strict: what it makes of a line is what the parser would have made of it.

    Each thread has one of its own: others run while it reads. The lines do not change meanwhile.
    """

    no_decisions: int
    """How many lines of the last `read` are postgrey's, no decision, and of no interest …"""
    auto_whitelisted: int
    """… and how many of these tell of a client in the auto-whitelist."""
    is_first: bool
    """Whether the present line is the first."""
    is_after_decision: bool
    """Whether the line before the present one was a decision."""

    def __init__(self, tag: bytes, headers: HeaderReader, keyed: KeyedHash) -> None:
        """Take the tag with the blank before it, what reads the stamps of an hour met first, and what hashes."""

    def read(
        self, lines: bytes | memoryview, seen_at: float, decisions: Decisions, unusual: Callable[[bytes], float]
    ) -> tuple[int, int]:
        """Add the decisions of usual lines; return how many those were, and how many lines were other programs'.

        Every other line is passed on when its turn comes; what takes it returns the line's moment, or not a number
        where nothing tells it. ``seen_at`` as for `parser.Parser.read`.
        """

    def moment(self) -> float:
        """Return the moment of the latest usual stamp; not a number where the parser has told a later one."""

    def unclear(self, longest: int) -> bytes:
        """Return the lines of no usual form since the latest stamp, before the present line: one may bear a stamp.

        At most their last ``longest`` bytes.
        """
