r"""Sets of bytes, as what one place of a Perl pattern can match: an integer with bit N for byte N.

postgrey compares byte strings without a locale: letters, digits and blanks are ASCII's, and ``/i`` folds ASCII
letters only (perlre, the ``/d`` rules for strings that are not UTF-8). ``\h`` and ``\v`` alone look beyond ASCII.
"""

from __future__ import annotations

from typing import Final

ALL: Final = (1 << 256) - 1
NOTHING: Final = 0


def of(text: bytes) -> int:
    """Return the set of the bytes that occur in a text."""
    members = 0
    for byte in text:
        members |= 1 << byte
    return members


def between(first: int, last: int) -> int:
    """Return the set of the bytes from first to last, both included."""
    return (1 << (last + 1)) - (1 << first)


_UPPER: Final = between(ord("A"), ord("Z"))
_LOWER: Final = between(ord("a"), ord("z"))
_CASE_DISTANCE: Final = ord("a") - ord("A")

DIGITS: Final = between(ord("0"), ord("9"))
LETTERS: Final = _UPPER | _LOWER
WORD: Final = LETTERS | DIGITS | of(b"_")
SPACE: Final = of(b"\t\n\v\f\r ")
HORIZONTAL_SPACE: Final = of(b"\t \xa0")
VERTICAL_SPACE: Final = of(b"\n\v\f\r\x85")
NOT_NEWLINE: Final = ALL ^ of(b"\n")
_GRAPHIC: Final = between(0x21, 0x7E)

ESCAPED: Final[dict[int, int]] = {
    ord("d"): DIGITS,
    ord("D"): ALL ^ DIGITS,
    ord("w"): WORD,
    ord("W"): ALL ^ WORD,
    ord("s"): SPACE,
    ord("S"): ALL ^ SPACE,
    ord("h"): HORIZONTAL_SPACE,
    ord("H"): ALL ^ HORIZONTAL_SPACE,
    ord("v"): VERTICAL_SPACE,
    ord("V"): ALL ^ VERTICAL_SPACE,
}
"""The sets that a backslash and a letter stand for, inside brackets and outside (perlrecharclass)."""

POSIX: Final[dict[bytes, int]] = {
    b"alnum": LETTERS | DIGITS,
    b"alpha": LETTERS,
    b"ascii": between(0, 0x7F),
    b"blank": of(b"\t "),
    b"cntrl": between(0, 0x1F) | 1 << 0x7F,
    b"digit": DIGITS,
    b"graph": _GRAPHIC,
    b"lower": _LOWER,
    b"print": _GRAPHIC | of(b" "),
    b"punct": _GRAPHIC ^ LETTERS ^ DIGITS,
    b"space": SPACE,
    b"upper": _UPPER,
    b"word": WORD,
    b"xdigit": DIGITS | of(b"ABCDEFabcdef"),
}
"""The sets of ``[[:name:]]``."""


def fold(members: int) -> int:
    """Return the set together with the other case of each ASCII letter in it."""
    return members | (members & _UPPER) << _CASE_DISTANCE | (members & _LOWER) >> _CASE_DISTANCE


def lowered(members: int) -> int:
    """Return what the set matches in text without upper-case ASCII letters."""
    return members & ~_UPPER


def only_byte(members: int) -> int | None:
    """Return the byte of a set of one; ``None`` for every other set."""
    if members and not members & (members - 1):
        return members.bit_length() - 1
    return None


def ranges(members: int) -> list[tuple[int, int]]:
    """Return the set as (first, last) pairs in ascending order."""
    found: list[tuple[int, int]] = []
    while members:
        first = (members & -members).bit_length() - 1
        run = members >> first
        length = (~run & (run + 1)).bit_length() - 1
        found.append((first, first + length - 1))
        members &= ~between(first, first + length - 1)
    return found
