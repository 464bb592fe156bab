"""The gate between scrapes and the thread that reads: a scrape waits for the end of a turn, unless it takes long."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple


class Patience(NamedTuple):
    """How many seconds a scrape waits for the end of a turn."""

    usual: float = 2.0
    """For a turn that should take milliseconds: the disk is slow."""
    busy: float = 0.02
    """After a turn that took long: the log grows quickly."""


class Asked(NamedTuple):
    """A turn that a scrape asked for."""

    ended: Future[None]
    """Done at the turn's end, or as soon as the turn is known to take long. All who asked for the turn share it."""
    patience: float
    """How many seconds it is worth waiting."""


class ScrapeGate:
    """The turns of the thread that reads. A turn's end is a future, so that waiting for it costs no thread."""

    def __init__(self, patience: Patience = Patience()) -> None:
        """Create the gate between two turns."""
        self._patience = patience
        self._changing = threading.Lock()
        self._next: Future[None] | None = None
        """The end of the next turn, if a scrape has asked for it."""
        self._running: Future[None] | None = None
        """The end of the running turn, if a scrape had asked for it."""
        self._taking_long = False
        self._took_long = False
        self._waking: SimpleQueue[None] = SimpleQueue()  # may be put to by a signal handler, unlike an Event

    def wake(self) -> None:
        """End the present `rest`, or the next one at once."""
        self._waking.put(None)

    def rest(self, seconds: float) -> None:
        """Wait until a scrape asks or the time is over."""
        with suppress(Empty):
            self._waking.get(timeout=seconds)
            while True:
                self._waking.get_nowait()

    def ask(self) -> Asked:
        """Ask for a turn that begins after this moment."""
        with self._changing:
            if self._next is None:
                self._next = Future()
            patience = self._patience.busy if self._took_long else self._patience.usual
            asked = Asked(self._next, 0.0 if self._taking_long else patience)
        self.wake()
        return asked

    def begin(self) -> bool:
        """Begin a turn; return whether a scrape asked for it."""
        with self._changing:
            self._running, self._next = self._next, None
            return self._running is not None

    @property
    def is_asked(self) -> bool:
        """Whether a scrape has asked for the next turn."""
        return self._next is not None

    def takes_long(self) -> None:
        """Release the scrapes that wait, and until the end of the turn those that come."""
        with self._changing:
            self._taking_long = True
            waiting = self._running, self._next
            # The next turn stays asked for.
            self._running, self._next = None, self._next and Future()
        _release(*waiting)

    def end(self, *, following: bool) -> None:
        """End the turn for those who had asked before it began; ``following`` is false for the first reading."""
        with self._changing:
            self._took_long = self._taking_long and following
            self._taking_long = False
            ended, self._running = self._running, None
        _release(ended)


def _release(*turns: Future[None] | None) -> None:
    for turn in turns:
        if turn is not None:
            turn.set_result(None)
