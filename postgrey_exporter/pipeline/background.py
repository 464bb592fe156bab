"""Work that is done by a thread of its own, one piece after another, while its owner does something else."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from postgrey_exporter.pipeline.parallel import starts

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")


class Background(Executor):
    """A thread that never keeps the process from ending, even in the middle of its work.

    Those of a `ThreadPoolExecutor` do: Python waits for them at its end, and one may read from a disk that is gone.
    While there is no room for one more thread, the owner does the work.
    """

    def __init__(self) -> None:
        """Begin without the thread: it is started when there is something to do."""
        self._is_started = False
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

        self._is_started = self._is_started or starts(self._run, "background")
        if self._is_started:
            self._todo.put(do)
        else:
            do()
        return done

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base class's
        """Have the thread end when it has done what was begun; don't wait for that."""
        if self._is_started:
            self._todo.put(None)
            self._is_started = False

    def _run(self) -> None:
        while (do := self._todo.get()) is not None:
            do()
            del do  # it holds what was done
