"""The metrics' text, written by the thread that reads as soon as there is something new.

Thousands of series take a while to write. A scrape that comes while many lines are being counted would share the
processor with that; so it finds its text ready, in the form that scrapes before it asked for. Scrapes that wait for
the same text share it.
"""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from postgrey_exporter.exporter.http.formats import Form, negotiated
from postgrey_exporter.exporter.http.message import Answer
from postgrey_exporter.exporter.metrics import families
from postgrey_exporter.pipeline.background import Background

if TYPE_CHECKING:
    from postgrey_exporter.exporter.http.message import Request
    from postgrey_exporter.exporter.metrics import View
    from postgrey_exporter.exporter.service import Service

_VIEWS: Final = 60
"""For so many views after it was asked for, a text is prepared: a view a second at most, and a scrape a minute."""
_FORMS: Final = 4
"""Forms that are prepared at most."""


class _Texts(NamedTuple):
    """A view in several forms."""

    view: View | None
    texts: dict[Form, bytes]


class Prepared:
    """The texts of the latest view."""

    def __init__(self, service: Service) -> None:
        """Take what is asked, and be told of each new view."""
        self._service = service
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._prepared = _Texts(None, {})
        self._writing: tuple[View | None, dict[Form, asyncio.Future[bytes]]] = None, {}
        self._background = Background()
        self._bookkeeping = threading.Lock()
        self._asked: dict[Form, int] = {}
        service.prepare = self.prepare

    def prepare(self, view: View) -> None:
        """Write a view in the forms that were asked for not long ago."""
        with self._bookkeeping:
            asked = [(form, views - 1) for form, views in self._asked.items() if views > 0]
            self._asked = dict(asked[-_FORMS:])
            forms = tuple(self._asked)
        self._prepared = _Texts(view, {form: self._written(view, form) for form in forms})

    async def answer(self, request: Request) -> Answer:
        """Answer a scrape."""
        form = negotiated(request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))
        with self._bookkeeping:
            self._asked.pop(form, None)
            self._asked[form] = _VIEWS
        view = await self._service.view()
        prepared = self._prepared
        ready = prepared.texts.get(form) if prepared.view is view else None
        return Answer(HTTPStatus.OK, form.headers, ready or await self._shared(view, form))

    async def _shared(self, view: View, form: Form) -> bytes:
        """Return a text that is written once for all who ask for it."""
        if self._writing[0] is not view:
            self._writing = view, {}
        texts = self._writing[1]
        if form not in texts:
            texts[form] = asyncio.get_running_loop().run_in_executor(self._background, self._written, view, form)
        return await asyncio.shield(texts[form])

    def _written(self, view: View, form: Form) -> bytes:
        return form.write(families(view), self._process)
