"""The WSGI application: which path answers what."""

from __future__ import annotations

import logging
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from postgrey_exporter import __version__
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.web.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from jinja2 import Template

    from postgrey_exporter.service import Service

_log = logging.getLogger(__name__)

_PLAIN: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_METHODS: Final = ("GET", "HEAD")
_MOST_DOMAINS_ON_PAGE: Final = 100

Answer = tuple[HTTPStatus, dict[str, str], bytes]


class Application:
    """Answers GET and HEAD on a handful of paths; everything else is 404 or 405."""

    def __init__(self, service: Service, telemetry_path: str, threshold: int) -> None:
        """Take what is asked, and where the metrics are found."""
        self._service = service
        self._telemetry_path = telemetry_path
        self._threshold = threshold
        self._metrics = Prepared(service)
        self._routes: dict[str, Callable[[WSGIEnvironment], Answer]] = {
            "/": self._index,
            telemetry_path: self._metrics.answer,
            "/-/healthy": lambda _: (HTTPStatus.OK, {"Content-Type": _PLAIN}, b"postgrey-exporter is healthy.\n"),
            "/-/ready": self._ready,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            status, headers, body = self._answer(environ)
        except PostgreyExporterError as error:
            _log.error("%s %s: %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], error)
            status, headers, body = _text(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        headers["Content-Length"] = str(len(body))
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        route = self._routes.get(environ.get("PATH_INFO", "") or "/")
        if route is None:
            return _text(HTTPStatus.NOT_FOUND, f"nothing here; see {self._telemetry_path}")
        if environ["REQUEST_METHOD"] not in _METHODS:
            status, headers, body = _text(HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD only")
            return status, headers | {"Allow": ", ".join(_METHODS)}, body
        return route(environ)

    def _ready(self, _: WSGIEnvironment) -> Answer:
        if self._service.ready:
            return _text(HTTPStatus.OK, "postgrey-exporter is ready.")
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, "The logs are still being read for the first time.")

    def _index(self, _: WSGIEnvironment) -> Answer:
        sources = self._service.view().sources  # reads on, as a scrape does
        standings = self._service.standings()
        page = _page().render(
            version=__version__,
            telemetry_path=self._telemetry_path,
            threshold=self._threshold,
            ready=self._service.ready,
            sources=sources,
            unreviewed=standings.unreviewed(self._threshold),
            domains=standings.domains[:_MOST_DOMAINS_ON_PAGE],
            left_out=max(0, len(standings.domains) - _MOST_DOMAINS_ON_PAGE),
        )
        headers = {"Content-Type": _HTML, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTTPStatus.OK, headers, page.encode()


@lru_cache(maxsize=1)
def _page() -> Template:
    # Imported late: where nobody looks at the page, its ten megabytes are not needed.
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415

    return Environment(loader=PackageLoader("postgrey_exporter.web"), autoescape=True).get_template("index.html")


def _text(status: HTTPStatus, message: str) -> Answer:
    return status, {"Content-Type": _PLAIN}, f"{message}\n".encode()
