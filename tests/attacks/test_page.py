"""The page of a state with more domains than anybody looks at: quick, short, and nothing that scrapes would feel."""

from __future__ import annotations

import threading
import time
from html.parser import HTMLParser
from statistics import quantiles
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import decision
from support.running import WINDOW, Files, Serve, seconds

from attacks.clients import memory, seconds_to_answer
from attacks.states import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THRESHOLD: Final = 15


class Rows(HTMLParser):
    """How many rows the tables of a page have."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.count = 0
        self.feed(html)

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.count += tag == "tr"


@pytest.fixture(scope="module")
def serve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    is_long = request.config.getoption("--long")
    files = Files(tmp_path_factory.mktemp("page"))
    fill(files.state, WINDOW, *((100_000, 200_000) if is_long else (5_000, 10_000)))
    files.append(decision(time.time()))
    with Serve(files) as serve:
        yield serve


def test_the_page_of_many_domains_is_quick_and_short(
    serve: Serve, at_length: Callable[[float, float], float], figure: Callable[[str], None]
) -> None:
    first = seconds_to_answer(serve, "/")
    taken: list[float] = []
    end = time.monotonic() + at_length(2.0, 20.0)  # it is made anew several times
    while time.monotonic() < end:
        serve.ask("/metrics")
        taken.append(seconds_to_answer(serve, "/"))
    page = serve.ask("/")
    figure(
        f"the page: first {first * 1000:.0f} ms, then {len(taken)} times at most {max(taken) * 1000:.0f} ms, half of "
        f"the times {quantiles(taken, n=2)[0] * 1000:.0f} ms; {len(page.body) / 1000:.0f} kB"
    )
    assert Rows(page.text).count <= 2 * 101
    assert len(page.body) < 100_000
    assert max(taken) < seconds(0.1)


def test_scrapes_feel_nothing_of_those_who_load_the_page_over_and_over(
    serve: Serve, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    count = at_length(30, 400)
    serve.ask("/")
    alone: list[float] = []
    beside: list[float] = []
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            serve.ask("/")

    for number in range(2 * count):
        if number == count:
            loading = [threading.Thread(target=load) for _ in range(4)]
            for thread in loading:
                thread.start()
        (alone if number < count else beside).append(seconds_to_answer(serve, "/metrics"))
    over.set()
    for thread in loading:
        thread.join()
    worst = [quantiles(times, n=100)[98] for times in (alone, beside)]
    middle = [quantiles(times, n=2)[0] for times in (alone, beside)]
    figure(
        f"{count} scrapes: p50 {middle[0] * 1000:.0f} ms and p99 {worst[0] * 1000:.0f} ms alone, p50 "
        f"{middle[1] * 1000:.0f} ms and p99 {worst[1] * 1000:.0f} ms beside four who load the page over and over"
    )
    assert worst[1] < worst[0] + seconds(0.1)


def test_the_page_takes_little_memory(serve: Serve, figure: Callable[[str], None]) -> None:
    serve.ask("/")
    before = memory(serve)
    for _ in range(200):
        serve.ask("/")
    grown = memory(serve) - before
    figure(f"200 pages: {grown / 1e6:.1f} MB of memory")
    assert grown < 10_000_000
