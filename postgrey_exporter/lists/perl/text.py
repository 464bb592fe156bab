"""The text of a Perl pattern while it is read: the place reached, and what can be wrong with it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import re

END: Final = -1


class Unsure(Enum):
    """The kinds of construct whose meaning is not taken for certain; the value is the reason for people."""

    BRACES = "what this brace means depends on Perl's version"
    COMMAND = "recursion, conditions, branch resets, verbs and \\G are not judged here"
    ESCAPE = "this escape is not judged here"
    FLAG = "flags other than i, m, s and x are not judged here"
    LOOKBEHIND = "a lookbehind whose width varies is not judged here"
    ODD = "Perl itself is at odds over this: ^++ matches anywhere, [^\\w\\W]+ makes it panic"
    POSIX = "what this [: means depends on Perl's version"
    REFERENCE = "a reference to a group that may not have matched before is not judged here"
    SIZE = "a pattern as long or as deeply nested as this is not judged here"
    UNICODE = "Unicode's rules, as \\p, \\X, \\N{} and characters above \\xff bring them, are not judged here"


class PatternError(ValueError):
    """A pattern that gets no meaning; the message says why, and quotes the place."""


class RefusedError(PatternError):
    """Perl itself refuses the pattern: postgrey dies of it."""


class NotUnderstoodError(PatternError):
    """Perl may take the pattern, this program does not claim to know what it means."""

    def __init__(self, kind: Unsure, place: str) -> None:
        """Take the kind and the piece of text in question."""
        super().__init__(f"{place}: {kind.value}")
        self.kind = kind


class PerlText:
    """A pattern and how far it has been read."""

    def __init__(self, text: bytes) -> None:
        """Start at the beginning."""
        self.text = text
        self.at = 0
        self.plain_letters: list[str] = []
        """Escapes that Perl reads as the plain letter, with a warning of its own."""

    def peek(self) -> int:
        """Return the next byte without taking it, or `END`."""
        return self.text[self.at] if self.at < len(self.text) else END

    def take(self) -> int:
        """Return the next byte and go past it, or return `END`."""
        byte = self.peek()
        self.at += byte != END
        return byte

    def accept(self, literal: bytes) -> bool:
        """Go past a literal text if it comes next; tell whether it did."""
        if not self.text.startswith(literal, self.at):
            return False
        self.at += len(literal)
        return True

    def match(self, what: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Go past what an expression matches here, if it does."""
        found = what.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def ahead(self, what: re.Pattern[bytes]) -> bytes:
        """Return what an expression matches here, without going past it; empty where it doesn't."""
        found = what.match(self.text, self.at)
        return found[0] if found else b""

    def place(self, start: int) -> str:
        """Return a short quotation from a place on, for a message."""
        return self.text[start : start + 12].decode("latin-1")

    def unsure(self, kind: Unsure, start: int) -> NotUnderstoodError:
        """Return the error for a construct that begins at a place."""
        return NotUnderstoodError(kind, self.place(start))

    def refused(self, why: str, start: int) -> RefusedError:
        """Return the error for what Perl refuses at a place."""
        return RefusedError(f"{self.place(start)}: {why}" if start < len(self.text) else why)
