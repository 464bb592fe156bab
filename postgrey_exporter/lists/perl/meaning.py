"""What a pattern means: read, and taken apart into what names must end in and what is to be searched for before."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.lists.perl.anchor import Anchor
from postgrey_exporter.lists.perl.grammar import read_perl
from postgrey_exporter.lists.perl.python import to_python
from postgrey_exporter.lists.perl.tails import required_text, separated, tails
from postgrey_exporter.lists.perl.text import NotUnderstoodError, Unsure
from postgrey_exporter.lists.perl.tree import (
    EMPTY,
    LONGEST_NAME,
    Sequence,
    has_reference,
    is_case_blind,
    never_reconsiders,
    ways,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgrey_exporter.lists.perl.tail import Tail
    from postgrey_exporter.lists.perl.tree import Node

SECONDS_PER_MATCH: Final = 0.5
"""How long one pattern may think about one name before it is stopped for good."""

_MOST_WAYS: Final = 1e7
"""What `re`, which can't be stopped, may have to try at worst: about a tenth of a second."""
_COMPILED_KEPT: Final = 4096


class Meaning(NamedTuple):
    """What a pattern means."""

    before: Node
    """What a name has to be before its end."""
    end: bytes
    """Lower-case text that a name must end in; empty where it can't be matched apart from what is before it."""
    is_case_blind: bool
    plain_letters: tuple[str, ...]
    """Escapes that Perl reads as the plain letter, with a warning of its own."""
    tails: tuple[Tail, ...] | None
    needle: bytes
    """Text that every matching name contains; empty where that is not known, or where there are tails."""

    def search(self) -> Callable[[bytes], object]:
        """Return what finds the pattern in a name without its end, in lower case where the pattern is blind to case.

        It returns ``None`` where there is none, and raises `TimeoutError` after `SECONDS_PER_MATCH`.
        """
        tree = self.before
        anchored = isinstance(tree, Sequence) and tree.parts[:1] == (Anchor.START,)
        tries = ways(tree) * (1 if anchored else LONGEST_NAME)
        stoppable = tries > _MOST_WAYS or never_reconsiders(tree)
        return _search(to_python(tree, lowered=self.is_case_blind), stoppable=stoppable)


def meaning_of(perl: bytes) -> Meaning:
    """Read what stands between the slashes of a list. Raises `RefusedError` or `NotUnderstoodError`."""
    tree, plain_letters = read_perl(perl)
    if not is_case_blind(tree):
        if has_reference(tree):
            raise NotUnderstoodError(Unsure.REFERENCE, perl.decode("latin-1"))
        return Meaning(tree, b"", is_case_blind=False, plain_letters=plain_letters, tails=None, needle=b"")
    found = tails(tree)
    needle = required_text(tree) if found is None else b""
    end = b""
    apart = separated(found[0]) if found is not None and len(found) == 1 else None
    if apart:
        before, end = apart
        tree = Sequence((before, Anchor.VERY_END)) if before != EMPTY else EMPTY
    return Meaning(tree, end, is_case_blind=True, plain_letters=plain_letters, tails=found, needle=needle)


@lru_cache(maxsize=_COMPILED_KEPT)
def _search(source: bytes, *, stoppable: bool) -> Callable[[bytes], object]:
    """Compile a pattern; many of a list differ in their tails only, and so are one here."""
    if not stoppable:
        return re.compile(source).search
    # Imported late: nearly no list has a pattern that needs it, and every command that reads a list would wait.
    import regex  # noqa: PLC0415

    search = regex.compile(source).search
    return lambda name: search(name, timeout=SECONDS_PER_MATCH)
