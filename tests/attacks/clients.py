"""Clients that mean no good: connections that are held open, and what they send byte by byte."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.parts.waiting import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Serve

SCRAPE: Final = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def connected(serve: Serve, *, receive_bytes: int | None = None) -> socket.socket:
    """Return a connection to the exporter; ``receive_bytes`` bounds what waits on the client's side."""
    host, port = serve.address.split(":")
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(LIMIT)
    connection.connect((host, int(port)))
    return connection


def said(serve: Serve, request: bytes) -> bytes:
    """Send bytes, end the client's side, and return all that comes back."""
    with connected(serve) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is refused before it is wholly sent
        return received(connection)


def received(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has closed a connection on which nothing is left to read."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def held(
    serve: Serve, count: int, request: bytes = b"", *, receive_bytes: int | None = None
) -> Iterator[list[socket.socket]]:
    """Hold some connections open that have each sent some bytes."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(serve, receive_bytes=receive_bytes)) for _ in range(count)]
        for connection in connections:
            connection.sendall(request)
        yield connections


def seconds_to_answer(serve: Serve, path: str) -> float:
    """Return how long an answer takes over a new connection."""
    begun = time.perf_counter()
    assert serve.ask(path).status == 200
    return time.perf_counter() - begun


def memory(serve: Serve) -> int:
    """Return how many bytes of the exporter's memory are resident."""
    return int(Path(f"/proc/{serve.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(serve: Serve) -> float:
    """Return how many seconds of a processor's the exporter has used."""
    words = Path(f"/proc/{serve.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def wake_ups(serve: Serve) -> int:
    """Return how often the exporter's threads have woken up from waiting."""
    tasks = Path(f"/proc/{serve.pid}/task").glob("*/status")
    found = (re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task.read_text(), re.MULTILINE) for task in tasks)
    return sum(int(one[1]) for one in found if one)
