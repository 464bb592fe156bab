"""What goes wrong on account of strangers is logged once, not as often as they like."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

_log = logging.getLogger(__name__)

QUIET_SECONDS: Final = 60.0
"""After so long without it, a trouble is over; when it comes again, it is logged again."""
_MOST: Final = 100
"""Troubles that are told apart; what is beyond is not logged."""


class Sayings:
    """The troubles that were logged. For the loop's thread alone."""

    def __init__(self) -> None:
        """Begin without trouble."""
        self._last: dict[Hashable, float] = {}

    def say(self, trouble: Hashable, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log a trouble that begins; one that goes on is only noted. An error is logged with where it came from."""
        now = asyncio.get_running_loop().time()
        self._last = {key: last for key, last in self._last.items() if last > now - QUIET_SECONDS}
        is_new = trouble not in self._last and len(self._last) < _MOST
        if is_new:
            _log.error(message, *values, exc_info=error)
        if is_new or trouble in self._last:
            self._last[trouble] = now
