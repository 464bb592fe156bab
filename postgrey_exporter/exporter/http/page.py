"""The page for people: made from the view that scrapes use, of the domains that it shows and of no other."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from postgrey_exporter import __version__
from postgrey_exporter.exporter.http.message import Answer
from postgrey_exporter.exporter.http.rows import Gatherer
from postgrey_exporter.pipeline.background import Background

if TYPE_CHECKING:
    from jinja2 import Template

    from postgrey_exporter.exporter.http.message import Request
    from postgrey_exporter.exporter.metrics import View
    from postgrey_exporter.exporter.service import Service

_REST: Final = 10
"""For so many times as long as it took to make, a page stays as it is: who loads it over and over takes little from
the scrapes."""
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class Page:
    """The latest page."""

    def __init__(self, service: Service, telemetry_path: str, threshold: int) -> None:
        """Take what is asked, where the metrics are, and from how many attempts on a domain is to be reviewed."""
        self._service = service
        self._telemetry_path = telemetry_path
        self._threshold = threshold
        self._gatherer = Gatherer(service, threshold)
        self._background = Background()
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
            html = await loop.run_in_executor(self._background, self._written, view)
            return Answer(HTTPStatus.OK, _HEADERS, html.encode())
        finally:
            self._stays_until = loop.time() + _REST * (loop.time() - begun)

    def _written(self, view: View) -> str:
        return _template().render(
            version=__version__,
            telemetry_path=self._telemetry_path,
            threshold=self._threshold,
            ready=self._service.ready,
            sources=view.sources,
            tables=self._gatherer.tables(view),
        )


@lru_cache(maxsize=1)
def _template() -> Template:
    # Imported late: where nobody looks at the page, its ten megabytes are not needed.
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415

    return Environment(loader=PackageLoader("postgrey_exporter.exporter.http"), autoescape=True).get_template(
        "index.html"
    )
