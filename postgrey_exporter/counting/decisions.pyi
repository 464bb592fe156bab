from collections import Counter

from postgrey_exporter.counting.hashing import KeyedHash
from postgrey_exporter.decision import Decision

class Decisions:
    """The decisions of some lines, in their order, and what else these lines were.

    They may go from thread to thread, but no two use them at once.
    """

    lines: Counter[str]
    """By outcome, see `parser.OUTCOMES`."""

    def __init__(self) -> None:
        """Begin without any."""

    def __len__(self) -> int:
        """Return how many decisions there are."""

    def add(self, decision: Decision, keyed: KeyedHash) -> None:
        """Add a decision, whose message was hashed with ``keyed``.

        Raises `ValueError` where its client has a name or an address that is too long to be one.
        """
