from collections.abc import Callable

from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.syslog import HeaderReader

class UsualLines:
    """Reads usual lines. Strict: what it makes of a line is what the parser would have made of it.

    Each thread has one of its own: others run while it reads. The lines do not change meanwhile.
    """

    def __init__(self, tag: bytes, headers: HeaderReader, keyed: KeyedHash) -> None:
        """Take the tag with the blank before it, what reads the stamps of an hour met first, and what hashes."""

    def read(
        self, lines: bytes | memoryview, seen_at: float, decisions: Decisions, unusual: Callable[[bytes], None]
    ) -> tuple[int, int]:
        """Add the decisions of usual lines; return how many those were, and how many lines were other programs'.

        Every other line is passed on when its turn comes. ``seen_at`` as for `parser.Parser.read`.
        """
