"""Which entry covers a client: all lists compiled into look-ups that don't grow with the number of entries.

The answer is the one that trying every entry in postgrey's order would give: names and patterns of all whitelist
files first, in file order, then their networks (smtpd_access_policy in postgrey 1.37), then the ignore files.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from postgrey_exporter.lists.content import Name
from postgrey_exporter.lists.netaddr import Network
from postgrey_exporter.lists.networks import NetworkIndex
from postgrey_exporter.lists.perl.clientpattern import ClientPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postgrey_exporter.lists.content import ListContent, ListKind
    from postgrey_exporter.lists.perl.tails import Tail

_LONGEST_VALUE: Final = 512
"""Bytes of a policy attribute that postgrey keeps (mux_input)."""
_NONE: Final = 1 << 62
"""The position of no entry, after that of every entry."""
_MOST_PARENTS: Final = 50_000
"""Parent domains remembered: more than a week of mail has."""
_NO_PARENT: Final = b"\n"
"""Stands for the parent of a name without a dot; no name has a line end."""
_LONG_PIECE: Final = 8
_SHORT_PIECE: Final = 4
_SHORTEST_SUFFIX: Final = 5
_position: Final = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Cover:
    """The entry that covers a client."""

    list: ListKind
    file: str
    line: int
    entry: str
    """As it stands in the file."""


_Pattern: TypeAlias = tuple[int, ClientPattern]
"""A pattern and its position in the lists."""


class _Piece(NamedTuple):
    """Patterns by a piece of text that their names have at one place, counted from the end."""

    from_end: int
    to_end: int
    patterns: dict[bytes, list[_Pattern]]


class _Known(NamedTuple):
    """What is known of every name that ends in a dot and a certain parent domain."""

    listed: int
    ignored: int
    patterns: tuple[_Pattern, ...]
    pieces: tuple[_Piece, ...]
    """What is still to be looked at: the pieces that begin before the parent."""


class Lists:
    """An immutable set of lists that tells what covers a client.

    The one thing that changes is that a pattern which took too long is out of use from then on.
    """

    def __init__(self, whitelist: Sequence[ListContent] = (), ignore: Sequence[ListContent] = ()) -> None:
        """Compile files in the order in which postgrey reads them."""
        self._contents: list[tuple[ListKind, ListContent]] = [
            *(("whitelist", content) for content in whitelist),
            *(("ignore", content) for content in ignore),
        ]
        self._starts = [0, *accumulate(len(content.entries) for _, content in self._contents)]
        """The position of the first entry of each file; the last is the number of all entries."""
        self._listed: dict[bytes, int] = {}
        self._ignored: dict[bytes, int] = {}
        self._by_suffix: dict[bytes, list[_Pattern]] = {}
        self._pieces: dict[tuple[int, int], _Piece] = {}
        self._unplaced: list[tuple[bytes, _Pattern]] = []
        networks: list[tuple[int, Network]] = []
        for (kind, content), start in zip(self._contents, self._starts, strict=False):
            names = self._listed if kind == "whitelist" else self._ignored
            for position, (_, _, covers) in enumerate(content.entries, start):
                if isinstance(covers, Name):
                    names.setdefault(covers.labels, position)
                elif isinstance(covers, Network):
                    networks.append((position, covers))
                else:
                    self._place((position, covers))
        self._networks = NetworkIndex(networks)
        self._covers: dict[int, Cover] = {}
        self._parents: dict[bytes, _Known] = {}

    def covers(self, client_name: str, client_address: str) -> Cover | None:
        """Return the entry that covers a client; ``None`` where none does.

        Both are what Postfix tells postgrey: the verified name, or ``unknown``, and the address.
        """
        name = client_name.encode("utf-8", "surrogateescape")
        if len(name) > _LONGEST_VALUE or b"\n" in name:
            # A line end ends the attribute: postgrey never sees the rest.
            name = name[:_LONGEST_VALUE].partition(b"\n")[0]
        lowered = name.lower()
        dot = lowered.find(b".") + 1
        parent = lowered[dot:] if dot else _NO_PARENT
        known = self._parents.get(parent) or self._learn(parent)
        listed, ignored, patterns, pieces = known
        place = self._listed.get(lowered, _NONE)
        listed = min(listed, place)
        if lowered in self._by_suffix or pieces or self._unplaced:
            patterns = self._with_whole_name(lowered, known)
        if patterns:
            listed = _first_match(patterns, listed, name, lowered)
        if listed == _NONE:
            listed = self._networks.first(client_address, _NONE)
        if listed != _NONE:
            return self._covers.get(listed) or self._cover(listed)
        position = min(ignored, self._ignored.get(lowered, _NONE))
        if position == _NONE:
            return None
        return self._covers.get(position) or self._cover(position)

    def _cover(self, position: int) -> Cover:
        index = bisect_right(self._starts, position) - 1
        kind, content = self._contents[index]
        entry = content.entries[position - self._starts[index]]
        cover = self._covers[position] = Cover(kind, content.file, entry.line, entry.text)
        return cover

    def _with_whole_name(self, lowered: bytes, known: _Known) -> tuple[_Pattern, ...]:
        """Return the patterns that a name may match, beyond those that its parent alone tells of."""
        found = [*known.patterns, *self._by_suffix.get(lowered, ())]
        for from_end, to_end, patterns in known.pieces:
            found += patterns.get(lowered[-from_end : len(lowered) - to_end], ())
        if self._unplaced:
            found += [pattern for needle, pattern in self._unplaced if needle in lowered]
        return tuple(sorted(found, key=_position)) if len(found) > 1 else tuple(found)

    def _learn(self, parent: bytes) -> _Known:
        """Work out what is known of a parent domain, and remember it: names share few of them."""
        if len(self._parents) >= _MOST_PARENTS:
            self._parents.clear()
        known = self._parents[parent] = self._work_out(parent)
        return known

    def _work_out(self, parent: bytes) -> _Known:
        if parent == _NO_PARENT:
            return _Known(_NONE, _NONE, (), tuple(self._pieces.values()))
        listed = ignored = _NONE
        patterns: list[_Pattern] = []
        start = 0
        while start >= 0:
            suffix = parent[start:]
            listed = min(listed, self._listed.get(suffix, _NONE))
            ignored = min(ignored, self._ignored.get(suffix, _NONE))
            patterns += self._by_suffix.get(suffix, ())
            dot = parent.find(b".", start)
            start = dot + 1 if dot >= 0 else -1
        undecided: list[_Piece] = []
        for piece in self._pieces.values():
            if piece.from_end <= len(parent):
                patterns += piece.patterns.get(parent[-piece.from_end : len(parent) - piece.to_end], ())
            else:
                undecided.append(piece)
        return _Known(listed, ignored, tuple(sorted(patterns, key=_position)), tuple(undecided))

    def _place(self, pattern: _Pattern) -> None:
        found = pattern[1].tails
        if found is None or not all(self._place_tail(pattern, tail) for tail in found):
            self._unplaced.append((pattern[1].needle, pattern))

    def _place_tail(self, pattern: _Pattern, tail: Tail) -> bool:
        text = tail.literal_end()
        is_whole_name = tail.is_whole and len(text) == len(tail.places)
        labels = text if is_whole_name else text.partition(b".")[2]
        if is_whole_name or len(labels) >= _SHORTEST_SUFFIX:
            self._by_suffix.setdefault(labels, []).append(pattern)
            return True
        run, to_end = tail.longest_run()
        if not run:
            return False
        length = min(len(run), _LONG_PIECE if len(run) >= _LONG_PIECE else _SHORT_PIECE)
        from_end = to_end + length
        piece = self._pieces.setdefault((from_end, to_end), _Piece(from_end, to_end, {}))
        piece.patterns.setdefault(run[-length:], []).append(pattern)
        return True


def _first_match(patterns: Sequence[_Pattern], limit: int, name: bytes, lowered: bytes) -> int:
    """Return the position of the first pattern before a position that matches, or else that position."""
    for position, pattern in patterns:
        if position >= limit:
            break
        if pattern.matches(name, lowered):
            return position
    return limit
