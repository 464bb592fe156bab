r"""Patterns of the form that nearly every line of a list has, told at a glance from the others.

``/\.example\.com$/``, ``/^mail\d+\.example\.com$/`` and ``/\.(a|b).example.(com|org)$/`` end in text whose places
are fixed but for dots that may be anything, and are made of nothing that Perl or PCRE2 could refuse. That is all one
has to know of a pattern until a client's name has that end.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, cast

_LONGEST: Final = 255
"""Bytes; where a pattern ends in what is no literal text, the time grows with the square."""
_FIXED: Final = rb"(?:[0-9A-Za-z_-]|\\[./_-]|\.)"
_CLASS: Final = rb"\[\^?(?:0-9|a-z|A-Z|\\[dw.]|[0-9A-Za-z_.])+-?\]"
_COUNT: Final = rb"\{(?:[1-9]|[1-9],|[01],[1-9])\}"
_PART: Final = rb"(?:" + _FIXED + rb"|\\[dw]|" + _CLASS + rb")(?:(?:[*+?]|" + _COUNT + rb")\??)?"
_GROUP: Final = rb"\((?:\?:)?(?:" + _PART + rb")*(?:\|(?:" + _PART + rb")*)*\)"
# Each byte of a pattern can be read in few ways only, so that nothing is tried again and again.
_USUAL: Final = re.compile(
    rb"(\^|\((?:\?:)?\^\|\\\.\))?"
    rb"(?:" + _PART + rb"|" + _GROUP + rb")*?"
    rb"(" + _FIXED + rb"*)(?:\((?:\?:)?(" + _FIXED + rb"*(?:\|" + _FIXED + rb"*)*)\)(" + _FIXED + rb"*))?"
    rb"(?:\$|\\[zZ])"
)
_PLACE: Final = re.compile(rb"\\?(.)")
_ANY: Final = b"."


class Tail(NamedTuple):
    """One way in which a matching name can end."""

    places: tuple[int | None, ...]
    """Its last bytes, in lower case; ``None`` for a byte that is not fixed."""
    is_whole: bool
    """Whether the name is these bytes and nothing before."""
    begins_label: bool
    """Whether the name begins with these bytes, or has a dot before them."""

    def literal_end(self) -> bytes:
        """Return the fixed bytes at the very end, up to the first from the right that is not."""
        if None not in self.places:
            return bytes(cast("tuple[int, ...]", self.places))
        fixed = bytearray()
        for byte in reversed(self.places):
            if byte is None:
                break
            fixed.append(byte)
        fixed.reverse()
        return bytes(fixed)

    def longest_run(self) -> tuple[bytes, int]:
        """Return the longest text of fixed bytes, and how many bytes follow it."""
        best = (b"", 0)
        run = bytearray()
        for place, byte in enumerate((*self.places, None)):
            if byte is not None:
                run.append(byte)
                continue
            if len(run) > len(best[0]):
                best = (bytes(run), len(self.places) - place)
            run.clear()
        return best


def usual_tails(pattern: bytes) -> tuple[Tail, ...]:
    """Return the ends of which every name that matches a pattern of the usual form has one; none for other patterns.

    Such a pattern is taken by Perl and by PCRE2, and has no letter with a backslash that means nothing.
    """
    found = _USUAL.fullmatch(pattern) if len(pattern) <= _LONGEST else None
    if not found:
        return ()
    start, before, branches, after = found.groups()
    is_first = found.start(2) == len(start or b"")
    ends = [before] if branches is None else [before + branch + after for branch in branches.split(b"|")]
    tails = tuple(
        Tail(
            tuple(None if place[0] == _ANY else ord(place[1].lower()) for place in _PLACE.finditer(end)),
            is_whole=is_first and start == b"^",
            begins_label=is_first and start is not None,
        )
        for end in ends
    )
    return tails if all(tail.is_whole or tail.longest_run()[0] for tail in tails) else ()
