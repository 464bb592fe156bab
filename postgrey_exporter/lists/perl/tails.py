"""What the names that a pattern matches must end in, or contain: how a list finds the few patterns worth trying.

Whitelists name hosts under a domain, so nearly every pattern ends in literal text and ``$``. All of this holds for
lower-case names without line ends, and for patterns that are blind to case.
"""

from __future__ import annotations

from typing import Final

from postgrey_exporter.lists.perl import byteset
from postgrey_exporter.lists.perl.anchor import ENDS, STARTS, Anchor
from postgrey_exporter.lists.perl.tail import Tail
from postgrey_exporter.lists.perl.tree import (
    Atomic,
    Capture,
    Chars,
    Choice,
    Greed,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
    Text,
    walk,
)

_MOST_TAILS: Final = 64
_LONG_ENOUGH: Final = 8
"""Bytes of a tail from which on it is not worth telling the branches before it apart."""
_SHORTEST_NEEDLE: Final = 3


class _NoTail(Exception):  # noqa: N818 - a way out of a recursion, no error
    pass


def tails(tree: Node) -> tuple[Tail, ...] | None:
    """Return tails of which every matching name has one; ``None`` where some names may end in anything."""
    found: list[Tail] = []
    try:
        _collect(Tail((), (tree,), conditional=False), found, ended=False)
    except _NoTail:
        return None
    return tuple(found)


def _collect(tail: Tail, found: list[Tail], *, ended: bool) -> None:
    """Take bytes off the end of what comes before; ``ended`` tells whether the pattern's end has been seen."""
    places, before, conditional = tail
    while before:
        last = before[-1]
        match last:
            case Sequence(inner) | Capture(Sequence(inner)):
                before = before[:-1] + inner
                continue
            case Text(text) if ended:
                places = (*text, *places)
            case Chars(members) if ended:
                places = (byteset.only_byte(byteset.lowered(members)), *places)
                conditional = conditional or places[0] is None
            case Anchor() if last in ENDS and not places:
                ended = True
            case Choice(branches) if len(places) < _LONG_ENOUGH and len(found) + len(branches) <= _MOST_TAILS:
                for branch in branches:
                    _collect(Tail(places, (*before[:-1], branch), conditional), found, ended=ended)
                return
            case Anchor() | Look() if last not in STARTS:
                conditional = True
            case _:
                break
        before = before[:-1]
    tail = Tail(places, before, conditional)
    if not ended or not (places or tail.is_whole):
        raise _NoTail
    found.append(tail)


def separated(tail: Tail) -> tuple[Node, bytes] | None:
    """Return a pattern for all before a literal end, and that end, where the two can be matched apart.

    They can't where what comes before looks ahead, or won't give back what it took.
    """
    text = tail.literal_end()
    if tail.conditional or len(text) < len(tail.places):
        return None
    before = tail.before
    if before and _is_anything(before[-1]) and all(part in STARTS for part in before[:-1]):
        before = ()
    tree = Sequence(before)
    return None if any(map(_minds_what_follows, walk(tree))) else (tree, text)


def _is_anything(node: Node) -> bool:
    return (
        isinstance(node, Repeat)
        and node.least == 0
        and node.most is None
        and node.greed is not Greed.POSSESSIVE
        and isinstance(node.body, Chars)
        and node.body.members in (byteset.ALL, byteset.NOT_NEWLINE)
    )


def _minds_what_follows(node: Node) -> bool:
    match node:
        case Anchor():
            return node not in STARTS
        case Repeat(greed=greed):
            return greed is Greed.POSSESSIVE
        case Atomic() | Look():
            return True
        case _:
            return False


def required_text(tree: Node) -> bytes:
    """Return the longest literal text that every matching name contains; empty where it is shorter than three."""
    runs = [bytearray()]
    _gather(tree, runs)
    longest = max(runs, key=len)
    return bytes(longest) if len(longest) >= _SHORTEST_NEEDLE else b""


def _gather(node: Node, runs: list[bytearray]) -> None:
    match node:
        case Text(text):
            runs[-1] += text
        case Sequence(parts):
            for part in parts:
                _gather(part, runs)
        case Capture(body) | Atomic(body):
            _gather(body, runs)
        case Anchor() | Look():
            pass
        case Chars() | Choice() | Repeat() | Reference():
            runs.append(bytearray())
