"""Whether lists cover everything already that a new entry would: then it would be a duplicate.

Names and patterns are put to the lists themselves (`lists.Lists`, as `explain` does) by names that stand for all
that the entry covers. An entry that can't be told is taken for new: one too many does no harm.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists import Cover, Lists
from postgrey_exporter.lists.content import Name
from postgrey_exporter.lists.netaddr import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from postgrey_exporter.lists import ListContent, ListKind
    from postgrey_exporter.lists.content import Entry
    from postgrey_exporter.lists.usual import Tail

_HOSTS: Final = ("q.", "mail-0-0.z.", "x_1.a.b.c.7.", "o1.", "192-0-2-1.")
"""What can stand before a domain: hosts so different that an entry which covers them all covers any."""
_BEGINNINGS: Final = ("", "q", "mail-0-0.z", "x_1.a.b.c.7", ".", "192-0-2-1")
"""The same before any text."""


class Coverage:
    """What some lists say, asked whether it makes an entry superfluous."""

    def __init__(self, contents: Mapping[ListKind, list[ListContent]]) -> None:
        """Take what the files say that count, in their order."""
        self._lists = Lists(contents.get("whitelist", ()), contents.get("ignore", ()))
        self._entries = [
            (kind, content.file, entry)
            for kind, files in contents.items()
            for content in files
            for entry in content.entries
        ]

    def of(self, entry: Entry) -> Cover | None:
        """Return an entry that covers, alone or among others, all that a new one would; ``None`` for none."""
        for kind, file, known in self._entries:
            if known.text == entry.text or _holds(known.covers, entry.covers):
                return Cover(kind, file, known.line, known.text)
        covers = [self._lists.covers(name, "") for name in _examples(entry)]
        return covers[0] if all(covers) and covers else None


def _holds(known: object, new: object) -> bool:
    return isinstance(known, Network) and isinstance(new, Network) and known.holds(new)


def _examples(entry: Entry) -> Iterable[str]:
    """Return names that stand for all that an entry covers, or more; none where that can't be told."""
    match entry.covers:
        case Name(labels):
            return _under(labels.decode("latin-1"))
        case Network():
            return ()
        case pattern:
            is_told = all(tail.literal_end() for tail in pattern.tails)
            return chain.from_iterable(map(_with_tail, pattern.tails)) if is_told else ()


def _with_tail(tail: Tail) -> Iterator[str]:
    end = tail.literal_end().decode("latin-1")
    is_fixed = None not in tail.places
    if is_fixed and tail.is_whole:
        return iter((end,))
    if is_fixed and tail.begins_label:
        return _under(end)
    return (before + end for before in _BEGINNINGS)


def _under(domain: str) -> Iterator[str]:
    yield domain
    yield from (host + domain for host in _HOSTS)
