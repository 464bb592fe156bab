"""What a pattern asks of a place, not of a byte."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Anchor(Enum):
    """A place that matches no byte; the value is how Python writes it."""

    START = r"\A"
    LINE_START = r"(?:\A|(?<=\n)(?!\Z))"
    END = r"(?=\n?\Z)"
    """``$`` and ``\\Z``: the end, or before a line end that is the last byte."""
    LINE_END = r"(?=\n|\Z)"
    VERY_END = r"\Z"
    """``\\z``: the end and nothing else."""
    WORD_EDGE = r"\b"
    NO_WORD_EDGE = r"(?!\b)"
    """Not Python's ``\\B``, which until 3.14 does not match the empty string."""


STARTS: Final = frozenset({Anchor.START, Anchor.LINE_START})
ENDS: Final = frozenset({Anchor.END, Anchor.LINE_END, Anchor.VERY_END})
