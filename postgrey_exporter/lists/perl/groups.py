r"""The numbered and named groups of a Perl pattern, and references to them: ``\1``, ``\g{-1}``, ``\k<name>``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.perl.text import Unsure
from postgrey_exporter.lists.perl.tree import Reference

if TYPE_CHECKING:
    from postgrey_exporter.lists.perl.text import PerlText

_NAME: Final = rb"([A-Za-z_][0-9A-Za-z_]*)"
_GROUP_NAME: Final = re.compile(rb"P?<" + _NAME + rb">|'" + _NAME + rb"'")
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")
_COUNTED: Final = re.compile(rb"(-?[1-9][0-9]{0,8})|\{(-?[1-9][0-9]{0,8})\}")
_NAMED: Final = re.compile(rb"<" + _NAME + rb">|'" + _NAME + rb"'|\{" + _NAME + rb"\}")
_PYTHON_STYLE: Final = re.compile(rb"P=" + _NAME + rb"\)")


class Groups:
    """The groups met so far."""

    def __init__(self, text: PerlText) -> None:
        """Begin without any."""
        self._text = text
        self._count = 0
        self._names: dict[bytes, list[int]] = {}
        self.certain: frozenset[int] = frozenset()
        """The groups that have certainly matched when the matcher comes to this place."""

    def name(self) -> bytes | None:
        """Go past the name of a group, if one comes next, and return it."""
        found = self._text.match(_GROUP_NAME)
        return (found[1] or found[2]) if found else None

    def opened(self, name: bytes | None) -> int:
        """Return the number of a group that begins here."""
        self._count += 1
        if name is not None:
            self._names.setdefault(name, []).append(self._count)
        return self._count

    def closed(self, number: int) -> None:
        """Note that a group has matched."""
        self.certain |= {number}

    def digits_are_octal(self) -> bool:
        r"""Tell whether digits that come next name a character: ``\0``, or ``\10`` where there are no ten groups."""
        digits = self._text.ahead(_DIGITS)
        return digits.startswith(b"0") or (
            len(digits) > 1 and int(digits) > self._count and not digits.startswith((b"8", b"9"))
        )

    def by_digits(self, start: int, *, fold: bool) -> Reference:
        r"""Read the number of ``\1``."""
        digits = self._text.ahead(_DIGITS)
        self._text.at += len(digits)
        return self._to(int(digits), start, fold=fold)

    def by_count_or_name(self, start: int, *, fold: bool) -> Reference:
        r"""Read what follows ``\g``."""
        counted = self._text.match(_COUNTED)
        if counted:
            number = int(counted[1] or counted[2])
            return self._to(number if number > 0 else self._count + 1 + number, start, fold=fold)
        if self._text.peek() != ord("{"):
            raise self._text.unsure(Unsure.ESCAPE, start)
        return self.by_name(start, fold=fold)

    def by_name(self, start: int, *, fold: bool) -> Reference:
        r"""Read what follows ``\k``."""
        found = self._text.match(_NAMED)
        if not found:
            raise self._text.unsure(Unsure.ESCAPE, start)
        return self._to_name(found[1] or found[2] or found[3], start, fold=fold)

    def by_python_style(self, start: int, *, fold: bool) -> Reference | None:
        """Read what follows ``(?`` in ``(?P=name)``, if it is that."""
        found = self._text.match(_PYTHON_STYLE)
        return self._to_name(found[1], start, fold=fold) if found else None

    def _to_name(self, name: bytes, start: int, *, fold: bool) -> Reference:
        numbers = self._names.get(name, [])
        # Of several groups of one name Perl takes the leftmost that is set: which one that is, is not certain.
        return self._to(numbers[0] if len(numbers) == 1 else 0, start, fold=fold)

    def _to(self, number: int, start: int, *, fold: bool) -> Reference:
        if number not in self.certain:
            raise self._text.unsure(Unsure.REFERENCE, start)
        return Reference(number, fold)
