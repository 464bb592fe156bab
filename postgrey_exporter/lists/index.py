"""Which entry covers a client: all lists compiled into look-ups that don't grow with the number of entries.

The answer is the one that trying every entry in postgrey's order would give: names and patterns of all whitelist
files first, in file order, then their networks (smtpd_access_policy in postgrey 1.37), then the ignore files.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from postgrey_exporter.lists.content import ListKind, Name
from postgrey_exporter.lists.netaddr import Network
from postgrey_exporter.lists.networks import NetworkIndex
from postgrey_exporter.lists.perl.clientpattern import ClientPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postgrey_exporter.lists.content import Entry, ListContent
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


class _Suffix:
    """The entries that a name has by ending in certain labels."""

    __slots__ = ("ignored", "listed", "patterns")

    def __init__(self) -> None:
        self.listed = _NONE
        """Position of the whitelist's first entry of exactly these labels."""
        self.ignored = _NONE
        """The same for the ignore files."""
        self.patterns: tuple[_Pattern, ...] = ()
        """Patterns whose names end like this."""


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
        self._entries: list[tuple[ListKind, str, Entry]] = [
            *(("whitelist", content.file, entry) for content in whitelist for entry in content.entries),
            *(("ignore", content.file, entry) for content in ignore for entry in content.entries),
        ]
        self._suffixes: dict[bytes, _Suffix] = {}
        self._pieces: dict[tuple[int, int], _Piece] = {}
        self._unplaced: list[tuple[bytes, _Pattern]] = []
        networks: list[tuple[int, Network]] = []
        for position, (kind, _, entry) in enumerate(self._entries):
            if isinstance(entry.covers, Network):
                networks.append((position, entry.covers))
            else:
                self._place(position, kind, entry.covers)
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
        suffix = self._suffixes.get(lowered)
        listed, ignored, pieces = known.listed, known.ignored, known.pieces
        patterns: Sequence[_Pattern] = known.patterns
        if suffix is not None:
            listed = min(listed, suffix.listed)
            ignored = min(ignored, suffix.ignored)
            patterns = _merged(patterns, suffix.patterns)
        for piece in pieces:
            found = piece.patterns.get(lowered[-piece.from_end : len(lowered) - piece.to_end])
            if found:
                patterns = _merged(patterns, found)
        if self._unplaced:
            found = [pattern for needle, pattern in self._unplaced if needle in lowered]
            patterns = _merged(patterns, found)
        if patterns:
            listed = _first_match(patterns, listed, name, lowered)
        if listed == _NONE:
            listed = self._networks.first(client_address, _NONE)
        position = listed if listed != _NONE else ignored
        if position == _NONE:
            return None
        return self._covers.get(position) or self._cover(position)

    def _cover(self, position: int) -> Cover:
        kind, file, entry = self._entries[position]
        cover = self._covers[position] = Cover(kind, file, entry.line, entry.text)
        return cover

    def _learn(self, parent: bytes) -> _Known:
        """Work out what is known of a parent domain, and remember it: names share few of them."""
        if len(self._parents) >= _MOST_PARENTS:
            self._parents.clear()
        known = self._parents[parent] = self._work_out(parent)
        return known

    def _work_out(self, parent: bytes) -> _Known:
        listed = ignored = _NONE
        patterns: list[_Pattern] = []
        start = 0 if parent is not _NO_PARENT else -1
        while start >= 0:
            suffix = self._suffixes.get(parent[start:])
            if suffix is not None:
                listed = min(listed, suffix.listed)
                ignored = min(ignored, suffix.ignored)
                patterns += suffix.patterns
            dot = parent.find(b".", start)
            start = dot + 1 if dot >= 0 else -1
        undecided: list[_Piece] = []
        for piece in self._pieces.values():
            if piece.from_end <= len(parent):
                patterns += piece.patterns.get(parent[-piece.from_end : len(parent) - piece.to_end], ())
            else:
                undecided.append(piece)
        return _Known(listed, ignored, tuple(sorted(patterns, key=_position)), tuple(undecided))

    def _place(self, position: int, kind: ListKind, covers: Name | ClientPattern) -> None:
        if isinstance(covers, Name):
            suffix = self._suffixes.setdefault(covers.labels, _Suffix())
            if kind == "whitelist":
                suffix.listed = min(suffix.listed, position)
            else:
                suffix.ignored = min(suffix.ignored, position)
        else:
            pattern = (position, covers)
            if covers.tails is None or not all(self._place_tail(pattern, tail) for tail in covers.tails):
                self._unplaced.append((covers.needle, pattern))

    def _place_tail(self, pattern: _Pattern, tail: Tail) -> bool:
        text = tail.literal_end()
        labels = text if tail.is_whole and len(text) == len(tail.places) else text.partition(b".")[2]
        if len(labels) >= _SHORTEST_SUFFIX or labels == text:
            self._suffixes.setdefault(labels, _Suffix()).patterns += (pattern,)
            return True
        run, to_end = tail.longest_run()
        if not run:
            return False
        length = min(len(run), _LONG_PIECE if len(run) >= _LONG_PIECE else _SHORT_PIECE)
        from_end = to_end + length
        piece = self._pieces.setdefault((from_end, to_end), _Piece(from_end, to_end, {}))
        piece.patterns.setdefault(run[-length:], []).append(pattern)
        return True


def _merged(first: Sequence[_Pattern], second: Sequence[_Pattern]) -> Sequence[_Pattern]:
    """Return the patterns of both in the order of the lists."""
    if not second:
        return first
    return sorted([*first, *second], key=_position) if first else sorted(second, key=_position)


def _first_match(patterns: Sequence[_Pattern], limit: int, name: bytes, lowered: bytes) -> int:
    """Return the position of the first pattern before a position that matches, or else that position."""
    for position, pattern in patterns:
        if position >= limit:
            break
        if pattern.matches(name, lowered):
            return position
    return limit
