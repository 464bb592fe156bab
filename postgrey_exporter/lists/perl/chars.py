"""Single characters of a Perl pattern: escapes that name one, and bracketed classes.

Rules are those of perlrebackslash and perlrecharclass; what only one Perl version does is not understood.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.perl import byteset
from postgrey_exporter.lists.perl.text import END, Unsure

if TYPE_CHECKING:
    from postgrey_exporter.lists.perl.text import PerlText

_NAMED: Final = {
    ord("a"): 0x07,
    ord("e"): 0x1B,
    ord("f"): 0x0C,
    ord("n"): 0x0A,
    ord("r"): 0x0D,
    ord("t"): 0x09,
}
_HEX: Final = re.compile(rb"\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{1,2})")
_OCTAL_IN_BRACES: Final = re.compile(rb"\{([0-7]+)\}")
_OCTAL: Final = re.compile(rb"[0-7]{1,3}")
_CONTROL: Final = re.compile(rb"[A-Za-z@\[\]^_?]")
_POSIX: Final = re.compile(rb"\[:(\^?)([a-z]+):\]")
_RESERVED: Final = re.compile(rb"\[([.=])[^\]]*\1\]")
_BACKSPACE: Final = 0x08
_LARGEST_BYTE: Final = 0xFF

# perldiag, "Unrecognized escape \%s passed through": what is a letter of its own outside brackets, and inside.
PLAIN_OUTSIDE: Final = frozenset(b"EFIJLMOQTUYijlmquy")
PLAIN_INSIDE: Final = PLAIN_OUTSIDE | frozenset(b"ABGKRXZz")


def read_code_point(text: PerlText, letter: int, start: int) -> int:
    r"""Return the byte that an escape such as ``\t`` or ``\x41`` names; its letter has been taken.

    Octal numbers are the caller's, whose digits can mean a group. Raises `NotUnderstoodError`, also for a letter
    that names no byte.
    """
    if letter in _NAMED:
        return _NAMED[letter]
    if letter == ord("x") and (found := text.match(_HEX)):
        return _byte(text, int(found[1] or found[2], 16), start)
    if letter == ord("o") and (found := text.match(_OCTAL_IN_BRACES)):
        return _byte(text, int(found[1], 8), start)
    if letter == ord("c") and (found := text.match(_CONTROL)):
        return ord(found[0].upper()) ^ 0x40
    raise text.unsure(Unsure.ESCAPE, start)


def read_octal(text: PerlText, start: int) -> int:
    """Return the byte of up to three octal digits that come next. Raises `PatternError`."""
    octal = text.match(_OCTAL)
    if not octal:
        raise text.unsure(Unsure.ESCAPE, start)
    return _byte(text, int(octal[0], 8), start)


def _byte(text: PerlText, number: int, start: int) -> int:
    if number > _LARGEST_BYTE:
        raise text.unsure(Unsure.UNICODE, start)
    return number


def read_brackets(text: PerlText, *, fold: bool) -> int:
    """Return the set of a bracketed class whose ``[`` has been taken; ``fold`` is the flag ``i``.

    Raises `PatternError`.
    """
    opened = text.at - 1
    negated = text.accept(b"^")
    members = classes = byteset.NOTHING
    first = True
    while True:
        start = text.at
        if text.peek() == END:
            raise text.refused("the [ is not closed", opened)
        if not first and text.accept(b"]"):
            break
        first = False
        item = _item(text, fold=fold)
        if item.is_class:
            classes |= item.members
            continue
        low = item.byte
        if not _range_follows(text):
            members |= 1 << low
            continue
        text.take()
        upper = _item(text, fold=fold)
        if upper.is_class:
            members |= 1 << low | byteset.of(b"-")
            classes |= upper.members
        elif upper.byte < low:
            raise text.refused("a range that runs backwards", start)
        else:
            members |= byteset.between(low, upper.byte)
    if fold:
        members = byteset.fold(members)
    members |= classes
    return byteset.ALL ^ members if negated else members


class _Item:
    """One member of a bracketed class: a byte, which can begin or end a range, or a set, which can't."""

    __slots__ = ("byte", "members")

    def __init__(self, *, byte: int = END, members: int = byteset.NOTHING) -> None:
        self.byte = byte
        self.members = members

    @property
    def is_class(self) -> bool:
        return self.byte == END


def _range_follows(text: PerlText) -> bool:
    following = text.text[text.at : text.at + 2]
    return following[:1] == b"-" and following[1:] not in (b"", b"]")


def _item(text: PerlText, *, fold: bool) -> _Item:
    start = text.at
    byte = text.take()
    if byte == ord("["):
        return _posix(text, start, fold=fold)
    if byte == ord("\\"):
        return _escaped(text, start)
    return _Item(byte=byte)


def _escaped(text: PerlText, start: int) -> _Item:
    letter = text.take()
    if letter == END:
        raise text.refused("the [ is not closed", start)
    if letter in byteset.ESCAPED:
        return _Item(members=byteset.ESCAPED[letter])
    if letter in b"pPN":
        raise text.unsure(Unsure.UNICODE, start)
    if letter in PLAIN_INSIDE:
        text.plain_letters.append(f"\\{letter:c}")
    elif letter in b"01234567":
        text.at -= 1
        letter = read_octal(text, start)
    elif letter == ord("b"):
        letter = _BACKSPACE
    elif (byteset.LETTERS | byteset.DIGITS) >> letter & 1:
        letter = read_code_point(text, letter, start)
    return _Item(byte=letter)


def _posix(text: PerlText, start: int, *, fold: bool) -> _Item:
    text.at = start
    found = text.match(_POSIX)
    if not found:
        if text.text.startswith(b"[:", start) or text.match(_RESERVED):
            raise text.unsure(Unsure.POSIX, start)
        return _Item(byte=text.take())
    if found[2] not in byteset.POSIX:
        raise text.refused("no such class", start)
    members = byteset.POSIX[found[2]]
    if fold:
        members = byteset.fold(members)
    return _Item(members=byteset.ALL ^ members if found[1] else members)
