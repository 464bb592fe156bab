r"""Patterns of the form that nearly every line of a list has, told at a glance from the others.

``/\.example\.com$/``, ``/^mail\d+\.example\.com$/`` and ``/^(mx|mail)[0-9]*.example.com$/`` end in text whose places
are fixed but for dots that may be anything, and are made of nothing that Perl could refuse or that `grammar` would
not understand. That is all one has to know of a pattern until a client's name has that end.
"""

from __future__ import annotations

import re
from typing import Final

from postgrey_exporter.lists.perl.anchor import Anchor
from postgrey_exporter.lists.perl.tail import Tail

_LONGEST: Final = 255
"""Bytes; where a pattern ends in what is no literal text, the time grows with the square."""
_SHORTEST_RUN: Final = 4
"""Bytes in a row that tell enough; of a pattern with fewer, more may be fixed, of which `tails` knows."""
_LITERAL: Final = rb"[0-9A-Za-z_-]"
_ESCAPED: Final = rb"\\[./_-]"
_CLASS: Final = rb"\[\^?(?:0-9|a-z|A-Z|\\[dw.]|[0-9A-Za-z_.])+-?\]"
_PART: Final = rb"(?:" + _LITERAL + rb"|" + _ESCAPED + rb"|\.|\\[dw]|" + _CLASS + rb")(?:[*+?]\??)?"
_GROUP: Final = rb"\((?:\?:)?(?:" + _PART + rb")*(?:\|(?:" + _PART + rb")*)*\)"
# Each byte of a pattern can be read in one way only, so that nothing is tried again and again.
_USUAL: Final = re.compile(
    rb"(\^|\((?:\?:)?\^\|\\\.\))?"
    rb"(?:" + _PART + rb"|" + _GROUP + rb")*?"
    rb"((?:" + _LITERAL + rb"|" + _ESCAPED + rb"|\.)*)\$"
)
_PLACE: Final = re.compile(rb"\\?(.)")
_ANY: Final = b"."


def usual_tail(pattern: bytes) -> Tail | None:
    """Return the end of a pattern of the usual form; ``None`` for every other pattern.

    Of such a pattern `read_perl` tells no fault, no plain letter and nothing that minds case.
    """
    found = _USUAL.fullmatch(pattern) if len(pattern) <= _LONGEST else None
    if not found:
        return None
    is_whole = found[1] == b"^" and found.start(2) == 1
    places = tuple(None if place[0] == _ANY else ord(place[1].lower()) for place in _PLACE.finditer(found[2]))
    tail = Tail(places, (Anchor.START,) if is_whole else (), conditional=None in places)
    return tail if places and (is_whole or len(tail.longest_run()[0]) >= _SHORTEST_RUN) else None
