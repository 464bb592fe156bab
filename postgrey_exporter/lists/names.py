"""Names and patterns by the names they are about: look-ups that don't grow with the number of entries.

What all hosts below a domain have in common is worked out once and remembered: a pool and a provider's customers
have many hosts below a few names, and most domains are in no list at all.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.lists.needles import NeedleIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from postgrey_exporter.lists.needles import Pattern
    from postgrey_exporter.lists.usual import Tail

NOWHERE: Final = 1 << 62
"""The position of no entry, after that of every entry."""
LONGEST_VALUE: Final = 512
"""Bytes of a policy attribute that postgrey keeps (mux_input)."""
LONGEST_LABEL: Final = 63
"""Bytes of a label of a host name (RFC 1035, section 2.3.4)."""

_MOST_PARENTS: Final = 50_000
"""Parent domains remembered: more than a week of mail has."""
_LONG_PIECE: Final = 8
_SHORT_PIECE: Final = 4
_SHORTEST_SUFFIX: Final = 5
_position: Final = itemgetter(0)
_from_end: Final = attrgetter("from_end")


class _Piece(NamedTuple):
    """Patterns by a piece of text that their names have at one place, counted from the end."""

    from_end: int
    to_end: int
    patterns: dict[bytes, list[Pattern]]


class Known(NamedTuple):
    """What is known of every name that is one label, a dot and a certain parent domain."""

    listed: int
    ignored: int
    patterns: tuple[Pattern, ...]
    """In the order of their positions."""
    decided: int
    """So many pieces lie within the parent; the others are still to be looked at."""


class NameIndex:
    """The names of whitelists and ignore files and the whitelists' patterns, each with its position in the lists."""

    def __init__(
        self,
        listed: Iterable[tuple[bytes, int]],
        ignored: Iterable[tuple[bytes, int]],
        patterns: Iterable[Pattern],
    ) -> None:
        """Take names (see `content.Name`) and patterns in the order of their positions."""
        self._listed: dict[bytes, int] = {}
        self._ignored: dict[bytes, int] = {}
        for names, given in ((self._listed, listed), (self._ignored, ignored)):
            for labels, position in given:
                names.setdefault(labels, position)
        self._by_suffix: dict[bytes, list[Pattern]] = {}
        pieces: dict[tuple[int, int], _Piece] = {}
        self._unplaced = NeedleIndex([pattern for pattern in patterns if not self._is_placed(pattern, pieces)])
        self._pieces = sorted(pieces.values(), key=_from_end)
        self._from_ends = [piece.from_end for piece in self._pieces]
        self._nothing = [Known(NOWHERE, NOWHERE, (), decided) for decided in range(len(pieces) + 1)]
        """What is known below domains that no name and no suffix is about, by the number of pieces decided."""
        self._parents: dict[bytes, Known] = {}
        self._parents_of_entries: frozenset[bytes] | None = None
        self._domains_of_entries: frozenset[bytes] | None = None

    def first(self, client_name: str) -> tuple[int, int]:
        """Return the positions of the first whitelist and ignore entry about a name, or `NOWHERE`."""
        name = client_name.encode("utf-8", "surrogateescape")
        if len(name) > LONGEST_VALUE or b"\n" in name:
            # A line end ends the attribute: postgrey never sees the rest.
            name = name[:LONGEST_VALUE].partition(b"\n")[0]
        lowered = name.lower()
        parent = lowered.partition(b".")[2]
        return self._first(name, lowered, self._parents.get(parent) or self._learn(parent))

    def firsts(self, client_names: Sequence[str]) -> list[tuple[int, int, int]]:
        """Return each of many names that an entry is about: its index, and its two positions as in `first`."""
        joined = "\n".join(client_names).encode("utf-8", "surrogateescape")
        names = joined.split(b"\n")
        if len(names) != len(client_names) or len(max(names, key=len, default=b"")) > LONGEST_VALUE:
            found = [(index, *self.first(name)) for index, name in enumerate(client_names)]
        else:
            found = self._firsts(names, joined.lower())
        return [one for one in found if one[1:] != (NOWHERE, NOWHERE)]

    def may_concern_below(self, parent: str) -> bool:
        """Tell whether an entry may be about a label of up to `LONGEST_LABEL` bytes, a dot and ``parent``."""
        name = parent.encode("utf-8", "surrogateescape").lower()
        if self._unplaced or b"\n" in name or len(name) >= LONGEST_VALUE - LONGEST_LABEL:
            return True
        if self._parents_of_entries is None:
            self._parents_of_entries = frozenset(name.partition(b".")[2] for name in self._entries())
        if name in self._parents_of_entries:
            return True
        return (self._parents.get(name) or self._learn(name)) is not self._nothing[-1]

    def firsts_in(self, domain: str) -> tuple[int, int] | None:
        """Return what `first` does for every host name in a domain; ``None`` where it depends on the name.

        A whitelist's entry that is about all of them need not be the first one.
        """
        name = domain.encode("utf-8", "surrogateescape").lower()
        if self._domains_of_entries is None:
            self._domains_of_entries = frozenset(chain.from_iterable(map(_domains_above, self._entries())))
        known = self._parents.get(name) or self._learn(name)
        if known.listed == NOWHERE and (name in self._domains_of_entries or not self._is_settled(known)):
            return None
        return known.listed, known.ignored

    def _entries(self) -> Iterator[bytes]:
        """Yield the names that entries are about, and those that all hosts of an entry are below."""
        return chain(self._listed, self._ignored, self._by_suffix)

    def _is_settled(self, known: Known) -> bool:
        """Tell whether there are no patterns that a name may match beside what is known below its parent domain."""
        return not (known.patterns or self._unplaced) and known.decided == len(self._pieces)

    def _firsts(self, names: list[bytes], joined: bytes) -> list[tuple[int, int, int]]:
        lowered = joined.split(b"\n")
        parents = [name.partition(b".")[2] for name in lowered]
        unconcerned = self._nothing[-1]
        concerned: dict[int, Known] = {}
        for index, (parent, about) in enumerate(zip(parents, map(self._parents.get, parents), strict=True)):
            if about is not unconcerned:
                known = about or self._learn(parent)
                if known is not self._nothing[known.decided] or self._has_piece(lowered[index], known.decided):
                    concerned[index] = known
        others: set[int] = self._unplaced.containing(lowered, joined) if self._unplaced else set()
        in_full = self._listed.keys() & lowered | self._ignored.keys() & lowered | self._by_suffix.keys() & lowered
        if in_full:
            others.update(index for index, name in enumerate(lowered) if name in in_full)
        for index in others - concerned.keys():
            concerned[index] = self._parents.get(parents[index]) or self._learn(parents[index])
        # Who has no verified name is called ``unknown``: one name for many clients.
        seen: dict[bytes, tuple[int, int]] = {}
        found: list[tuple[int, int, int]] = []
        for index, known in concerned.items():
            name = names[index]
            positions = seen.get(name)
            if positions is None:
                positions = seen[name] = self._first(name, lowered[index], known)
            found.append((index, *positions))
        return found

    def _first(self, name: bytes, lowered: bytes, known: Known) -> tuple[int, int]:
        listed = min(known.listed, self._listed.get(lowered, NOWHERE))
        patterns = known.patterns
        if self._unplaced or known.decided < len(self._pieces) or lowered in self._by_suffix:
            patterns = self._with_whole_name(lowered, known)
        for position, pattern in patterns:
            if position >= listed:
                break
            if pattern.matches(name, lowered):
                listed = position
                break
        return listed, min(known.ignored, self._ignored.get(lowered, NOWHERE))

    def _has_piece(self, name: bytes, decided: int) -> bool:
        pieces = self._pieces[decided:]
        return any(name[-from_end : len(name) - to_end] in patterns for from_end, to_end, patterns in pieces)

    def _with_whole_name(self, lowered: bytes, known: Known) -> tuple[Pattern, ...]:
        """Return the patterns that a name may match, beyond those that its parent alone tells of."""
        found = [*known.patterns, *self._by_suffix.get(lowered, ())]
        for from_end, to_end, patterns in self._pieces[known.decided :]:
            found += patterns.get(lowered[-from_end : len(lowered) - to_end], ())
        if self._unplaced:
            found += self._unplaced.patterns(lowered)
        return tuple(sorted(found, key=_position)) if len(found) > 1 else tuple(found)

    def _learn(self, parent: bytes) -> Known:
        """Work out what is known of a parent domain from what is known of the one above it, and remember both."""
        parents = self._parents
        dot = parent.find(b".") + 1
        above = (parents.get(parent[dot:]) or self._learn(parent[dot:])) if dot else self._nothing[0]
        if len(parents) >= _MOST_PARENTS:
            parents.clear()
        known = parents[parent] = self._below(parent, above)
        return known

    def _below(self, suffix: bytes, above: Known) -> Known:
        is_about = suffix in self._listed or suffix in self._ignored or suffix in self._by_suffix
        decided = above.decided
        if not is_about and decided == len(self._pieces):
            return above
        listed = self._listed.get(suffix, NOWHERE)
        ignored = self._ignored.get(suffix, NOWHERE)
        placed = self._by_suffix.get(suffix, ())
        if decided < len(self._pieces):
            decided = bisect_right(self._from_ends, len(suffix))
            for from_end, to_end, patterns in self._pieces[above.decided : decided]:
                placed = [*placed, *patterns.get(suffix[-from_end : len(suffix) - to_end], ())]
        if above is self._nothing[above.decided] and listed == ignored == NOWHERE and not placed:
            return self._nothing[decided]
        return Known(
            min(listed, above.listed),
            min(ignored, above.ignored),
            tuple(sorted([*above.patterns, *placed], key=_position)),
            decided,
        )

    def _is_placed(self, pattern: Pattern, pieces: dict[tuple[int, int], _Piece]) -> bool:
        found = pattern[1].tails
        return bool(found) and all(self._place_tail(pattern, tail, pieces) for tail in found)

    def _place_tail(self, pattern: Pattern, tail: Tail, pieces: dict[tuple[int, int], _Piece]) -> bool:
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
        piece = pieces.setdefault((from_end, to_end), _Piece(from_end, to_end, {}))
        piece.patterns.setdefault(run[-length:], []).append(pattern)
        return True


def _domains_above(name: bytes) -> Iterator[bytes]:
    """Yield the domains that a name lies in: ``example.com`` and ``com`` for ``mx.example.com``."""
    while name:
        name = name.partition(b".")[2]
        yield name
