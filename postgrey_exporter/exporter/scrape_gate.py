"""One thread works in turns; whoever asks for a turn is told of its end, unless it takes long."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

SCRAPE_PATIENCE_SECONDS: Final = 2.0
"""How long a scrape waits for a reading that should have been a matter of milliseconds: the disk is slow."""
BUSY_PATIENCE_SECONDS: Final = 0.02
"""How long it waits while the log grows so quickly that the reading before took long as well."""


class Asked(NamedTuple):
    """A turn that somebody asked for."""

    ended: Future[None]
    """Done at the turn's end, or as soon as it is known to take long; shared by all who asked for the same turn."""
    patience: float
    """How many seconds it is worth waiting."""


class Turns:
    """The reading's turns, which scrapes wait for. To wait costs no thread: a turn's end is a future."""

    def __init__(self) -> None:
        """Begin between two turns."""
        self._changing = threading.Lock()
        self._next: Future[None] | None = None
        """The end of the turn that begins next, where somebody has asked for it."""
        self._running: Future[None] | None = None
        """The end of the turn that has begun, where somebody had asked for it."""
        self._taking_long = False
        self._took_long = False
        self._waking: SimpleQueue[None] = SimpleQueue()  # may be put to by a signal handler, unlike an Event

    def wake(self) -> None:
        """End a `rest`, or the next one at once."""
        self._waking.put(None)

    def rest(self, seconds: float) -> None:
        """Wait until somebody asks or time is over."""
        with suppress(Empty):
            self._waking.get(timeout=seconds)
            while True:
                self._waking.get_nowait()

    def ask(self) -> Asked:
        """Have a turn begin after this moment."""
        with self._changing:
            if self._next is None:
                self._next = Future()
            patience = BUSY_PATIENCE_SECONDS if self._took_long else SCRAPE_PATIENCE_SECONDS
            asked = Asked(self._next, 0.0 if self._taking_long else patience)
        self.wake()
        return asked

    def begin(self) -> bool:
        """Begin a turn; tell whether somebody asked for it."""
        with self._changing:
            self._running, self._next = self._next, None
            return self._running is not None

    @property
    def is_asked(self) -> bool:
        """Whether somebody has asked for the next turn."""
        return self._next is not None

    def takes_long(self) -> None:
        """Let go those who wait, and until the end of the turn those who come."""
        with self._changing:
            self._taking_long = True
            waiting = self._running, self._next
            # The next turn stays asked for.
            self._running, self._next = None, self._next and Future()
        _release(*waiting)

    def end(self, *, following: bool) -> None:
        """End the turn for those who had asked at its begin; ``following`` tells it from the first reading."""
        with self._changing:
            self._took_long = self._taking_long and following
            self._taking_long = False
            ended, self._running = self._running, None
        _release(ended)


def _release(*turns: Future[None] | None) -> None:
    for turn in turns:
        if turn is not None:
            turn.set_result(None)
