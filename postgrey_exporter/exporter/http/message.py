"""A request and its answer, as far as this exporter cares for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus


class Request(NamedTuple):
    """A request without a body; one with a body is refused before it gets here."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By their names in lower case; several of one name are joined by commas, as RFC 9110, section 5.2, has it."""


class Answer(NamedTuple):
    """What a request is answered with."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def text(cls, status: HTTPStatus, message: str, **headers: str) -> Answer:
        """Return a line of text as an answer."""
        return cls(status, {"Content-Type": "text/plain; charset=utf-8"} | headers, f"{message}\n".encode())


def path_of(target: str) -> str:
    """Return the path that a request's target names, be it ``/metrics?x`` or ``http://host/metrics``."""
    if target.startswith("/"):
        return unquote(target.partition("?")[0])
    try:
        return unquote(urlsplit(target).path) or "/"
    except ValueError:  # a host in half a pair of brackets
        return ""
