"""Work that would keep the event loop from others is done by a thread of its own, one piece after another."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from postgrey_exporter.pipeline.parallel import Background

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Elsewhere:
    """A thread that works for a loop. It does not keep the process from ending, as an executor's would."""

    def __init__(self) -> None:
        """Begin without the thread: it is started when there is something to do."""
        self._background = Background()

    def begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have something done; return what becomes its result. Several may await that, each in `asyncio.shield`."""
        done: Future[T] = Future()

        def do() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                done.set_exception(error)

        self._background.begin(do)
        return asyncio.wrap_future(done)
