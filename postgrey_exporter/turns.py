"""One thread works in turns, others ask for a turn and wait for its end, unless it takes long."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

SCRAPE_PATIENCE_SECONDS: Final = 2.0
"""How long a scrape waits for a reading that should have been a matter of milliseconds: the disk is slow."""
BUSY_PATIENCE_SECONDS: Final = 0.02
"""The same while the log grows so quickly that the reading before took long as well."""


class Turns:
    """The reading's turns, which scrapes wait for."""

    def __init__(self) -> None:
        """Begin between two turns."""
        self._changed = threading.Condition()
        self._asked = 0
        self._answered = 0
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

    def ask(self) -> None:
        """Have a turn begin, and wait for its end; not if it takes long."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            self.wake()
            patience = BUSY_PATIENCE_SECONDS if self._took_long else SCRAPE_PATIENCE_SECONDS
            self._changed.wait_for(lambda: self._taking_long or self._answered >= mine, patience)

    def begin(self) -> int:
        """Begin a turn: return how many have asked by now."""
        with self._changed:
            return self._asked

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for a turn."""
        with self._changed:
            return self._asked > self._answered

    def takes_long(self) -> None:
        """Let go those who wait, and until the end of the turn those who come."""
        with self._changed:
            self._taking_long = True
            self._changed.notify_all()

    def end(self, asked: int, *, following: bool) -> None:
        """End the turn for those who had asked at its begin; ``following`` tells it from the first reading."""
        with self._changed:
            self._answered = asked
            self._took_long = self._taking_long and following
            self._taking_long = False
            self._changed.notify_all()
