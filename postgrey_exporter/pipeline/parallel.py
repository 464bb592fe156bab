"""Work shared by threads: how a large log is read by more than one core.

An executor of concurrent.futures does not serve: Python waits for its threads at the end of the process, and one may
read from a disk that is gone; and it loads the module logging, for which a short report should not wait.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from itertools import chain, islice
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

_Message = tuple[int, tuple[T, ...]] | BaseException
"""With a job's number some results of it, none at its end; or what it raised."""
_TOGETHER: Final = 4
"""Results that are handed over together: to wake the thread that takes them costs as much as some blocks."""
_MOST_WAITING: Final = 4
"""How often a job may hand over before that is taken: room for a stretch of a plain file, so that none waits for its
turn."""


def starts(work: Callable[[], None], name: str) -> bool:
    """Start a thread, and tell whether there was room for one more in memory and in the number of processes."""
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(jobs: Iterable[Iterable[T]], take: Callable[[T], None], threads: int) -> None:
    """Work out the results of jobs by several threads, and hand each over to ``take`` in the caller's thread.

    That is called in the order of the jobs and of their results. Raises at once what a job, ``take`` or a signal's
    handler raises: what was taken by then is a beginning of all results. The threads then end by themselves; they are
    not waited for, since what they read may have no end.
    """
    come: SimpleQueue[_Message[T]] = SimpleQueue()
    waiting: dict[int, deque[tuple[T, ...]]] = {}
    room: dict[int, Semaphore] = {}
    is_over = Event()
    todo: SimpleQueue[tuple[int, Iterable[T], Semaphore] | None] = SimpleQueue()
    ahead = enumerate(jobs)
    turn = 0
    try:
        started = sum(starts(partial(_work, todo, come, is_over), "in turn") for _ in range(threads))
        if not started:
            _take_all(chain.from_iterable(job for _, job in ahead), take)
            return
        while True:
            for number, job in islice(ahead, 2 * threads + 1 - len(waiting)):
                waiting[number], room[number] = deque(), Semaphore(_MOST_WAITING)
                todo.put((number, job, room[number]))
            if not waiting:
                return
            message = come.get()
            if isinstance(message, BaseException):
                raise message
            number, results = message
            waiting[number].append(results)
            while waiting.get(turn):
                results = waiting[turn].popleft()
                room[turn].release()
                _take_all(results, take)
                if not results:
                    del waiting[turn], room[turn]
                    turn += 1
    finally:
        is_over.set()
        for one in room.values():
            one.release()
        todo.put(None)


def _take_all(results: Iterable[T], take: Callable[[T], None]) -> None:
    for result in results:
        take(result)


def _work(
    todo: SimpleQueue[tuple[int, Iterable[T], Semaphore] | None], come: SimpleQueue[_Message[T]], is_over: Event
) -> None:
    try:
        while (given := todo.get()) is not None:
            number, job, room = given
            results = iter(job)
            while some := tuple(islice(results, _TOGETHER)):
                room.acquire()
                if is_over.is_set():
                    return
                come.put((number, some))
            come.put((number, ()))
        todo.put(None)  # for the next thread
    except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
        come.put(error)
