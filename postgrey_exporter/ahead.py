"""Work done by other threads, its results taken in order: how a large log is read by more than one core."""

from __future__ import annotations

import os
import threading
from collections import deque
from queue import Queue
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

T = TypeVar("T")

_MOST_WAITING: Final = 64
"""Results of one job that wait to be taken."""
_END: Final = object()


class _Job(Generic[T]):
    """One job's results as they come, and what ended them."""

    def __init__(self, results: Iterable[T]) -> None:
        self._results = results
        self._ready: Queue[T | object] = Queue(_MOST_WAITING)
        self._error: BaseException | None = None
        self._is_given_up = False

    def work(self) -> None:
        try:
            for result in self._results:
                if self._is_given_up:
                    break
                self._ready.put(result)
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            self._error = error
        self._ready.put(_END)

    def taken(self) -> Iterator[T]:
        while (result := self._ready.get()) is not _END:
            yield result  # type: ignore[misc] # all but the end is a result
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Let go the thread that works on it, which may wait for room."""
        self._is_given_up = True
        while not self._ready.empty():
            self._ready.get()


class Background:
    """A thread that does one thing after another for its owner, who does something else meanwhile."""

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

        if not self._is_started:
            threading.Thread(target=self._run, name="background", daemon=True).start()
            self._is_started = True
        self._todo.put(do)
        return result

    def close(self) -> None:
        """Have the thread end when it has done what was begun."""
        if self._is_started:
            self._todo.put(None)
            self._is_started = False

    def _run(self) -> None:
        while (do := self._todo.get()) is not None:
            do()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(jobs: Iterable[Iterable[T]], threads: int) -> Generator[Iterator[T], None, None]:
    """Yield each job's results, in the order of the jobs; each is to be gone through before the next one.

    They are worked out by some threads, a few jobs ahead. What a job raises is raised where its results end.
    """
    todo: Queue[_Job[T] | None] = Queue()
    begun: deque[_Job[T]] = deque()

    def work() -> None:
        while (job := todo.get()) is not None:
            job.work()

    for _ in range(threads):
        threading.Thread(target=work, name="ahead", daemon=True).start()
    try:
        for results in jobs:
            begun.append(_Job(results))
            todo.put(begun[-1])
            # Some are begun while the first one's results are taken, and some are done: no thread waits.
            if len(begun) > threads + 1:
                yield begun[0].taken()
                begun.popleft()
        while begun:
            yield begun[0].taken()
            begun.popleft()
    finally:
        for job in begun:
            job.give_up()
        for _ in range(threads):
            todo.put(None)
