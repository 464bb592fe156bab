"""Connections that are held: silent, slow to ask, slow to read, too many; scrapes are answered beside all of them."""

from __future__ import annotations

import resource
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import decision
from support.parts import require, wait_until
from support.running import Files, Serve, seconds

from attacks.clients import (
    SCRAPE,
    connected,
    cpu_seconds,
    held,
    is_closed,
    memory,
    received,
    seconds_to_answer,
    wake_ups,
)
from postgrey_exporter.exporter.http.connection_limit import MOST_CONNECTIONS, OTHER_DESCRIPTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_OUR_DESCRIPTORS: Final = 8_000
DOMAINS: Final = 1_000
SLOW: Final = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: "


@pytest.fixture(autouse=True)
def may_open_many() -> Iterator[None]:
    """Allow this process as many descriptors as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, _OUR_DESCRIPTORS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.append(*(decision(time.time(), f"mail.d{number}.home.arpa") for number in range(DOMAINS)))
    return files


def limited(soft: int, hard: int) -> list[str]:
    """Return what starts a program that may open so many descriptors."""
    return [require("prlimit", "util-linux"), f"--nofile={soft}:{hard}"]


def of_log(serve: Serve, words: str) -> int:
    return serve.words().count(words)


def test_scrapes_are_answered_beside_connections_that_are_idle_or_slow(
    files: Files, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    idle, slow, readers = at_length(200, 1_000), at_length(40, 200), at_length(10, 50)
    taken: dict[str, list[float]] = {"/metrics": [], "/-/healthy": []}
    with Serve(files) as serve, ExitStack() as stack:
        serve.ask("/metrics")
        before = memory(serve)
        stack.enter_context(held(serve, idle))
        slow_headers = stack.enter_context(held(serve, slow, SLOW))
        slow_readers = stack.enter_context(held(serve, readers, SCRAPE, receive_bytes=4096))
        end = time.monotonic() + at_length(3, 9)
        while (now := time.monotonic()) < end:
            for connection in slow_headers:
                connection.sendall(b"x")
            for connection in slow_readers:
                assert connection.recv(1)
            for path, times in taken.items():
                times.append(seconds_to_answer(serve, path))
            wait_until(lambda: time.monotonic() >= now + 0.5)
        grown = memory(serve) - before
        assert not any(map(is_closed, slow_headers))

    longest = {path: max(times) for path, times in taken.items()}
    figure(
        f"beside {idle} idle connections, {slow} slow headers and {readers} slow readers: a scrape in at most "
        f"{longest['/metrics'] * 1000:.0f} ms, /-/healthy in {longest['/-/healthy'] * 1000:.0f} ms, "
        f"{grown / 1e6:.1f} MB of memory"
    )
    assert max(longest.values()) < seconds(1)
    assert grown < 40_000_000


def test_many_scrapes_at_once_are_all_answered(
    files: Files, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    count = at_length(50, 250)
    with Serve(files) as serve:
        begun = time.monotonic()
        with held(serve, count, SCRAPE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as scrapes:
            answers = [received(scrape) for scrape in scrapes]
        lasted = time.monotonic() - begun
    figure(f"{count} scrapes at once: all answered after {lasted:.2f} s")
    assert {
        (answer[:15], answer.endswith(b"\n"), answer.count(b"postgrey_unreviewed_domain{")) for answer in answers
    } == {(b"HTTP/1.1 200 OK", True, DOMAINS)}


def test_at_the_limit_the_connection_that_has_been_idle_longest_is_closed(
    files: Files, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    limit = at_length(300, 2_096)
    most, more = limit - 96, at_length(100, 1_000)
    with Serve(files, before=limited(limit, limit)) as serve:
        scraping = connected(serve)
        with scraping, held(serve, most - 1) as earlier:
            scraping.sendall(SCRAPE)  # it is no longer the one that has been idle longest
            assert scraping.recv(4).startswith(b"HTTP")
            with held(serve, more) as later:
                wait_until(lambda: all(map(is_closed, earlier[:more])))
                assert not any(map(is_closed, [*earlier[more:], *later]))
                taken = seconds_to_answer(serve, "/metrics")
                assert of_log(serve, f"{most} connections are open, as many as there may be") == 1
    figure(f"{most + more} connections with room for {most}: a scrape in {taken * 1000:.0f} ms")
    assert taken < seconds(1)


def test_the_limit_of_descriptors_is_raised_as_far_as_that_is_needed_and_allowed(files: Files) -> None:
    wanted = MOST_CONNECTIONS + OTHER_DESCRIPTORS
    for soft, hard, raised in (
        (64, 5_000, wanted),
        (64, 500, 500),
        (3_000, 5_000, 3_000),
    ):
        with Serve(files, before=limited(soft, hard)) as serve:
            assert resource.prlimit(serve.pid, resource.RLIMIT_NOFILE) == (raised, hard)


def test_want_of_descriptors_costs_one_line_and_no_processor(
    files: Files, at_length: Callable[[float, float], float], figure: Callable[[str], None]
) -> None:
    with Serve(files) as serve:
        serve.ask("/metrics")
        _, hard = resource.prlimit(serve.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(serve.pid, resource.RLIMIT_NOFILE, (40, hard))
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connected(serve))
            wait_until(lambda: of_log(serve, "no connection can be accepted") == 1)
            begun, cpu = time.monotonic(), cpu_seconds(serve)
            lasts = at_length(2.0, 20.0)
            wait_until(lambda: time.monotonic() >= begun + lasts, 2 * lasts)
            share = (cpu_seconds(serve) - cpu) / lasts
            taken = seconds_to_answer(serve, "/metrics")
        assert of_log(serve, "no connection can be accepted") == 1
        assert "Traceback" not in serve.words()
        resource.prlimit(serve.pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert serve.ask("/metrics").status == 200
    figure(f"without descriptors: {share:.1%} of a core, one line of log, a scrape in {taken * 1000:.0f} ms")
    assert share < 0.2
    assert taken < seconds(2)


def test_idle_connections_wake_nothing(
    files: Files, at_length: Callable[[float, float], float], figure: Callable[[str], None]
) -> None:
    with Serve(files) as serve, held(serve, 50, SCRAPE) as connections:
        for connection in connections:
            wait_until(lambda: b"\n# HELP process" in connection.recv(1 << 20) or True)  # noqa: B023
        begun, before = time.monotonic(), wake_ups(serve)
        lasts = at_length(3.0, 15.0)
        wait_until(lambda: time.monotonic() >= begun + lasts, 2 * lasts)
        rate = (wake_ups(serve) - before) / lasts
    figure(f"50 idle connections: {rate:.2f} wake-ups a second in the first seconds after a scrape")
    assert rate < 4


def test_open_connections_do_not_delay_the_end(files: Files, at_length: Callable[[int, int], int]) -> None:
    with (
        Serve(files) as serve,
        held(serve, at_length(50, 1_000)),
        held(serve, at_length(10, 200), SLOW),
        held(serve, at_length(10, 50), SCRAPE, receive_bytes=4096) as readers,
    ):
        assert readers[-1].recv(1)
        begun = time.monotonic()
        assert serve.end(signal.SIGTERM) == 0
        lasted = time.monotonic() - begun
        assert "Traceback" not in serve.words()
        assert "stopped; everything that was read is committed" in serve.words()
    assert lasted < seconds(1)
