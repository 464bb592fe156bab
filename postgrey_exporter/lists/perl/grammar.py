r"""Reads the Perl patterns of a whitelist: text to tree, or a reason why not.

postgrey builds each with ``qr{$1}i`` from a line of the file (read_clients_whitelists in postgrey 1.37): the text
reaches Perl as a value, so ``$``, ``@``, ``\Q`` and ``\E`` do not interpolate. The rules are those of perlre and
perlrebackslash for Perl 5.36 and strings of bytes. Whatever is not certainly the same in Perl and in the tree is
refused as `NotUnderstoodError`; nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from postgrey_exporter.lists.perl import byteset
from postgrey_exporter.lists.perl.anchor import Anchor
from postgrey_exporter.lists.perl.chars import PLAIN_OUTSIDE, read_brackets, read_code_point, read_octal
from postgrey_exporter.lists.perl.flags import Flags, read_flags
from postgrey_exporter.lists.perl.groups import Groups
from postgrey_exporter.lists.perl.text import END, PerlText, Unsure
from postgrey_exporter.lists.perl.tree import (
    EMPTY,
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
    width,
)

_LONGEST_PATTERN: Final = 4096
_DEEPEST_NESTING: Final = 50
_MOST_REPEATS: Final = 65534
"""REG_INFTY - 1 of Perl 5.30 to 5.36."""

# Most of a pattern, taken at one go; the last byte belongs to the quantifier that may follow.
_PLAIN_TEXT: Final = re.compile(rb"(?:[0-9A-Za-z_@%&=:;,<>~!'\"/-]|\\[./_-])+(?![*+?{])")
_COUNTS: Final = re.compile(rb"\{(0|[1-9][0-9]{0,8})(?:(,)((?:0|[1-9][0-9]{0,8})?))?\}")

_CLASSES: Final = {letter: Chars(members) for letter, members in byteset.ESCAPED.items()}
_ANCHORS: Final = {
    ord("A"): Anchor.START,
    ord("z"): Anchor.VERY_END,
    ord("Z"): Anchor.END,
    ord("b"): Anchor.WORD_EDGE,
    ord("B"): Anchor.NO_WORD_EDGE,
}
_LOOKS: Final = {
    b"=": (False, False),
    b"!": (False, True),
    b"<=": (True, False),
    b"<!": (True, True),
}
_LINE_BREAK: Final = Atomic(Choice((Text(b"\r\n", fold=False), Chars(byteset.VERTICAL_SPACE))))
_NOT_JUDGED: Final = {
    ord("G"): Unsure.COMMAND,
    ord("N"): Unsure.UNICODE,
    ord("P"): Unsure.UNICODE,
    ord("X"): Unsure.UNICODE,
    ord("p"): Unsure.UNICODE,
}


class PerlPattern(NamedTuple):
    """What a pattern means, and what Perl would warn of."""

    tree: Node
    plain_letters: tuple[str, ...]
    r"""Escapes that mean nothing but their letter, such as ``\Q``."""


def read_perl(pattern: bytes) -> PerlPattern:
    """Return the meaning of what stands between a whitelist's slashes.

    Raises `RefusedError` where Perl does, `NotUnderstoodError` where the meaning is not certain.
    """
    text = PerlText(pattern)
    if len(pattern) > _LONGEST_PATTERN:
        raise text.unsure(Unsure.SIZE, 0)
    tree = _Grammar(text).read()
    return PerlPattern(tree, tuple(dict.fromkeys(text.plain_letters)))


class _Grammar:
    """A recursive descent over one pattern; the flags in force are state, as they are in Perl."""

    def __init__(self, text: PerlText) -> None:
        self._text = text
        self._groups = Groups(text)
        self._flags = Flags()
        self._depth = 0
        self._looks = 0
        self._atoms = {
            ord("\\"): self._escape,
            ord("("): self._group,
            ord("["): self._brackets,
            ord("."): self._dot,
            ord("^"): self._caret,
            ord("$"): self._dollar,
            ord("*"): self._stray_quantifier,
            ord("+"): self._stray_quantifier,
            ord("?"): self._stray_quantifier,
            ord("{"): self._stray_brace,
        }

    def read(self) -> Node:
        tree = self._choice()
        if self._text.peek() != END:
            raise self._text.refused("a ) without its (", self._text.at)
        return tree

    def _choice(self) -> Node:
        before = self._groups.certain
        branches = [self._sequence()]
        while self._text.accept(b"|"):
            self._groups.certain = before
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        self._groups.certain = before
        return Choice(tuple(branches))

    def _sequence(self) -> Node:
        text = self._text
        parts: list[Node] = []
        while text.peek() not in (END, ord("|"), ord(")")):
            plain = text.match(_PLAIN_TEXT)
            if plain:
                parts.append(self._literal(plain[0].replace(b"\\", b"")))
                continue
            start = text.at
            certain = self._groups.certain
            byte = text.take()
            atom = self._atoms[byte](start) if byte in self._atoms else self._literal(bytes((byte,)))
            if atom is None:
                continue
            quantified = self._quantified(atom, start)
            if quantified is not atom:
                self._groups.certain = certain
            parts.append(quantified)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _literal(self, text: bytes) -> Node:
        return Text(text.lower(), fold=True) if self._flags.fold else Text(text, fold=False)

    def _dot(self, _start: int) -> Node:
        return Chars(byteset.ALL if self._flags.dot_is_all else byteset.NOT_NEWLINE)

    def _caret(self, _start: int) -> Node:
        return Anchor.LINE_START if self._flags.multiline else Anchor.START

    def _dollar(self, _start: int) -> Node:
        return Anchor.LINE_END if self._flags.multiline else Anchor.END

    def _brackets(self, start: int) -> Node:
        members = read_brackets(self._text, fold=self._flags.fold)
        if not members:
            raise self._text.unsure(Unsure.ODD, start)
        return Chars(members)

    def _stray_quantifier(self, start: int) -> Node:
        raise self._text.refused("a quantifier that follows nothing", start)

    def _stray_brace(self, start: int) -> Node:
        raise self._text.unsure(Unsure.BRACES, start)

    def _quantified(self, atom: Node, start: int) -> Node:
        text = self._text
        counts = self._counts()
        if counts is None:
            return atom
        greed = Greed.LAZY if text.accept(b"?") else Greed.POSSESSIVE if text.accept(b"+") else Greed.GREEDY
        following = text.at
        if self._counts() is not None:
            raise text.refused("a quantifier of a quantifier", following)
        if text.text.startswith(b"\\K", start):
            raise text.unsure(Unsure.COMMAND, start)
        least, most = counts
        if width(atom)[1] > 0:
            return Repeat(atom, least, most, greed)
        if greed is Greed.POSSESSIVE:
            raise text.unsure(Unsure.ODD, start)
        # What matches no byte matches any number of times where it matches once.
        return Sequence((atom,)) if least else EMPTY

    def _counts(self) -> tuple[int, int | None] | None:
        text = self._text
        if text.accept(b"*"):
            return 0, None
        if text.accept(b"+"):
            return 1, None
        if text.accept(b"?"):
            return 0, 1
        if text.peek() != ord("{"):
            return None
        start = text.at
        counts = text.match(_COUNTS)
        if not counts:
            raise text.unsure(Unsure.BRACES, start)
        least = int(counts[1])
        most = least if counts[2] is None else int(counts[3]) if counts[3] else None
        if least > _MOST_REPEATS or (most is not None and not least <= most <= _MOST_REPEATS):
            raise text.unsure(Unsure.BRACES, start)
        return least, most

    def _group(self, start: int) -> Node | None:
        """Read what begins with a parenthesis; ``None`` for a change of flags, which is no atom."""
        text = self._text
        if text.peek() == ord("*"):
            raise text.unsure(Unsure.COMMAND, start)
        if not text.accept(b"?"):
            return self._capture(start, None)
        if text.accept(b">"):
            return Atomic(self._forgetting(start))
        for opening, (behind, negated) in _LOOKS.items():
            if text.accept(opening):
                return self._look(start, behind=behind, negated=negated)
        name = self._groups.name()
        if name is not None:
            return self._capture(start, name)
        return self._groups.by_python_style(start, fold=self._flags.fold) or self._flag_group(start)

    def _flag_group(self, start: int) -> Node | None:
        text = self._text
        flags, has_body = read_flags(text, self._flags, start)
        if has_body:
            return self._inside(start, flags)
        self._flags = flags
        following = text.peek()
        if following in (ord("*"), ord("+"), ord("?")):
            self._stray_quantifier(text.at)
        if following == ord("{"):
            self._stray_brace(text.at)
        return None

    def _inside(self, start: int, flags: Flags | None = None) -> Node:
        """Read up to the closing parenthesis; flags set within end with it."""
        text = self._text
        outer = self._flags
        self._flags = flags or outer
        self._depth += 1
        if self._depth > _DEEPEST_NESTING:
            raise text.unsure(Unsure.SIZE, start)
        body = self._choice()
        if not text.accept(b")"):
            raise text.refused("the ( is not closed", start)
        self._depth -= 1
        self._flags = outer
        # A part of its own even where it holds a single one, so that a quantifier is one of the whole.
        return Sequence((body,))

    def _forgetting(self, start: int) -> Node:
        """Read a group whose captures nothing outside may rely on."""
        certain = self._groups.certain
        body = self._inside(start)
        self._groups.certain = certain
        return body

    def _capture(self, start: int, name: bytes | None) -> Node:
        number = self._groups.opened(name)
        body = self._inside(start)
        self._groups.closed(number)
        return Capture(body, number)

    def _look(self, start: int, *, behind: bool, negated: bool) -> Node:
        self._looks += 1
        body = self._forgetting(start)
        self._looks -= 1
        if behind:
            least, most = width(body)
            if least != most or any(map(_is_endless, walk(body))):
                raise self._text.unsure(Unsure.LOOKBEHIND, start)
        return Look(body, behind, negated)

    def _escape(self, start: int) -> Node:
        text = self._text
        letter = text.take()
        if letter == END:
            raise text.refused("a \\ at the end", start)
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _ANCHORS:
            if letter in b"bB" and text.peek() == ord("{"):
                raise text.unsure(Unsure.UNICODE, start)
            return _ANCHORS[letter]
        if byteset.DIGITS >> letter & 1:
            text.at -= 1
            if self._groups.digits_are_octal():
                return self._literal(bytes((read_octal(text, start),)))
            return self._groups.by_digits(start, fold=self._flags.fold)
        if byteset.LETTERS >> letter & 1:
            return self._escaped_letter(letter, start)
        return self._literal(bytes((letter,)))

    def _escaped_letter(self, letter: int, start: int) -> Node:
        text = self._text
        if letter in PLAIN_OUTSIDE:
            text.plain_letters.append(f"\\{letter:c}")
            return self._literal(bytes((letter,)))
        if letter == ord("N") and text.peek() != ord("{"):
            return Chars(byteset.NOT_NEWLINE)
        if letter == ord("R"):
            return _LINE_BREAK
        if letter in b"gk":
            read = self._groups.by_count_or_name if letter == ord("g") else self._groups.by_name
            return read(start, fold=self._flags.fold)
        if letter == ord("K") and not self._looks:
            return EMPTY
        if letter in b"CK":
            raise text.refused("not here" if letter == ord("K") else "\\C is no longer supported", start)
        if letter in _NOT_JUDGED:
            raise text.unsure(_NOT_JUDGED[letter], start)
        return self._literal(bytes((read_code_point(text, letter, start),)))


def _is_endless(node: Node) -> bool:
    return isinstance(node, Reference) or (isinstance(node, Repeat) and node.most is None)
