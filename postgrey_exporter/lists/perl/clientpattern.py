"""A whitelist's pattern, ready to be asked about client names, and stopped when it takes for ever."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists.perl.grammar import read_perl
from postgrey_exporter.lists.perl.python import to_python
from postgrey_exporter.lists.perl.tails import LONG_ENOUGH, required_text, tails
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
from postgrey_exporter.lists.perl.usual import usual_tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgrey_exporter.lists.perl.tails import Tail
    from postgrey_exporter.lists.perl.tree import Node

SECONDS_PER_MATCH: Final = 0.5
"""How long one pattern may think about one name before it is stopped for good."""

_MOST_WAYS: Final = 1e7
"""What `re`, which can't be stopped, may have to try at worst: about a tenth of a second."""
_COMPILED_KEPT: Final = 4096


class ClientPattern:
    """One pattern of a whitelist; case-insensitive and unanchored, as postgrey applies it.

    What is wrong with it is found at once. What it means is worked out when it is first needed: a list holds
    thousands, a client name meets few of them.
    """

    __slots__ = (
        "_is_lowered",
        "_search",
        "_tail",
        "_tree",
        "_unread",
        "needle",
        "plain_letters",
        "stopped",
        "tails",
    )

    def __init__(self, perl: bytes) -> None:
        """Take what stands between the slashes of the list.

        Raises `RefusedError` or `NotUnderstoodError`.
        """
        self.plain_letters: tuple[str, ...] = ()
        self.tails: tuple[Tail, ...] | None = None
        """What a matching name ends in (see `tails.tails`); ``None`` where that is not known."""
        self.needle = b""
        """Lower-case text that every matching name contains; empty where that is not known."""
        self.stopped = False
        """Whether it took too long once, and never matches since."""
        self._tail = b""
        self._tree: Node = EMPTY
        self._is_lowered = True
        self._search: Callable[[bytes], object] | None = None
        self._unread: bytes | None = None
        usual = usual_tail(perl)
        text = usual.literal_end() if usual else b""
        # A shorter end tells too little: more of the pattern may be fixed, of which `tails` knows.
        if usual and (usual.is_whole or len(text) >= LONG_ENOUGH):
            self._unread = perl
            self._tail = text
            self.tails = (usual,)
        else:
            self._read(perl)

    def matches(self, name: bytes, lowered: bytes) -> bool:
        """Tell whether a client name (without line end) matches; ``lowered`` is the same name in lower case.

        A pattern that has to be stopped does not match, neither now nor later.
        """
        tail = self._tail
        if not lowered.endswith(tail):
            return False
        if self._unread is not None:
            self._read(self._unread)
            return self.matches(name, lowered)
        if self._tree is EMPTY:
            return True
        if tail:
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

    def _read(self, perl: bytes) -> None:
        self._tree, self.plain_letters = read_perl(perl)
        self._is_lowered = is_case_blind(self._tree)
        if not self._is_lowered and has_reference(self._tree):
            raise NotUnderstoodError(Unsure.REFERENCE, perl.decode("latin-1"))
        self.tails = tails(self._tree) if self._is_lowered else None
        self.needle = required_text(self._tree) if self._is_lowered and self.tails is None else b""
        self._tail = b""
        if self.tails is not None and len(self.tails) == 1:
            separated = self.tails[0].separated()
            if separated:
                before, self._tail = separated
                self._tree = Sequence((before, Anchor.VERY_END)) if before != EMPTY else EMPTY
        self._unread = None


def _compiled(tree: Node, *, lowered: bool) -> Callable[[bytes], object]:
    anchored = isinstance(tree, Sequence) and tree.parts[:1] == (Anchor.START,)
    tries = ways(tree) * (1 if anchored else LONGEST_NAME)
    return _search(to_python(tree, lowered=lowered), stoppable=tries > _MOST_WAYS or never_reconsiders(tree))


@lru_cache(maxsize=_COMPILED_KEPT)
def _search(source: bytes, *, stoppable: bool) -> Callable[[bytes], object]:
    """Compile a pattern; many of a list differ in their tails only, and so are one here."""
    if not stoppable:
        return re.compile(source).search
    # Imported late: nearly no list has a pattern that needs it, and every command that reads a list would wait.
    import regex  # noqa: PLC0415

    search = regex.compile(source).search
    return lambda name: search(name, timeout=SECONDS_PER_MATCH)
