"""A request and its answer: the parts that this exporter uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus


class Request(NamedTuple):
    """A request without a body. Requests with a body are refused before."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By name in lower case. Several headers of one name are joined by commas (RFC 9110, section 5.2)."""


class Answer(NamedTuple):
    """The answer to a request."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def text(cls, status: HTTPStatus, message: str, **headers: str) -> Answer:
        """Return an answer of one line of text."""
        return cls(status, {"Content-Type": "text/plain; charset=utf-8"} | headers, f"{message}\n".encode())


def path_of(target: str) -> str:
    """Return the path that a request's target names, be it ``/metrics?x`` or ``http://host/metrics``."""
    if target.startswith("/"):
        return unquote(target.partition("?")[0])
    try:
        return unquote(urlsplit(target).path) or "/"
    except ValueError:  # a host in half a pair of brackets
        return ""
