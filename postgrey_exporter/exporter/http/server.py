"""The web server: one thread with an event loop serves all connections of all addresses."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.exporter.http.connection import Connection, Timeouts
from postgrey_exporter.exporter.http.connection_limit import ConnectionLimit, most_connections
from postgrey_exporter.exporter.log_limit import limit_for_strangers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postgrey_exporter.exporter.http.message import Answer, Request

_log = logging.getLogger(__name__)

_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_AT_ONCE: Final = 32
"""Connections that are accepted together, and that are closed together when there are no descriptors left."""
_PAUSE_SECONDS: Final = 0.2
"""Pause of accepting when there are no descriptors left: those of closed connections are free by then."""
_STOP_SECONDS: Final = 0.3
"""Time for requests under way when the exporter ends."""
_BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; an empty host means every address of the machine."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as written in ``--web.listen-address``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """The listening sockets and the thread that serves them."""

    def __init__(
        self,
        addresses: Sequence[ListenAddress],
        answer: Callable[[Request], Awaitable[Answer]],
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """Bind all addresses. Raises `PostgreyExporterError` if one can't be bound."""
        self._answer = answer
        self._timeouts = timeouts
        self._log_limit = limit_for_strangers()
        self._listeners: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._begun: Future[None] = Future()
        for address in addresses:
            try:
                self._listeners.append(_bound(address))
            except (OSError, UnicodeError) as error:  # the latter for what can't be a host's name
                self.stop()
                raise PostgreyExporterError(
                    f"{address}: can't listen there: {_reason(error)}; choose another with --web.listen-address"
                ) from error

    def start(self) -> None:
        """Answer requests from now on. Raises `OSError` if the system can't provide an event loop."""
        self._thread.start()
        self._begun.result()

    def stop(self) -> None:
        """Stop listening. Requests under way get a moment to end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * _STOP_SECONDS)
        for listener in self._listeners:
            listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._begun.done():
                raise
            self._begun.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._note_error)
        self._stopping = asyncio.Event()
        self._connections = ConnectionLimit(most_connections())
        self._opening: set[asyncio.Task[None]] = set()
        self._listen()
        self._begun.set_result(None)
        await self._stopping.wait()
        self._pause()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_STOP_SECONDS)
        self._connections.close_all()
        await asyncio.sleep(0)  # the transports close

    def _listen(self) -> None:
        for listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _peer = listener.accept()
            except OSError as error:  # none waits, or the one that did is gone again
                if error.errno in _NO_ROOM:
                    self._note_no_descriptor(error)
                return
            if self._connections.is_reached:
                if self._log_limit.is_news("connections"):
                    _log.error(
                        "%d connections are open, as many as there may be: those that have been idle longest are "
                        "closed",
                        self._connections.most,
                    )
                self._connections.close(1)
            accepted.setblocking(False)
            connection = Connection(self._answer, self._connections, self._timeouts)
            self._connections.note_idle(connection)  # it counts from now on
            opening = self._loop.create_task(self._open(connection, accepted))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # it is gone again
            self._connections.forget(connection)
            accepted.close()

    def _note_no_descriptor(self, error: OSError) -> None:
        """Close the longest idle connections, and accept again when they are closed: an immediate try would spin."""
        if self._log_limit.is_news("descriptors"):
            _log.error(
                "no connection can be accepted: %s; those that have been idle longest are closed; raise LimitNOFILE",
                error.strerror,
            )
        self._connections.close(_AT_ONCE)
        self._pause()
        self._loop.call_later(_PAUSE_SECONDS, self._listen)

    def _note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if self._log_limit.is_news(("web", str(error))):
            _log.error("web server: %s", context["message"], exc_info=error)


def _bound(address: ListenAddress) -> socket.socket:
    """Return a socket that listens at an address; of several that a name has, at the first that is free."""
    if not address.host and socket.has_dualstack_ipv6():
        return _listening(socket.AF_INET6, ("", address.port))
    failed: OSError | None = None
    for family, _, _, _, place in socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            return _listening(family, place)
        except OSError as error:
            failed = failed or error
    raise failed or OSError(errno.EADDRNOTAVAIL, "")


def _listening(family: int, place: tuple[Any, ...]) -> socket.socket:
    is_any = family == socket.AF_INET6 and place[0] in {"", "::"} and socket.has_dualstack_ipv6()
    listener = socket.create_server(place, family=family, backlog=_BACKLOG, dualstack_ipv6=is_any)
    listener.setblocking(False)
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's message without the sentence that Python puts around it."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)
