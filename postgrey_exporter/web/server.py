"""Listening: cheroot serves the application on every address asked for."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cheroot import wsgi

from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.types import WSGIApplication

_THREADS: Final = 4
_TIMEOUT_SECONDS: Final = 10
_IDLE_TICK_SECONDS: Final = 60.0
"""How often connections that nobody uses are looked for; the thread wakes for nothing else."""
_STOP_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; an empty host means every address of the machine."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written in ``--web.listen-address``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Servers:
    """The listening sockets and their threads."""

    def __init__(self, addresses: Sequence[ListenAddress], application: WSGIApplication) -> None:
        """Bind all addresses. Raises `PostgreyExporterError` where one can't be had."""
        self._servers: list[wsgi.Server] = []
        for address in addresses:
            server = wsgi.Server(
                (address.host, address.port),
                application,
                numthreads=_THREADS,
                server_name="postgrey-exporter",
                timeout=_TIMEOUT_SECONDS,
                shutdown_timeout=0,
            )
            server.expiration_interval = _IDLE_TICK_SECONDS
            if error := _prepare(server):
                self.stop()
                raise PostgreyExporterError(
                    f"{address}: can't listen there: {_reason(error)}; choose another with --web.listen-address"
                ) from error
            self._servers.append(server)

    def start(self) -> None:
        """Answer requests from now on, in threads of their own."""
        for server in self._servers:
            threading.Thread(target=server.serve, name="web", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; requests under way get a moment to end."""
        # cheroot notices at its next tick only.
        threads = [threading.Thread(target=server.stop, daemon=True) for server in self._servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_STOP_SECONDS / len(threads))


def _prepare(server: wsgi.Server) -> OSError | UnicodeError | None:
    """Bind a server and start its threads; return what prevented that.

    Done in a thread that does not keep the process alive: cheroot's worker threads inherit that, and would otherwise
    wait for the next request of an open connection when the program is to end.
    """
    failures: list[OSError | UnicodeError] = []

    def prepare() -> None:
        try:
            server.prepare()
        except (OSError, UnicodeError) as error:  # the latter for what can't be a host's name
            failures.append(error)

    thread = threading.Thread(target=prepare, daemon=True)
    thread.start()
    thread.join()
    return failures[0] if failures else None


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's word for it; cheroot wraps it in a sentence of its own."""
    found = re.search(r"\[Errno -?\d+\] ([^)]+)", str(error))
    return found[1] if found else str(error)
