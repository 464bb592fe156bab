"""How many connections there may be, and which one is closed when there is no room for another."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final, Protocol

MOST_CONNECTIONS: Final = 2000
"""Connections at most; where the process may not open so many descriptors, fewer."""
OTHER_DESCRIPTORS: Final = 96
"""Descriptors left for logs, lists, the state, and connections that are about to be closed."""
_FEWEST_CONNECTIONS: Final = 16
MOST_WORKING: Final = 256
"""Requests under way at most: each may hold a piece of an answer that its client does not read."""


class Closable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close it at once."""


class Room:
    """The open connections. For the loop's thread alone."""

    def __init__(self, most: int) -> None:
        """Begin without one. ``most`` is how many there may be."""
        self.most = most
        self._idle: dict[Closable, None] = {}
        """Those that have no request under way, what has been so longest first."""
        self._working: dict[Closable, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another."""
        return len(self._idle) + len(self._working) >= self.most

    def rest(self, connection: Closable) -> None:
        """Take note of a connection that has no request under way, from now on."""
        self._working.pop(connection, None)
        self._idle[connection] = None

    def work(self, connection: Closable) -> None:
        """Take note of a connection that has a request under way, from now on.

        Where there are too many of these, the one that takes longest is closed.
        """
        self._idle.pop(connection, None)
        self._working[connection] = None
        if len(self._working) > MOST_WORKING:
            self._close(next(iter(self._working)))

    def leave(self, connection: Closable) -> None:
        """Forget a connection that is closed."""
        self._idle.pop(connection, None)
        self._working.pop(connection, None)

    def make(self, count: int) -> None:
        """Close connections: what has been idle longest, and where none is idle, what has been at work longest."""
        for connection in [*self._idle, *self._working][:count]:
            self._close(connection)

    def clear(self) -> None:
        """Close all connections."""
        self.make(len(self._idle) + len(self._working))

    def _close(self, connection: Closable) -> None:
        self.leave(connection)
        connection.abort()


def most_connections() -> int:
    """Return how many connections there may be, after raising the limit of descriptors as far as that needs."""
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
