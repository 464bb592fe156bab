"""Work shared by threads: the results come in order, and what fails fails where it would have."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.parts import wait_until

from postgrey_exporter.pipeline.background import Background
from postgrey_exporter.pipeline.parallel import cores, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 500])
def test_results_are_handed_over_in_the_order_of_the_jobs(threads: int, size: int) -> None:
    jobs = (iter(range(job * size, (job + 1) * size)) for job in range(20))
    taken: list[int] = []
    in_turn(jobs, taken.append, threads)

    assert taken == list(range(20 * size))


def test_without_a_job_nothing_is_handed_over() -> None:
    in_turn([], pytest.fail, 2)


def test_what_was_done_before_its_turn_waits_for_it() -> None:
    second_is_done = threading.Event()

    def first() -> Iterator[str]:
        yield "a"
        assert second_is_done.wait(20)
        yield "b"

    def second() -> Iterator[str]:
        yield "c"
        second_is_done.set()

    taken: list[str] = []
    in_turn([first(), second(), iter("d")], taken.append, 2)

    assert taken == ["a", "b", "c", "d"]


def test_one_thread_at_a_time_hands_over() -> None:
    busy = threading.Lock()

    def take(_: int) -> None:
        assert busy.acquire(blocking=False)
        sum(range(1000))
        busy.release()

    in_turn((iter(range(50)) for _ in range(50)), take, 4)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_after_an_error_a_beginning_of_the_results_was_taken(threads: int) -> None:
    def job(number: int) -> Iterator[int]:
        yield number
        if number == 3:
            raise OSError("disk")

    taken: list[int] = []
    with pytest.raises(OSError, match="disk"):
        in_turn(map(job, range(100)), taken.append, threads)

    assert taken == list(range(len(taken)))
    assert len(taken) < 10


def test_an_error_of_what_yields_the_jobs_is_raised() -> None:
    def jobs() -> Iterator[Iterator[int]]:
        yield iter(range(3))
        raise OSError("folder")

    with pytest.raises(OSError, match="folder"):
        in_turn(jobs(), lambda _: None, 2)


def test_who_can_take_no_more_ends_all_threads() -> None:
    def take(result: int) -> None:
        if result == 7:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        in_turn((iter(range(10_000)) for _ in range(9)), take, 3)

    wait_until(lambda: "in turn" not in {thread.name for thread in threading.enumerate()}, what="the threads' end")


def test_an_error_does_not_wait_for_a_job_that_has_no_end() -> None:
    is_begun, may_end = threading.Event(), threading.Event()

    def endless() -> Iterator[int]:
        is_begun.set()
        assert may_end.wait(20)
        yield 0

    def failing() -> Iterator[int]:
        assert is_begun.wait(20)
        yield 1
        raise OSError("disk")

    try:
        with pytest.raises(OSError, match="disk"):
            in_turn([endless(), failing()], lambda _: pytest.fail("nothing came before it"), 2)
    finally:
        may_end.set()


def test_what_a_signals_handler_raises_ends_the_wait_for_the_threads() -> None:
    may_end = threading.Event()

    def endless() -> Iterator[int]:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert may_end.wait(20)
        yield 0

    def handler(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(TimeoutError):
            in_turn([endless()], lambda _: None, 2)
    finally:
        may_end.set()
        signal.signal(signal.SIGALRM, before)


def test_threads_without_an_end_do_not_keep_the_process_from_its_own() -> None:
    code = """
import threading
from postgrey_exporter.pipeline.parallel import in_turn

def endless():
    threading.Event().wait()
    yield

def failing():
    raise OSError("disk")
    yield

in_turn([endless(), failing()], print, 2)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)

    assert done.stderr.endswith("OSError: disk\n")


def test_only_a_few_jobs_and_results_are_worked_out_ahead() -> None:
    begun: list[int] = []
    made: list[int] = []
    seen: list[tuple[int, int]] = []

    def job(number: int) -> Iterator[int]:
        begun.append(number)
        if number == 0:
            # The other thread does what it may before the first result: a long job's first results.
            wait_until(lambda: len(made) >= 8, what="the second job's results")
            yield 0
        else:
            for result in range(10_000):
                made.append(result)
                yield result

    def take(_: int) -> None:
        seen.append((len(begun), len(made)))

    in_turn(map(job, range(5)), take, 2)

    # The first job, which has ended, and one for each thread.
    assert seen[0][0] <= 3
    assert seen[0][1] <= 2 * 20


def test_short_jobs_are_done_a_few_ahead() -> None:
    begun: list[int] = []
    seen: list[int] = []

    def job(number: int) -> Iterator[int]:
        begun.append(number)
        if number == 0:
            wait_until(lambda: len(begun) == 5, what="the jobs that may be begun")
        yield number

    in_turn(map(job, range(50)), lambda number: seen.append(len(begun) - number), 2)

    assert seen[0] == 5
    assert max(seen) <= 6


def test_there_is_a_core() -> None:
    assert cores() >= 1


def test_what_is_done_in_the_background_is_done_by_one_thread_in_its_order() -> None:
    with Background() as background:
        results = [background.submit(lambda number=number: (number, threading.get_ident())) for number in range(9)]  # type: ignore[misc]
        found = [result.result() for result in results]

    assert [number for number, _ in found] == list(range(9))
    assert len({thread for _, thread in found}) == 1
    assert found[0][1] != threading.get_ident()


def test_an_error_in_the_background_is_raised_where_the_result_is_taken_and_the_next_is_done() -> None:
    def fail() -> None:
        raise OSError("disk")

    with Background() as background:
        failed, other = background.submit(fail), background.submit(lambda: 7)
        with pytest.raises(OSError, match="disk"):
            failed.result()
        assert other.result() == 7


def test_a_background_that_was_closed_leaves_no_thread_and_may_begin_again() -> None:
    before = set(threading.enumerate())
    background = Background()
    for _ in range(2):
        assert background.submit(lambda: 1).result() == 1
        background.shutdown()
        background.shutdown()
    wait_until(lambda: set(threading.enumerate()) <= before, what="the thread's end")


def no_room(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_room)


@pytest.mark.usefixtures("no_threads")
def test_where_no_thread_can_be_started_the_work_is_done_all_the_same() -> None:
    taken: list[int] = []
    in_turn((iter([job]) for job in range(9)), taken.append, 4)
    assert taken == list(range(9))
    with Background() as background:
        assert background.submit(lambda: 7).result() == 7
        with pytest.raises(ZeroDivisionError):
            background.submit(lambda: 1 / 0).result()


def test_a_thread_is_started_as_soon_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    with Background() as background:
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", no_room)
            assert background.submit(threading.get_ident).result() == threading.get_ident()
        assert background.submit(threading.get_ident).result() != threading.get_ident()
