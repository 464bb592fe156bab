r"""The flags of a Perl pattern: ``(?i)``, ``(?s-i:…)``, ``(?^:…)``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.lists.perl.text import Unsure

if TYPE_CHECKING:
    from postgrey_exporter.lists.perl.text import PerlText

_FLAGS: Final = re.compile(rb"(\^?)([a-z]*)(?:(-)([a-z]*))?([:)])")
_UNFINISHED: Final = re.compile(rb"[a-z]|\Z")
_NEXT_LINE: Final = b"\x85"


class Flags(NamedTuple):
    """The flags in force; postgrey sets ``i`` for every pattern."""

    fold: bool = True
    """``i``"""
    multiline: bool = False
    """``m``"""
    dot_is_all: bool = False
    """``s``"""


def read_flags(text: PerlText, flags: Flags, start: int) -> tuple[Flags, bool]:
    """Read what follows the ``(?`` at a place; return the flags, and whether they are for a group with a body.

    Raises `PatternError`.
    """
    found = text.match(_FLAGS)
    if not found:
        if text.match(_UNFINISHED):
            raise text.refused("the (? is not finished", start)
        raise text.unsure(Unsure.COMMAND, start)
    caret, on, dash, off, last = (part or b"" for part in found.groups())
    # /xx is another flag; under /x Perl skips the byte NEL as it skips blanks, which can't stand here.
    doubled = on.count(b"x") > 1 or off.count(b"x") > 1 or (b"x" in on and _NEXT_LINE in text.text)
    if doubled or not set(on) <= set(b"imsxp") or not set(off) <= set(b"imsx") or (caret and dash):
        raise text.unsure(Unsure.FLAG, start)
    if caret:
        flags = Flags(fold=False)
    for letters, value in ((on, True), (off, False)):
        flags = flags._replace(
            fold=value if b"i" in letters else flags.fold,
            multiline=value if b"m" in letters else flags.multiline,
            dot_is_all=value if b"s" in letters else flags.dot_is_all,
        )
    return flags, last == b":"
