"""Waiting for a condition with a limit, and finding a port. No other test module sleeps."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT: Final = 20.0
"""Seconds that a condition may take on a loaded machine before the test fails."""

_PAUSE: Final = 0.01

T = TypeVar("T")


def wait_until(condition: Callable[[], T], limit: float = LIMIT, what: str = "") -> T:
    """Return the first true value of ``condition()``, asked every hundredth of a second.

    Raises `TimeoutError` after ``limit`` seconds, naming ``what`` (or the condition) and its last value.
    """
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            name = what or getattr(condition, "__qualname__", repr(condition))
            raise TimeoutError(f"waited {limit:g} s in vain for {name}; last value: {value!r}")
        time.sleep(_PAUSE)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def accepts(port: int) -> bool:
    """Tell whether something accepts connections on ``port`` of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
