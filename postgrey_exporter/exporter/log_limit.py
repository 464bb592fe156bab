"""What is logged once, however often it happens."""

from __future__ import annotations

import asyncio
import threading
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


def limit_for_strangers() -> LogLimit:
    """Return a limit on what strangers can make the exporter log; for use inside an event loop."""
    return LogLimit(lambda: asyncio.get_running_loop().time(), quiet_seconds=60.0, most=100)


class LogLimit:
    """What the log says already about each subject. For any number of threads."""

    def __init__(
        self, clock: Callable[[], float] = lambda: 0.0, *, quiet_seconds: float = inf, most: float = inf
    ) -> None:
        """Create the limit for a log that says nothing yet.

        A subject that doesn't come up for ``quiet_seconds`` is over. Beyond the ``most`` subjects nothing is news.
        """
        self._clock = clock
        self._quiet_seconds = quiet_seconds
        self._most = most
        self._changing = threading.Lock()
        self._said: dict[Hashable, tuple[Hashable, float]] = {}
        """By subject: its state, and when it came up last."""

    def is_news(self, subject: Hashable, state: Hashable = None) -> bool:
        """Record the state of a subject; return whether the log doesn't say so yet."""
        with self._changing:
            now = self._clock()
            self._said = {one: said for one, said in self._said.items() if now - said[1] < self._quiet_seconds}
            before = self._said.get(subject)
            if before is None and len(self._said) >= self._most:
                return False
            self._said[subject] = state, now
            return before is None or before[0] != state

    def is_over(self, subject: Hashable) -> bool:
        """Forget a subject; return whether the log says something about it."""
        with self._changing:
            return self._said.pop(subject, None) is not None

    def is_empty(self) -> bool:
        """Return whether no subject is left."""
        return not self._said
