"""The rows of the page's tables: the domains of the view, with what is quick to find out about each."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.state.domains import OTHER

if TYPE_CHECKING:
    from collections.abc import Hashable

    from postgrey_exporter.counting.evidence import Totals
    from postgrey_exporter.exporter.service import Service
    from postgrey_exporter.exporter.view import View
    from postgrey_exporter.state.reader import StateReader
    from postgrey_exporter.state.snapshot import DomainCounter
    from postgrey_exporter.summary.advice import Advice


class PageLimits(NamedTuple):
    """How much a page shows, and what is worked out for it."""

    rows: int = 100
    """Domains that a table shows."""
    counted: int = 10_000
    """Clients that are counted for one page."""
    advised: int = 500
    """Clients that are judged for one page. The advice about a domain is kept until something happens to it."""


class Row(NamedTuple):
    """A domain's row of a table."""

    domain: str
    unreviewed: int
    counter: DomainCounter | None
    """The counters of the domain's label, if it has one."""
    totals: Totals | None
    """The domain's clients inside the window; ``None`` if they are too many to count for a page."""
    advice: Advice | None = None

    @property
    def size(self) -> int:
        """The sort key: attempts inside the window or, if these aren't known, all attempts ever."""
        if self.totals is not None:
            return self.totals.new
        return self.counter.new + self.counter.early_retry if self.counter else 0


class Tables(NamedTuple):
    """The rows of the two tables, and how many more there would be."""

    to_review: list[Row]
    more_to_review: int
    largest: list[Row]
    more: int


class Gatherer:
    """Gathers rows. For one thread alone."""

    def __init__(self, service: Service, threshold: int, limits: PageLimits = PageLimits()) -> None:
        """Create it without advice. From ``threshold`` attempts on, a domain is to be reviewed."""
        self._limits = limits
        self._service = service
        self._threshold = threshold
        self._advice: dict[str, tuple[Hashable, Advice | None]] = {}
        """By domain: what the advice was worked out from, and the advice."""

    def tables(self, view: View) -> Tables:
        """Return the tables of a view. Raises `StateError`."""
        snapshot, most = view.snapshot, self._limits.rows
        to_review = [name for name, attempts in snapshot.unreviewed.items() if attempts >= self._threshold]
        counters = {counter.domain: counter for counter in snapshot.domains if counter.domain != OTHER}
        largest = sorted(counters.values(), key=lambda one: one.new + one.early_retry, reverse=True)[:most]
        with closing(self._service.reader()) as reader:
            rows: dict[str, Row] = {}
            left = self._limits.counted
            for name in dict.fromkeys([*to_review[:most], *(one.domain for one in largest)]):
                totals = None if name == UNKNOWN else reader.totals(name, left)
                left -= totals.clients if totals else 0
                if totals is None or totals.clients:  # others were silent for a whole window
                    rows[name] = Row(name, snapshot.unreviewed.get(name, 0), counters.get(name), totals)
            shown = sorted(rows.values(), key=lambda row: (-row.size, row.domain))[:most]
            return Tables(
                to_review=self._advised([rows[name] for name in to_review[:most] if name in rows], view, reader),
                more_to_review=max(0, len(to_review) - most),
                largest=shown,
                more=max(0, snapshot.labels + snapshot.folded - len(shown)),
            )

    def _advised(self, rows: list[Row], view: View, reader: StateReader) -> list[Row]:
        """Return rows with their advice, as far as it is known or quickly worked out."""
        kept: dict[str, tuple[Hashable, Advice | None]] = {}
        left = most = self._limits.advised
        # Domains without advice come first: the advice on the others may be old for a while.
        for row in sorted(rows, key=lambda row: row.domain in self._advice):
            known = self._advice.get(row.domain)
            made_from = row.unreviewed, row.totals, view.evidence.get(row.domain), view.lists
            if known is None or known[0] != made_from:
                clients = row.totals.clients if row.totals else most + 1
                if clients <= left:
                    left -= clients
                    standing = self._service.standing(reader, row.domain)
                    known = made_from, standing and standing.advice
                elif clients > most:
                    known = None  # it would be about what was, and never worked out anew
            if known is not None:
                kept[row.domain] = known
        self._advice = kept
        return [row._replace(advice=kept[row.domain][1] if row.domain in kept else None) for row in rows]
