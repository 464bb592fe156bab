"""Patterns that don't tell how their names end, by a text that every such name contains.

Few of them are looked for one by one in many names at once. Of many, only those are looked for of which a name has
the one piece that is rarest among them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.lists.patterns import ClientPattern

Pattern: TypeAlias = "tuple[int, ClientPattern]"
"""A pattern and its position in the lists."""

_FEW: Final = 20
"""So many texts are found as quickly as the pieces of a name."""
_PIECE: Final = 4


class NeedleIndex:
    """Patterns without a place, each by its needles (see `ClientPattern.needles`); some have none."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        """Take patterns in the order of their positions."""
        self._needles: dict[bytes, list[Pattern]] = {}
        patterns = list(patterns)
        shared = Counter(needle for _, pattern in patterns for branch in pattern.needles for needle in branch)
        for pattern in patterns:
            for branch in pattern[1].needles or ((b"",),):
                # What many patterns ask for, such as ``.example.com``, many names have.
                needle = min(branch, key=lambda text: (shared[text], -len(text)))
                self._needles.setdefault(needle, []).append(pattern)
        self._always = set(self._needles)
        """Those to be looked for in every name; the empty one is in all of them."""
        self._by_piece: dict[bytes, list[bytes]] = {}
        if len(self._needles) > _FEW:
            self._sort_by_piece()

    def __bool__(self) -> bool:
        """Tell whether there are any patterns."""
        return bool(self._needles)

    def patterns(self, name: bytes) -> list[Pattern]:
        """Return the patterns whose needle a lower-case name contains, in no order."""
        sought = chain(self._always, self._likely(name))
        return [pattern for needle in sought if needle in name for pattern in self._needles[needle]]

    def containing(self, names: Sequence[bytes], joined: bytes) -> set[int]:
        """Return which of many names contain a needle, as indices; ``joined`` are the same, a line each."""
        if b"" in self._always:
            return set(range(len(names)))
        found: set[int] = set()
        if self._by_piece:
            found.update(index for index, name in enumerate(names) if any(map(name.__contains__, self._likely(name))))
        ends: list[int] = []
        for needle in self._always:
            at = joined.find(needle)
            while at >= 0:
                ends = ends or list(accumulate(len(name) + 1 for name in names))
                index = bisect_right(ends, at)
                found.add(index)
                at = joined.find(needle, ends[index])
        return found

    def _likely(self, name: bytes) -> Iterable[bytes]:
        if not self._by_piece:
            return ()
        pieces = self._by_piece.keys() & _pieces(name)
        return chain.from_iterable(self._by_piece[piece] for piece in pieces)

    def _sort_by_piece(self) -> None:
        frequency = Counter(chain.from_iterable(map(_pieces, self._needles)))
        self._always = {needle for needle in self._needles if len(needle) < _PIECE}
        for needle in self._needles.keys() - self._always:
            rarest = min(sorted(_pieces(needle)), key=frequency.__getitem__)
            self._by_piece.setdefault(rarest, []).append(needle)


def _pieces(text: bytes) -> set[bytes]:
    return {text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1)}
