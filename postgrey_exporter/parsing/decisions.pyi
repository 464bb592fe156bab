from collections import Counter

from postgrey_exporter.decision import Decision
from postgrey_exporter.parsing.hashing import KeyedHash

class Decisions:
    """The decisions of some lines, in their order, and what else these lines were.

    They may go from thread to thread, but no two use them at once.
    """

    lines: Counter[str]
    """By outcome, see `parser.OUTCOMES`."""
    future: int
    """How many of them carried a stamp of the future, see `date_by_arrival`."""

    def __init__(self) -> None:
        """Begin without any."""

    def __len__(self) -> int:
        """Return how many decisions there are."""

    def add(self, decision: Decision, keyed: KeyedHash) -> None:
        """Add a decision, whose message was hashed with ``keyed``.

        Raises `ValueError` where its client has a name or an address that is too long to be one.
        """

    def date_by_arrival(self, latest: float, arrival: float) -> None:
        """Date each decision that is stamped later than ``latest`` by its ``arrival``, and count it as `future`.

        Both are seconds since the epoch.
        """
