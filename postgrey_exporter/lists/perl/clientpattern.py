"""A whitelist's pattern, ready to be asked about client names, and stopped when it takes for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgrey_exporter.lists.perl.usual import usual_tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgrey_exporter.lists.perl.meaning import Meaning
    from postgrey_exporter.lists.perl.tail import Tail


class ClientPattern:
    """One pattern of a whitelist; case-insensitive and unanchored, as postgrey applies it.

    What is wrong with it is found at once. What it means is worked out when it is first needed: a list holds
    thousands, a client name meets few of them.
    """

    __slots__ = ("_meaning", "_search", "_tail", "_unread", "needle", "plain_letters", "stopped", "tails")

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
        self._meaning: Meaning
        self._search: Callable[[bytes], object] | None = None
        self._unread: bytes | None = None
        usual = usual_tail(perl)
        if usual:
            self._unread = perl
            self._tail = usual.literal_end()
            self.tails = (usual,)
        else:
            self._read(perl)

    def matches(self, name: bytes, lowered: bytes) -> bool:
        """Tell whether a client name (without line end) matches; ``lowered`` is the same name in lower case.

        A pattern that has to be stopped does not match, neither now nor later.
        """
        tail = self._tail
        if self.stopped or not lowered.endswith(tail):
            return False
        if self._unread is not None:
            self._read(self._unread)
            return self.matches(name, lowered)
        search = self._search
        if search is None:
            search = self._search = self._meaning.search()
        if tail:
            name = lowered = lowered[: -len(tail)]
        try:
            return search(lowered if self._meaning.is_case_blind else name) is not None
        except TimeoutError:
            self.stopped = True
            return False

    def _read(self, perl: bytes) -> None:
        # Imported late: most commands meet no name that a pattern of the usual form has to be read for.
        from postgrey_exporter.lists.perl.meaning import meaning_of  # noqa: PLC0415

        meaning = self._meaning = meaning_of(perl)
        self.plain_letters = meaning.plain_letters
        self.tails = meaning.tails
        self.needle = meaning.needle
        self._tail = meaning.end
        self._unread = None
