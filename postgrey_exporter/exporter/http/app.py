"""The paths, and what answers a request for each."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.exporter.http.message import Answer, Request
from postgrey_exporter.exporter.http.page import Page
from postgrey_exporter.exporter.http.prepared import Prepared
from postgrey_exporter.exporter.http.rows import PageLimits
from postgrey_exporter.exporter.log_limit import limit_for_strangers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postgrey_exporter.exporter.service import Service

_log = logging.getLogger(__name__)

_METHODS: Final = ("GET", "HEAD")


class Application:
    """Answers GET and HEAD on a handful of paths; everything else is 404 or 405."""

    def __init__(
        self, service: Service, telemetry_path: str, threshold: int, page_limits: PageLimits = PageLimits()
    ) -> None:
        """Create the routes. From ``threshold`` attempts on, the page shows a domain as one to review."""
        self._service = service
        self._telemetry_path = telemetry_path
        self._log_limit = limit_for_strangers()
        self._routes: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "/": Page(service, telemetry_path, threshold, page_limits).answer,
            telemetry_path: Prepared(service).answer,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
        }

    async def answer(self, request: Request) -> Answer:
        """Answer one request, whatever goes wrong."""
        route = self._routes.get(request.path)
        if route is None:
            return Answer.text(HTTPStatus.NOT_FOUND, f"nothing here; see {self._telemetry_path}")
        if request.method not in _METHODS:
            return Answer.text(HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD only", Allow=", ".join(_METHODS))
        try:
            return await route(request)
        except PostgreyExporterError as error:
            if self._log_limit.is_news(str(error)):
                _log.error("%s: %s", request.path, error)
            return Answer.text(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours is no reason to answer nobody any more
            if self._log_limit.is_news(repr(error)):
                _log.exception("%s can't be answered: %r", request.path, error)
            return Answer.text(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the exporter's; its log says more")

    async def _healthy(self, _: Request) -> Answer:
        return Answer.text(HTTPStatus.OK, "postgrey-exporter is healthy.")

    async def _ready(self, _: Request) -> Answer:
        if self._service.ready:
            return Answer.text(HTTPStatus.OK, "postgrey-exporter is ready.")
        return Answer.text(HTTPStatus.SERVICE_UNAVAILABLE, "The logs are still being read for the first time.")
