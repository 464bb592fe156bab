from collections import Counter
from collections.abc import Iterator

from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.decision import Client
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KeyedHash

class Tally:
    """What some lines of a log add up to: decisions, clients and messages. For one thread at a time.

    `add` lets other threads run; one that raised leaves the tally incomplete.
    """

    keyed: KeyedHash
    lines: Counter[str]
    """By outcome, see `parser.OUTCOMES`."""
    decisions: int
    """How many were added, each as often as it was repeated."""
    future: int
    """How many lines were dated by their arrival, see `Decisions.date_by_arrival`."""

    def __init__(self, keyed: KeyedHash, *, since: float | None = None, until: float | None = None) -> None:
        """Take the hash of the messages' keys. Moments from ``since`` on and before ``until`` count, in seconds."""

    @property
    def domains(self) -> list[str]:
        """Those that were met, greylisted or not; `domains.UNKNOWN` is always among them."""

    @property
    def first_event(self) -> float | None:
        """The earliest moment of a decision."""

    @property
    def last_event(self) -> float | None:
        """The latest moment of a decision."""

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, near enough."""

    @property
    def unsettled(self) -> int:
        """How many attempts were added since `settle`."""

    def add(self, decisions: Decisions) -> None:
        """Add the decisions of some lines."""

    def settle(self) -> None:
        """Work out what has become of messages by what was added since the last time."""

    def close(self) -> None:
        """Settle, and give back what only more decisions need; adding more raises `ValueError`."""

    def decision_totals(self) -> dict[tuple[str, str], int]:
        """Return the decisions by action and reason, of all that there are."""

    def clients(self) -> Iterator[tuple[Client, int, int]]:
        """Yield how often each client was greylisted as new and as an early retry."""

    def facts(self) -> Iterator[DomainFacts]:
        """Yield the domains that were greylisted. Settles before."""
