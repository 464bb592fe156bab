"""Work done ahead by several threads: the results come in order, and what fails fails where it would have."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from parts import wait_until

from postgrey_exporter.ahead import Background, ahead, cores

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 500])
def test_results_come_in_the_order_of_the_jobs(threads: int, size: int) -> None:
    jobs = (iter(range(job * size, (job + 1) * size)) for job in range(20))

    assert [list(results) for results in ahead(jobs, threads)] == [
        list(range(job * size, (job + 1) * size)) for job in range(20)
    ]


def test_without_a_job_there_is_nothing() -> None:
    assert list(ahead([], 2)) == []


def test_an_error_is_raised_where_the_jobs_results_end_and_the_others_go_on() -> None:
    def job(number: int) -> Iterator[int]:
        yield number
        if number == 1:
            raise OSError("disk")

    seen: list[object] = []
    for results in ahead(map(job, range(4)), 2):
        try:
            seen.extend(results)
        except OSError as error:
            seen.append(str(error))

    assert seen == [0, 1, "disk", 2, 3]


def test_only_a_few_jobs_and_results_are_worked_out_ahead() -> None:
    begun: list[int] = []
    made: list[int] = []

    def job(number: int) -> Iterator[int]:
        begun.append(number)
        for result in range(10_000):
            made.append(result)
            yield result

    with closing(ahead(map(job, range(50)), 2)) as jobs:
        first = next(jobs)
        assert next(first) == 0
        wait_until(lambda: len(begun) == 2, what="the second job")
        assert len(made) < 1000


def test_who_stops_early_leaves_no_thread_behind() -> None:
    with closing(ahead((iter(range(10_000)) for _ in range(9)), 3)) as jobs:
        assert next(next(jobs)) == 0

    wait_until(lambda: "ahead" not in {thread.name for thread in threading.enumerate()}, what="the threads' end")


def test_there_is_a_core() -> None:
    assert cores() >= 1


def test_what_is_done_in_the_background_is_done_by_one_thread_in_its_order() -> None:
    with closing(Background()) as background:
        results = [background.begin(lambda number=number: (number, threading.get_ident())) for number in range(9)]  # type: ignore[misc]
        found = [result() for result in results]

    assert [number for number, _ in found] == list(range(9))
    assert len({thread for _, thread in found}) == 1
    assert found[0][1] != threading.get_ident()


def test_an_error_in_the_background_is_raised_where_the_result_is_taken_and_the_next_is_done() -> None:
    def fail() -> None:
        raise OSError("disk")

    with closing(Background()) as background:
        failed, other = background.begin(fail), background.begin(lambda: 7)
        with pytest.raises(OSError, match="disk"):
            failed()
        assert other() == 7


def test_a_background_that_was_closed_leaves_no_thread_and_may_begin_again() -> None:
    background = Background()
    for _ in range(2):
        assert background.begin(lambda: 1)() == 1
        background.close()
        background.close()
    wait_until(lambda: "background" not in {thread.name for thread in threading.enumerate()}, what="the thread's end")
