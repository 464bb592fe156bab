"""A client's connection. h11 reads the requests, within limits of time and size; a connection costs no thread."""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import h11

from postgrey_exporter.exporter.http.message import Answer, Request, path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postgrey_exporter.exporter.http.connection_limit import ConnectionLimit

MOST_HEAD_BYTES: Final = 32 << 10
"""Largest size of a request's line and headers."""
_PIECE_BYTES: Final = 128 << 10
"""The piece of an answer that is copied for a slow client. With less than two segments of loopback both ends wait."""

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_VERSIONS: Final = (b"1.0", b"1.1")


class Timeouts(NamedTuple):
    """Limits of time, in seconds."""

    head: float = 10.0
    """For a request's line and headers from their first byte, and for the first request to begin."""
    idle: float = 120.0
    """Between two requests: longer than the pause between two scrapes."""
    write: float = 30.0
    """For a client to read an answer: Prometheus gives up after ten seconds."""
    linger: float = 1.0
    """For a refused client to see why: closing at once would reset the connection (RFC 9112, section 9.6)."""


class Connection(asyncio.Protocol):
    """Reads one request after another and writes their answers. For the loop's thread alone."""

    _transport: asyncio.Transport

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        connections: ConnectionLimit,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """Create a connection whose requests ``answer`` answers, and which counts among ``connections``."""
        self._answer = answer
        self._connections = connections
        self._timeouts = timeouts
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD_BYTES)
        self._limit: asyncio.TimerHandle | None = None
        self._answering: asyncio.Task[None] | None = None
        self._is_reading_head = False
        self._is_refused = False
        self._is_open = False
        self._is_aborted = False
        self._drained = asyncio.Event()
        self._drained.set()

    def abort(self) -> None:
        """Close at once, and discard what was not sent."""
        self._is_aborted = True
        if not self._is_open:
            return
        if self._answering is not None:
            # The system would go on for minutes with what it holds of the answer.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request: the transport is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._is_open = True
        self._transport.set_write_buffer_limits(0)
        self._allow(self._timeouts.head)
        if self._is_aborted:  # while it was being opened
            self.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """Give up the request under way: the transport is closed."""
        self._is_open = False
        self._forbid()
        self._connections.forget(self)
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        """Read what the client sent; discard what a refused client sends."""
        if self._is_refused:
            return
        if not self._is_reading_head:
            self._is_reading_head = True
            self._allow(self._timeouts.head)
        self._http.receive_data(data)
        if self._answering is None:
            self._next()

    def eof_received(self) -> bool:
        """Answer the requests that came before the client ended its side."""
        if self._is_refused:
            return False
        self._http.receive_data(b"")
        if self._answering is None:
            self._next()
        return True

    def pause_writing(self) -> None:
        """Stop writing until the client has read."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Continue writing."""
        self._drained.set()

    # --- one request

    def _next(self) -> None:
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._refuse(HTTPStatus(error.error_status_hint))
            return
        if isinstance(event, h11.Request):
            request = _accepted(event)
            if isinstance(request, HTTPStatus):
                self._refuse(request, event.method)
                return
            self._http.next_event()  # its end: it has no body
            self._forbid()
            self._connections.note_working(self)
            self._transport.pause_reading()
            self._answering = asyncio.get_running_loop().create_task(self._respond(request))
            self._answering.add_done_callback(self._responded)
        elif isinstance(event, h11.ConnectionClosed):
            self._transport.close()

    async def _respond(self, request: Request) -> None:
        answer = await self._answer(request)
        try:
            async with asyncio.timeout(self._timeouts.write):
                await self._write(request.method, answer)
        except TimeoutError:
            self.abort()
            return
        self._answering = None
        if self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
            return
        self._http.start_next_cycle()
        self._is_reading_head = bool(self._http.trailing_data[0])
        self._allow(self._timeouts.head if self._is_reading_head else self._timeouts.idle)
        self._connections.note_idle(self)
        self._transport.resume_reading()
        self._next()

    def _responded(self, answering: asyncio.Task[None]) -> None:
        if not answering.cancelled() and (error := answering.exception()):
            self.abort()
            asyncio.get_running_loop().call_exception_handler({"message": str(error), "exception": error})

    async def _write(self, method: str, answer: Answer) -> None:
        head = self._head(answer)
        body = b"" if method == "HEAD" else answer.body
        for begin in range(0, len(body), _PIECE_BYTES):
            self._transport.write(head + self._http.send(h11.Data(data=body[begin : begin + _PIECE_BYTES])))
            head = b""
            await self._drained.wait()
        self._transport.write(head + self._http.send(h11.EndOfMessage()))
        await self._drained.wait()

    def _head(self, answer: Answer) -> bytes:
        headers = {"Date": formatdate(usegmt=True), "Content-Length": str(len(answer.body)), **answer.headers}
        return self._http.send(
            h11.Response(status_code=answer.status, reason=answer.status.phrase, headers=list(headers.items()))
        )

    def _refuse(self, status: HTTPStatus, method: bytes = b"") -> None:
        """Answer with a status, and close as soon as the client has seen it."""
        self._is_refused = True
        self._allow(self._timeouts.linger)
        answer = Answer.text(status, status.phrase, Connection="close")
        self._transport.write(self._head(answer) + (b"" if method == b"HEAD" else answer.body))
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # --- limits of time

    def _allow(self, seconds: float) -> None:
        """Close the connection unless something else happens within some seconds."""
        self._forbid()
        self._limit = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _forbid(self) -> None:
        if self._limit is not None:
            self._limit.cancel()


def _accepted(event: h11.Request) -> Request | HTTPStatus:
    """Return a request that can be answered, or the status that it is refused with."""
    size = len(event.target) + sum(len(name) + len(value) for name, value in event.headers)
    if size > MOST_HEAD_BYTES:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if event.http_version not in _VERSIONS:
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in event.headers:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Request(event.method.decode("ascii"), path_of(event.target.decode("latin-1")), headers)
