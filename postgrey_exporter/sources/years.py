"""The years of stamps without one, where a file reaches back farther than a year: counted back from its end.

A stamp without a year is of the latest year that does not put it after what stands behind it. Samples of a file tell
where the months go back: there a year has turned.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    StampReader = Callable[[bytes, float], float | None]
    """Returns the moment of a line's stamp; its year is the latest that does not put it after the other argument."""

DELAY_SECONDS: Final = 30 * 86400.0
"""How much later than the lines behind it a line may be stamped: other hosts' lines come late."""
_YEAR_SECONDS: Final = 366 * 86400.0
_SAMPLE: Final = 4096
_STEP: Final = 512
_MOST_SAMPLES: Final = 256


def no_stamp(_: bytes, __: float) -> float | None:
    """Read no stamp: all lines are of the last year."""
    return None


class Piece(NamedTuple):
    """A part of a file whose lines one date gives their years."""

    begin: int
    end: int
    seen_at: float
    """When its lines were there at the latest, in seconds since the epoch."""


def pieces(file: int, begin: int, end: int, seen_at: float, stamp: StampReader) -> list[Piece]:
    """Return the parts of an open plain file between two offsets, in their order; each begins with a line.

    ``seen_at`` is when its last line was there at the latest.
    """
    found: list[Piece] = []
    limit = latest = seen_at
    boundary = end
    for offset, line in _samples(file, begin, end):
        moment = stamp(line, latest)
        if moment is None:
            continue
        if latest == seen_at and stamp(line, seen_at - 2 * _YEAR_SECONDS) == moment:
            break  # stamps have their year here
        if stamp(line, limit) != moment:
            found.append(Piece(boundary, end, limit))
            end, limit = boundary, latest
        boundary, latest = offset, min(seen_at, moment + DELAY_SECONDS)
    return [Piece(begin, end, limit), *reversed(found)]


def _samples(file: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield lines of a file with their offsets, from its end to its begin."""
    step = max(_STEP, (end - begin) // _MOST_SAMPLES)
    for at in range(begin + (end - begin) // step * step, begin - 1, -step):
        content = os.pread(file, _SAMPLE, at)
        start = content.find(b"\n") + 1 if at > begin else 0
        line, newline, _ = content[start:].partition(b"\n")
        if newline and at + start < end:
            yield at + start, line
