"""Work shared by threads: how a large log is read by more than one core, and parsed while it is read."""

from __future__ import annotations

import os
import threading
from queue import Queue
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

_MOST_WAITING: Final = 64
"""Results of one job that wait for its turn."""


class Background:
    """A thread that does one thing after another for its owner, who does something else meanwhile.

    While there is no room for one more thread, the owner does it.
    """

    def __init__(self) -> None:
        """Begin without the thread: it is started when there is something to do."""
        self._todo: Queue[Callable[[], None] | None] = Queue()
        self._is_started = False

    def begin(self, work: Callable[[], T]) -> Callable[[], T]:
        """Have something done; return what waits for it once, and returns or raises what it did."""
        done: Queue[tuple[T | None, BaseException | None]] = Queue()

        def do() -> None:
            try:
                done.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
                done.put((None, error))

        def result() -> T:
            value, error = done.get()
            if error is not None:
                raise error
            return cast("T", value)

        self._is_started = self._is_started or _starts(self._run, "background")
        if self._is_started:
            self._todo.put(do)
        else:
            do()
        return result

    def close(self) -> None:
        """Have the thread end when it has done what was begun."""
        if self._is_started:
            self._todo.put(None)
            self._is_started = False

    def _run(self) -> None:
        while (do := self._todo.get()) is not None:
            do()


def _starts(work: Callable[[], None], name: str) -> bool:
    """Start a thread, if there is room for one more in memory and in the number of processes."""
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(jobs: Iterable[Iterable[T]], take: Callable[[T], None], threads: int) -> None:
    """Work out the results of jobs by several threads, the caller's among them, and hand each over to ``take``.

    That is called in the order of the jobs and of their results, by one thread at a time. Raises what a job or
    ``take`` raises, whichever comes first, and at once: what was taken by then is a beginning of all results. What a
    signal's handler raises here ends the threads, too.
    """
    turns = _Turns(jobs, take, 2 * threads)
    try:
        others = sum(_starts(turns.work, "in turn") for _ in range(threads - 1))
        turns.work()
        turns.wait(1 + others)
    except BaseException as error:
        turns.give_up(error)
        raise


class _Turns(Generic[T]):
    """Jobs that are done side by side, and whose turn it is to be handed over."""

    def __init__(self, jobs: Iterable[Iterable[T]], take: Callable[[T], None], most_ahead: int) -> None:
        self._jobs = enumerate(jobs)
        self._take = take
        self._most_ahead = most_ahead
        self._turn = 0
        self._finished: dict[int, list[T]] = {}
        """What is left to be handed over of jobs that were done before their turn, by their number."""
        self._ended = 0
        """Threads that have no more to do."""
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def work(self) -> None:
        """Do one job after another, while there are any."""
        try:
            for number, results in iter(self._next_job, None):
                self._do(number, results)
        except BaseException as error:  # noqa: BLE001 - see `wait`
            self.give_up(error)
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def wait(self, threads: int) -> None:
        """Return when so many threads have ended; after an error at once, since what they read may have no end."""
        with self._changed:
            self._wait_for(lambda: self._ended == threads)

    def give_up(self, error: BaseException) -> None:
        """Have all threads end."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _next_job(self) -> tuple[int, Iterable[T]] | None:
        with self._changed:
            job = next(self._jobs, None)
            if job is not None:
                self._wait_for(lambda: self._turn >= job[0] - self._most_ahead)
            return job

    def _do(self, number: int, results: Iterable[T]) -> None:
        ready: list[T] = []
        for result in results:
            ready.append(result)
            if len(ready) == _MOST_WAITING:
                with self._changed:
                    self._wait_for(lambda: self._turn == number)
            if self._turn == number:
                self._hand_over(ready)
        with self._changed:
            if self._turn != number:
                # Whoever's turn ends before this one hands it over.
                self._finished[number] = ready
                return
        self._hand_over(ready)
        self._end_turn()

    def _end_turn(self) -> None:
        ready: list[T] | None = []
        while ready is not None:
            self._hand_over(ready)
            with self._changed:
                self._turn += 1
                ready = self._finished.pop(self._turn, None)
                self._changed.notify_all()

    def _hand_over(self, ready: list[T]) -> None:
        self._check()
        for result in ready:
            self._take(result)
        ready.clear()

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: condition() or self._error is not None)
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
