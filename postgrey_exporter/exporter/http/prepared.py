"""The metrics' text, written by the thread that reads as soon as there is something new.

Thousands of series take a while to write, and counting many lines would share the processor with that; so a scrape
finds its text ready, in the format that earlier scrapes asked for. Scrapes that wait for the same text share it.
"""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from postgrey_exporter.exporter.http.formats import Format, negotiated
from postgrey_exporter.exporter.http.message import Answer
from postgrey_exporter.exporter.metrics import families
from postgrey_exporter.pipeline.background import Background

if TYPE_CHECKING:
    from postgrey_exporter.exporter.http.message import Request
    from postgrey_exporter.exporter.service import Service
    from postgrey_exporter.exporter.view import View

_FORMATS: Final = 4
"""Most formats that are prepared."""


class _Texts(NamedTuple):
    """A view in several formats."""

    view: View | None
    texts: dict[Format, bytes]


class Prepared:
    """Answers scrapes with the texts of the latest view."""

    def __init__(self, service: Service, *, views: int = 60) -> None:
        """Prepare each new view of the service in the formats that scrapes asked for within so many ``views``."""
        self._views = views
        self._service = service
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._prepared = _Texts(None, {})
        self._writing: tuple[View | None, dict[Format, asyncio.Future[bytes]]] = None, {}
        self._background = Background()
        self._bookkeeping = threading.Lock()
        self._asked: dict[Format, int] = {}
        service.prepare = self.prepare

    def prepare(self, view: View) -> None:
        """Write a view in the formats that scrapes asked for lately."""
        with self._bookkeeping:
            asked = [(fmt, views - 1) for fmt, views in self._asked.items() if views > 0]
            self._asked = dict(asked[-_FORMATS:])
            formats = tuple(self._asked)
        self._prepared = _Texts(view, {fmt: self._written(view, fmt) for fmt in formats})

    async def answer(self, request: Request) -> Answer:
        """Answer a scrape."""
        fmt = negotiated(request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))
        with self._bookkeeping:
            self._asked.pop(fmt, None)
            self._asked[fmt] = self._views
        view = await self._service.view()
        prepared = self._prepared
        ready = prepared.texts.get(fmt) if prepared.view is view else None
        return Answer(HTTPStatus.OK, fmt.headers, ready or await self._shared(view, fmt))

    async def _shared(self, view: View, fmt: Format) -> bytes:
        """Return a text that is written once for all scrapes that ask for it."""
        if self._writing[0] is not view:
            self._writing = view, {}
        texts = self._writing[1]
        if fmt not in texts:
            texts[fmt] = asyncio.get_running_loop().run_in_executor(self._background, self._written, view, fmt)
        return await asyncio.shield(texts[fmt])

    def _written(self, view: View, fmt: Format) -> bytes:
        return fmt.write(families(view), self._process)
