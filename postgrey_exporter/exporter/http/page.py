"""The page for people: made from the view that scrapes use, of the domains that it shows and of no other."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader

from postgrey_exporter import __version__
from postgrey_exporter.exporter.http.message import Answer
from postgrey_exporter.exporter.http.rows import Gatherer, PageLimits
from postgrey_exporter.pipeline.background import Background

if TYPE_CHECKING:
    from postgrey_exporter.exporter.http.message import Request
    from postgrey_exporter.exporter.service import Service
    from postgrey_exporter.exporter.view import View

_REST: Final = 300
"""A page is made anew at most once in so many times as long as it took to make."""
_FRESH_SECONDS: Final = 5.0
"""A page of up to this age is shown while the next one is made."""
_SPACING_SECONDS: Final = 0.05
_BURST: Final = 10
"""After so many answers there is a pause before each: who loads the page over and over takes little from scrapes."""
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class Page:
    """The latest page."""

    def __init__(
        self, service: Service, telemetry_path: str, threshold: int, limits: PageLimits = PageLimits()
    ) -> None:
        """Create the page. From ``threshold`` attempts on, a domain is to be reviewed."""
        self._service = service
        self._telemetry_path = telemetry_path
        self._threshold = threshold
        self._gatherer = Gatherer(service, threshold, limits)
        templates = Environment(loader=PackageLoader("postgrey_exporter.exporter.http"), autoescape=True)
        self._template = templates.get_template("index.html")
        self._background = Background()
        self._latest: Answer | None = None
        self._made_of: View | None = None
        self._made_at = -inf
        self._stays_until = -inf
        self._making: asyncio.Task[Answer] | None = None
        self._next_answer_at = -inf

    async def answer(self, _: Request) -> Answer:
        """Answer with the page; all who wait for it at the same time share it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        credited = max(self._next_answer_at, now - _BURST * _SPACING_SECONDS)
        self._next_answer_at = credited + _SPACING_SECONDS
        await asyncio.sleep(max(0.0, credited - now))
        if self._making is None and loop.time() >= self._stays_until:
            self._making = loop.create_task(self._made())
            self._making.add_done_callback(lambda making: making.cancelled() or making.exception())
        if self._latest is not None and (self._making is None or loop.time() - self._made_at < _FRESH_SECONDS):
            return self._latest
        assert self._making is not None  # noqa: S101 - there is a page, or one is being made
        return await asyncio.shield(self._making)

    async def _made(self) -> Answer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            view = await self._service.view()
            if self._latest is None or view is not self._made_of:
                begun = loop.time()
                html = await loop.run_in_executor(self._background, self._written, view)
                self._latest, self._made_of = Answer(HTTPStatus.OK, _HEADERS, html.encode()), view
            self._made_at = loop.time()
            return self._latest
        finally:
            self._making = None
            self._stays_until = loop.time() + _REST * (loop.time() - begun)

    def _written(self, view: View) -> str:
        return self._template.render(
            version=__version__,
            telemetry_path=self._telemetry_path,
            threshold=self._threshold,
            ready=self._service.ready,
            sources=view.sources,
            tables=self._gatherer.tables(view),
        )
