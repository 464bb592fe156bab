"""Counts of logs of any size: a tally in memory, which moves to a scratch file once it has become large.

The scratch file is a state without a name, where the system keeps such files; it is gone with the process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Final

from postgrey_exporter.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgrey_exporter.facts import ClientAttempts, DomainFacts
    from postgrey_exporter.parser import Parsed
    from postgrey_exporter.store import Store

MOST_CELLS: Final = 340_000
"""Counts kept in memory: those of some 200,000 decisions, for which that is twice as fast."""
_MOVED_CELLS: Final = 30_000
"""Counts that move at a time from then on."""
_NO_LIMIT: Final = 1 << 40


class Ledger:
    """Adds up what logs hold."""

    def __init__(self, wanted: Callable[[float], bool] | None = None) -> None:
        """Take which moments count, where not all do."""
        self.tally = Tally(wanted=wanted)
        """The sums over all that was added: decisions, lines, first and last event. Not its clients and messages."""
        self._scratch: Store | None = None

    def add(self, parsed: Parsed) -> None:
        """Add what a block of lines held. Raises `StateError` where there is no room for the scratch file."""
        self.tally.add(parsed)
        if self.tally.cells >= (MOST_CELLS if self._scratch is None else _MOVED_CELLS):
            self._move()

    def facts(self) -> Iterator[DomainFacts]:
        """Yield the domains that were greylisted; only the latest can be looked at. Raises `StateError`."""
        if self._scratch is None:
            return self.tally.facts()
        self._move()
        return self._scratch.reader().facts(0)

    def clients(self) -> Iterator[ClientAttempts]:
        """Yield each client with how often it was greylisted. Raises `StateError`."""
        if self._scratch is None:
            return self.tally.by_client()
        self._move()
        return self._scratch.reader().clients(0)

    def _move(self) -> None:
        # Imported late: most logs are small, and a report should not wait for what it does not need.
        from postgrey_exporter.client_store import UNCOVERED  # noqa: PLC0415
        from postgrey_exporter.store import Store  # noqa: PLC0415
        from postgrey_exporter.window import Window  # noqa: PLC0415

        if self._scratch is None:
            self._scratch = Store(None, window=Window(hours=0), max_domains=_NO_LIMIT)
        moved = self.tally
        for part in _parts(moved):
            self._scratch.merge("logs", part, {}, lambda _: UNCOVERED, now=0)
        self.tally = Tally(
            wanted=moved.wanted,
            decisions=moved.decisions,
            lines=moved.lines,
            first_event=moved.first_event,
            last_event=moved.last_event,
        )


def _parts(tally: Tally) -> Iterator[Tally]:
    """Yield what is to move, in parts that take little room; all greylistings before the first message.

    A message is kept only of a domain that was greylisted.
    """
    counts = iter(tally.greylisted.items())
    while part := dict(islice(counts, _MOVED_CELLS)):
        yield Tally(greylisted=Counter(part))
    messages = iter(tally.messages.items())
    while attempts := dict(islice(messages, _MOVED_CELLS)):
        yield Tally(messages=defaultdict(list, attempts))
