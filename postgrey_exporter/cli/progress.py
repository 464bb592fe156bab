"""A progress line on standard error: how far, and how fast. Only on a terminal, and only when the work is long."""

from __future__ import annotations

import sys
import time
from typing import Final

_QUIET_SECONDS: Final = 1.0
_EVERY_SECONDS: Final = 0.2
_MEGABYTE: Final = 1_000_000
_WIDTH: Final = 30


class Progress:
    """Call it with the bytes that were read; close it when the work is done."""

    def __init__(self, total: int | None) -> None:
        """Take how many bytes there are to read; ``None`` where nobody knows."""
        self._total = total
        self._done = 0
        self._started = self._shown = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._visible = False
        self._longest = 0

    def __call__(self, count: int) -> None:
        """Note that some more bytes were read."""
        self._done += count
        now = time.monotonic()
        if self._wanted and now - self._started > _QUIET_SECONDS and now - self._shown > _EVERY_SECONDS:
            self._shown = now
            self._visible = True
            done = self._done / _MEGABYTE
            text = f"{self._bar()}{done:,.0f} MB, {done / (now - self._started):,.0f} MB/s"
            # Blanks wipe what is left of the last one; not every terminal knows an escape for it.
            sys.stderr.write(f"\r{text:<{self._longest}}")
            self._longest = max(self._longest, len(text))
            sys.stderr.flush()

    def close(self) -> None:
        """Wipe the line."""
        if self._visible:
            sys.stderr.write(f"\r{'':{self._longest}}\r")
            sys.stderr.flush()

    def _bar(self) -> str:
        if not self._total:
            return ""
        share = min(1.0, self._done / self._total)
        return f"[{'#' * round(share * _WIDTH):<{_WIDTH}}] {share:4.0%} "
