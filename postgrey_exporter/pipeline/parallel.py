"""Work shared by threads: how a large log is read by more than one core, and parsed while it is read."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Executor, Future
from itertools import islice
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
P = ParamSpec("P")

_Message = tuple[int, tuple[T, ...]] | BaseException
"""With a job's number some results of it, none at its end; or what it raised."""
_TOGETHER: Final = 4
"""Results that are handed over together: to wake the thread that takes them costs as much as some blocks."""
_MOST_WAITING: Final = 4
"""How often a job may hand over before that is taken: room for a stretch of a plain file, so that none waits for its
turn."""


class Background(Executor):
    """Threads that never keep the process from ending, even in the middle of their work.

    Those of a `ThreadPoolExecutor` do: Python waits for them at its end, and one may read from a disk that is gone.
    """

    def __init__(self, threads: int = 1) -> None:
        """Take the largest number of threads; each is started when there is something to do."""
        self._most = threads
        self._started = 0
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have something done, in the order of the calls; return what becomes its result."""
        done: Future[T] = Future()

        def do() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
                    done.set_exception(error)

        self._todo.put(do)
        if self._started < self._most:
            self._started += 1
            Thread(target=self._run, name="background", daemon=True).start()
        return done

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base class's
        """Have the threads end when they have done what was begun; don't wait for that."""
        for _ in range(self._started):
            self._todo.put(None)
        self._started = 0

    def _run(self) -> None:
        while (do := self._todo.get()) is not None:
            do()
            del do  # it holds what was done


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
    ahead = enumerate(jobs)
    turn = 0
    with Background(threads) as pool:
        try:
            while True:
                for number, job in islice(ahead, 2 * threads + 1 - len(waiting)):
                    waiting[number], room[number] = deque(), Semaphore(_MOST_WAITING)
                    pool.submit(_work, number, job, come, room[number], is_over)
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
                    for result in results:
                        take(result)
                    if not results:
                        del waiting[turn], room[turn]
                        turn += 1
        finally:
            is_over.set()
            for one in room.values():
                one.release()


def _work(number: int, job: Iterable[T], come: SimpleQueue[_Message[T]], room: Semaphore, is_over: Event) -> None:
    try:
        results = iter(job)
        while some := tuple(islice(results, _TOGETHER)):
            room.acquire()
            if is_over.is_set():
                return
            come.put((number, some))
        come.put((number, ()))
    except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
        come.put(error)
