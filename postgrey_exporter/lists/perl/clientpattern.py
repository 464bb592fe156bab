"""A whitelist's pattern, ready to be asked about client names, and stopped when it takes for ever."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.perl.grammar import read_perl
from postgrey_exporter.lists.perl.python import to_python
from postgrey_exporter.lists.perl.tails import required_text, tails
from postgrey_exporter.lists.perl.text import NotUnderstoodError, Unsure
from postgrey_exporter.lists.perl.tree import (
    EMPTY,
    LONGEST_NAME,
    Anchor,
    Sequence,
    has_reference,
    is_case_blind,
    never_reconsiders,
    ways,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgrey_exporter.lists.perl.tree import Node

SECONDS_PER_MATCH: Final = 0.5
"""How long one pattern may think about one name before it is stopped for good."""

_MOST_WAYS: Final = 1e7
"""What `re`, which can't be stopped, may have to try at worst: about a tenth of a second."""
_COMPILED_KEPT: Final = 4096


class ClientPattern:
    """One pattern of a whitelist; case-insensitive and unanchored, as postgrey applies it.

    Reading it is done at once, compiling it when it is first needed: a list holds thousands, a client name
    meets few of them.
    """

    __slots__ = ("_is_lowered", "_search", "_tail", "_tree", "needle", "plain_letters", "stopped", "tails")

    def __init__(self, perl: bytes) -> None:
        """Read what stands between the slashes of the list.

        Raises `RefusedError` or `NotUnderstoodError`.
        """
        self._tree, self.plain_letters = read_perl(perl)
        self._is_lowered = is_case_blind(self._tree)
        if not self._is_lowered and has_reference(self._tree):
            raise NotUnderstoodError(Unsure.REFERENCE, perl.decode("latin-1"))
        self.tails = tails(self._tree) if self._is_lowered else None
        """What a matching name ends in (see `tails.tails`); ``None`` where that is not known."""
        self.needle = required_text(self._tree) if self._is_lowered and self.tails is None else b""
        """Lower-case text that every matching name contains; empty where that is not known."""
        self._tail = b""
        if self.tails is not None and len(self.tails) == 1:
            separated = self.tails[0].separated()
            if separated:
                before, self._tail = separated
                self._tree = Sequence((before, Anchor.VERY_END)) if before != EMPTY else EMPTY
        self._search: Callable[[bytes], object] | None = None
        self.stopped = False
        """Whether it took too long once, and never matches since."""

    def matches(self, name: bytes, lowered: bytes) -> bool:
        """Tell whether a client name (without line end) matches; ``lowered`` is the same name in lower case.

        A pattern that has to be stopped does not match, neither now nor later.
        """
        tail = self._tail
        if tail:
            if not lowered.endswith(tail):
                return False
            if self._tree is EMPTY:
                return True
            name = lowered = lowered[: -len(tail)]
        if self.stopped:
            return False
        search = self._search
        if search is None:
            search = self._search = _compiled(self._tree, lowered=self._is_lowered)
        try:
            return search(lowered if self._is_lowered else name) is not None
        except TimeoutError:
            self.stopped = True
            return False


def _compiled(tree: Node, *, lowered: bool) -> Callable[[bytes], object]:
    anchored = isinstance(tree, Sequence) and tree.parts[:1] == (Anchor.START,)
    tries = ways(tree) * (1 if anchored else LONGEST_NAME)
    return _search(to_python(tree, lowered=lowered), stoppable=tries > _MOST_WAYS or never_reconsiders(tree))


@lru_cache(maxsize=_COMPILED_KEPT)
def _search(source: bytes, *, stoppable: bool) -> Callable[[bytes], object]:
    """Compile a pattern; many of a list differ in their tails only, and so are one here."""
    if not stoppable:
        return re.compile(source).search
    import regex  # noqa: PLC0415 - few patterns need it, and it takes long

    search = regex.compile(source).search
    return lambda name: search(name, timeout=SECONDS_PER_MATCH)
