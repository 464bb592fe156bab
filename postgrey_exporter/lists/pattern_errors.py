"""What can be wrong with a whitelist's pattern: Perl refuses it, or nobody can be certain what it means."""

from __future__ import annotations

from enum import Enum


class Unsure(Enum):
    """The kinds of construct whose meaning is not taken for certain; the value is the reason for people."""

    BRACES = "what this brace means depends on Perl's version"
    COMMAND = "recursion, conditions, branch resets, verbs and a repeated \\K are not judged here"
    ESCAPE = "this escape is not judged here"
    FLAG = "flags other than i, m, n, s and x are not judged here"
    ODD = "Perl itself errs over this: it finds ^++a anywhere, no (?=9?)\\D in _1, and dies of [^\\w\\W]+"
    POSIX = "what this [: means depends on Perl's version"
    REFERENCE = "a reference within a group, or to one that is repeated, is not judged here"
    SIZE = "a pattern as long as this is not judged here"
    UNICODE = "Unicode's rules, as \\p, \\X, \\N{} bring them, are not judged here"
    PCRE2 = "PCRE2 does not read this, which Perl may"


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
