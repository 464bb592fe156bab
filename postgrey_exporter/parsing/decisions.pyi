from collections import Counter

from postgrey_exporter.decision import Decision
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.line import Carry

class Decisions:
    """The decisions of some lines, in their order, and what else these lines were.

    They may go from thread to thread, but no two use them at once.
    """

    lines: Counter[str]
    """By outcome and sign, see `parser.OUTCOMES`."""
    future: int
    """How many of them carried a stamp of the future, see `date_by_arrival`."""
    oddities: set[str]
    """What is to be said of the lines, without anything personal."""
    carry: Carry
    """What the lines leave to those that follow them."""

    def __init__(self) -> None:
        """Begin without any."""

    def __len__(self) -> int:
        """Return how many decisions there are."""

    def add(self, decision: Decision, keyed: KeyedHash) -> None:
        """Add a decision, whose message was hashed with ``keyed``.

        Raises `ValueError` where its client has a name or an address that is too long to be one.
        """

    def last(self) -> Decision | None:
        """Return the decision that was added last."""

    def newest(self, latest: float) -> float | None:
        """Return the time of the newest decision that is no later than ``latest``."""

    def date_by_arrival(self, latest: float, arrival: float) -> None:
        """Date each decision that is stamped later than ``latest`` by its ``arrival``, and count it as `future`.

        Both are seconds since the epoch.
        """
