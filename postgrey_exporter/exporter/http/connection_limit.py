"""How many connections may be open, and which one is closed when there are too many."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final, Protocol

MOST_CONNECTIONS: Final = 2000
"""Most connections; fewer if the process may not open so many descriptors."""
OTHER_DESCRIPTORS: Final = 96
"""Descriptors left for logs, lists, the state, and connections that are about to be closed."""
_FEWEST_CONNECTIONS: Final = 16
MOST_WORKING: Final = 256
"""Most requests under way: each may hold a piece of an answer that its client does not read."""


class Closable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionLimit:
    """The open connections. For the loop's thread alone."""

    def __init__(self, most: int) -> None:
        """Create the limit without a connection. ``most`` is how many may be open."""
        self.most = most
        self._idle: dict[Closable, None] = {}
        """Connections without a request under way, the longest idle first."""
        self._working: dict[Closable, None] = {}

    @property
    def is_reached(self) -> bool:
        """Whether no further connection may be open."""
        return len(self._idle) + len(self._working) >= self.most

    def note_idle(self, connection: Closable) -> None:
        """Record that a connection has no request under way from now on."""
        self._working.pop(connection, None)
        self._idle[connection] = None

    def note_working(self, connection: Closable) -> None:
        """Record that a connection has a request under way from now on; close the longest of too many requests."""
        self._idle.pop(connection, None)
        self._working[connection] = None
        if len(self._working) > MOST_WORKING:
            self._close(next(iter(self._working)))

    def forget(self, connection: Closable) -> None:
        """Forget a connection that is closed."""
        self._idle.pop(connection, None)
        self._working.pop(connection, None)

    def close(self, count: int) -> None:
        """Close so many connections: the longest idle first, then those with the longest request."""
        for connection in [*self._idle, *self._working][:count]:
            self._close(connection)

    def close_all(self) -> None:
        """Close all connections."""
        self.close(len(self._idle) + len(self._working))

    def _close(self, connection: Closable) -> None:
        self.forget(connection)
        connection.abort()


def most_connections() -> int:
    """Return how many connections may be open, after raising the limit of descriptors as far as that needs."""
    wanted = MOST_CONNECTIONS + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # the unit's filter of system calls forbids it, and sets the limit itself
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, soft - OTHER_DESCRIPTORS))
