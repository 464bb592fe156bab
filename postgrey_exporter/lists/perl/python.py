"""Writes the tree of a pattern for Python's `re` and for `regex`, which read it alike.

Every set is written out byte by byte, so nothing in the text means one thing to Perl and another to Python.
"""

from __future__ import annotations

from string import ascii_letters, digits
from typing import Final

from postgrey_exporter.lists.perl import byteset
from postgrey_exporter.lists.perl.anchor import Anchor
from postgrey_exporter.lists.perl.tree import (
    Atomic,
    Capture,
    Chars,
    Choice,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
    Text,
    walk,
)

_PLAIN: Final = {ord(char): char for char in ascii_letters + digits}


def to_python(node: Node, *, lowered: bool) -> bytes:
    """Write a tree as a pattern of bytes that `re` and `regex` read alike, without flags.

    With `lowered` the pattern is for text without upper-case letters (see `is_case_blind`).
    """
    wanted = {part.number for part in walk(node) if isinstance(part, Reference)}
    return _Writer(wanted, lowered=lowered).write(node).encode("ascii")


class _Writer:
    """Writes the nodes of one tree."""

    def __init__(self, wanted: set[int], *, lowered: bool) -> None:
        self._wanted = wanted
        self._lowered = lowered

    def write(self, node: Node) -> str:
        match node:
            case Anchor():
                return node.value
            case Chars(members):
                return self._set(members)
            case Text(text, fold):
                return self._text(text, fold=fold)
            case Sequence(parts):
                return "".join(map(self.write, parts))
            case Reference(number, _):
                return f"(?P=g{number})"
            case _:
                return self._group(node)

    def _group(self, node: Choice | Repeat | Capture | Atomic | Look) -> str:
        match node:
            case Choice(branches):
                opening, inner = "(?:", "|".join(map(self.write, branches))
            case Repeat(body, least, most, greed):
                return f"(?:{self.write(body)}){{{least},{'' if most is None else most}}}{greed.value}"
            case Capture(body, number):
                opening, inner = f"(?P<g{number}>" if number in self._wanted else "(?:", self.write(body)
            case Atomic(body):
                opening, inner = "(?>", self.write(body)
            case Look(body, behind, negated):
                opening = f"(?{'<' if behind else ''}{'!' if negated else '='}"
                inner = self.write(body)
        return f"{opening}{inner})"

    def _text(self, text: bytes, *, fold: bool) -> str:
        if fold and not self._lowered:
            return "".join(self._set(byteset.fold(1 << byte)) for byte in text)
        return "".join(_PLAIN.get(byte) or f"\\x{byte:02x}" for byte in text)

    def _set(self, members: int) -> str:
        if self._lowered:
            members = byteset.lowered(members)
        return "[" + "".join(f"\\x{first:02x}-\\x{last:02x}" for first, last in byteset.ranges(members)) + "]"
