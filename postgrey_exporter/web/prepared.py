"""The metrics' text, written by the thread that reads as soon as there is something new.

Thousands of series take a while to write. A scrape that comes while many lines are being counted would share the
processor with that; so it finds its text ready, in the form that scrapes before it asked for.
"""

from __future__ import annotations

import gzip
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder, gzip_accepted

from postgrey_exporter.exposition import exposition
from postgrey_exporter.metrics import View, families

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from postgrey_exporter.service import Service


_VIEWS: Final = 60
"""For so many views after it was asked for, a text is prepared: a view a second at most, and a scrape a minute."""
_FORMS: Final = 4
"""Forms that are prepared at most."""


class Form(NamedTuple):
    """What a scrape asks for: it decides on the text."""

    accept: str
    packed: bool


class Prepared:
    """The texts of the latest view."""

    def __init__(self, service: Service) -> None:
        """Take what is asked, and be told of each new view."""
        self._service = service
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._latest: tuple[View | None, dict[Form, bytes]] = None, {}
        self._bookkeeping = threading.Lock()
        self._asked: dict[Form, int] = {}
        service.prepare = self.prepare

    def prepare(self, view: View) -> None:
        """Write a view in the forms that were asked for not long ago."""
        with self._bookkeeping:
            asked = [(form, views - 1) for form, views in self._asked.items() if views > 0]
            self._asked = dict(asked[-_FORMS:])
            forms = tuple(self._asked)
        self._latest = view, {form: self._written(view, form) for form in forms}

    def answer(self, environ: WSGIEnvironment) -> tuple[HTTPStatus, dict[str, str], bytes]:
        """Answer a scrape."""
        packed = gzip_accepted(environ.get("HTTP_ACCEPT_ENCODING", ""))
        form = Form(environ.get("HTTP_ACCEPT", ""), packed)
        with self._bookkeeping:
            self._asked.pop(form, None)
            self._asked[form] = _VIEWS
        view = self._service.view()
        latest, texts = self._latest
        body = texts.get(form) if latest is view else None
        _, content_type = choose_encoder(form.accept)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        return HTTPStatus.OK, headers, body or self._written(view, form)

    def _written(self, view: View, form: Form) -> bytes:
        encode, _ = choose_encoder(form.accept)
        text = exposition(families(view), encode, self._process)
        return gzip.compress(text, compresslevel=1) if form.packed else text
