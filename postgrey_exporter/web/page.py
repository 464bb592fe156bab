"""The page for people: made from the view that scrapes use, of the domains that it shows and of no other."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter import __version__
from postgrey_exporter.domain_store import OTHER
from postgrey_exporter.domains import UNKNOWN
from postgrey_exporter.web.elsewhere import Elsewhere
from postgrey_exporter.web.message import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

    from postgrey_exporter.metrics import View
    from postgrey_exporter.service import Service
    from postgrey_exporter.snapshot import DomainCounter
    from postgrey_exporter.standing import DomainStanding
    from postgrey_exporter.web.message import Request

MOST_ROWS: Final = 100
"""Domains that a table shows."""
MOST_ROWS_READ: Final = 5_000
"""Clients and messages that are looked at for one page."""
_REST: Final = 10
"""For so many times as long as it took to make, a page stays as it is: who loads it over and over takes little from
the scrapes."""
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class Row(NamedTuple):
    """What a table shows of a domain."""

    domain: str
    unreviewed: int
    counter: DomainCounter | None
    """The counters of its label, if it has one."""
    standing: DomainStanding | None
    """What is known of it inside the window; none where it has too many clients and messages to be looked at."""

    @property
    def size(self) -> int:
        """What the table is sorted by: attempts inside the window, and where these aren't known, ever."""
        if self.standing is not None:
            return self.standing.greylisted
        return self.counter.new + self.counter.early_retry if self.counter else 0


class Page:
    """The latest page."""

    def __init__(self, service: Service, telemetry_path: str, threshold: int) -> None:
        """Take what is asked, where the metrics are, and from how many attempts on a domain is to be reviewed."""
        self._service = service
        self._telemetry_path = telemetry_path
        self._threshold = threshold
        self._elsewhere = Elsewhere()
        self._latest: asyncio.Task[Answer] | None = None
        self._made_of: View | None = None
        self._stays_until = 0.0

    async def answer(self, _: Request) -> Answer:
        """Answer with the page; all who wait for it at the same time share it."""
        loop = asyncio.get_running_loop()
        if self._latest is None or loop.time() >= self._stays_until:
            self._stays_until = float("inf")
            self._latest = loop.create_task(self._made(self._latest))
        return await asyncio.shield(self._latest)

    async def _made(self, before: asyncio.Task[Answer] | None) -> Answer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            view = await self._service.view()
            if before is not None and view is self._made_of:
                return before.result()
            begun = loop.time()
            self._made_of = view
            html = await self._elsewhere.begin(lambda: self._written(view))
            return Answer(HTTPStatus.OK, _HEADERS, html.encode())
        finally:
            self._stays_until = loop.time() + _REST * (loop.time() - begun)

    def _written(self, view: View) -> str:
        snapshot = view.snapshot
        unreviewed = [name for name, attempts in snapshot.unreviewed.items() if attempts >= self._threshold]
        rows = {row.domain: row for row in self._rows(view, unreviewed[:MOST_ROWS])}
        shown = sorted(rows.values(), key=lambda row: (-row.size, row.domain))[:MOST_ROWS]
        return _template().render(
            version=__version__,
            telemetry_path=self._telemetry_path,
            threshold=self._threshold,
            ready=self._service.ready,
            sources=view.sources,
            unreviewed=[rows[name] for name in unreviewed if name in rows],
            more_unreviewed=max(0, len(unreviewed) - MOST_ROWS),
            rows=shown,
            more_rows=max(0, snapshot.labels + snapshot.folded - len(shown)),
        )

    def _rows(self, view: View, unreviewed: list[str]) -> Iterator[Row]:
        """Yield the domains to review, and of those with a label the most greylisted ones."""
        counters = {counter.domain: counter for counter in view.snapshot.domains if counter.domain != OTHER}
        largest = sorted(counters.values(), key=lambda one: one.new + one.early_retry, reverse=True)[:MOST_ROWS]
        names = dict.fromkeys([*unreviewed, *(one.domain for one in largest)])
        standings, too_large = self._service.standings([name for name in names if name != UNKNOWN], MOST_ROWS_READ)
        for name in names:
            standing = standings.get(name)
            if standing is not None or name in too_large or name == UNKNOWN:
                yield Row(name, view.snapshot.unreviewed.get(name, 0), counters.get(name), standing)


@lru_cache(maxsize=1)
def _template() -> Template:
    # Imported late: where nobody looks at the page, its ten megabytes are not needed.
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415

    return Environment(loader=PackageLoader("postgrey_exporter.web"), autoescape=True).get_template("index.html")
