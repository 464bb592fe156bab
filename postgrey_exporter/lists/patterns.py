"""A whitelist's pattern, ready to be asked about client names."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.pattern_errors import NotUnderstoodError, RefusedError, Unsure
from postgrey_exporter.lists.usual import usual_tails

if TYPE_CHECKING:
    from postgrey_exporter.lists.pcre2 import Regex
    from postgrey_exporter.lists.usual import Tail

_REFUSED_BY_PERL: Final = frozenset({101, 106, 108, 109, 114, 115, 122, 130, 183, 199})
"""Numbers of PCRE2's errors for what no Perl takes: parentheses that don't pair, a quantifier of nothing …"""
_LONGEST_PLACE: Final = 12
_EVERY_BYTE: Final = bytes(range(256))
_counting: Final = Lock()


class ClientPattern:
    """One pattern of a whitelist; case-insensitive and unanchored, as postgrey applies it.

    What is wrong with it is found at once. One of the usual form is compiled when a name has its end: a list holds
    thousands, a client name meets few of them.
    """

    __slots__ = ("_ends", "_perl", "_regex", "needles", "plain_letters", "tails", "undecided")

    def __init__(self, perl: bytes) -> None:
        """Take what stands between a list's slashes. Raises `PatternError`; without PCRE2, `LibraryMissingError`."""
        self.plain_letters: tuple[str, ...] = ()
        self.tails: tuple[Tail, ...] = usual_tails(perl)
        """The ends of which a matching name has one; empty where that is not known."""
        self.needles: tuple[tuple[bytes, ...], ...] = ()
        """Lower-case texts by branch: a matching name holds all of one branch. Empty where that is not known."""
        self.undecided = 0
        """How often matching a name was given up at a limit."""
        self._ends = tuple(tail.literal_end() for tail in self.tails) or (b"",)
        self._perl = perl
        self._regex: Regex | None = None
        if not self.tails:
            self._regex = self.compiled()

    def matches(self, name: bytes, lowered: bytes) -> bool:
        """Tell whether a client name (without line end) matches; ``lowered`` is the same name in lower case.

        A name that takes too long does not match, and is counted: covered clients disappear from every report, and
        what a stranger can't hide by choosing a name is safe to show. Other names are matched as before.
        """
        if not lowered.endswith(self._ends):
            return False
        if self._regex is None:
            self._regex = self.compiled()
        found = self._regex.matches(name)
        if found is None:
            with _counting:
                self.undecided += 1
        return bool(found)

    def compiled(self) -> Regex:
        """Return the pattern as PCRE2 reads it. Raises what `ClientPattern` does."""
        # Imported late: most commands meet no name that a pattern has to be compiled for.
        from postgrey_exporter.lists.pcre2 import CompileError, Regex  # noqa: PLC0415
        from postgrey_exporter.lists.rewrite import PREFIX, rewrite  # noqa: PLC0415

        text, self.plain_letters, self.needles, negated = rewrite(self._perl)
        try:
            regex = Regex(text)
        except CompileError as error:
            place = text[len(PREFIX) : error.offset].decode("latin-1")[-_LONGEST_PLACE:]
            if error.code in _REFUSED_BY_PERL:
                raise RefusedError(f"{place}: {error}") from None
            raise NotUnderstoodError(Unsure.PCRE2, f"{place}: {error}") from None
        for brackets in negated:
            if not all(Regex(flags + brackets).matches(_EVERY_BYTE) for flags in (b"(?i)", b"(?-i)")):
                raise NotUnderstoodError(Unsure.ODD, brackets.decode("latin-1"))
        return regex
