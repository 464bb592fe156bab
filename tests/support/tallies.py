"""Tallies as tests need them: of single decisions, or of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KEY_SIZE, KeyedHash
from postgrey_exporter.parsing.parser import Parser

if TYPE_CHECKING:
    from postgrey_exporter.counting.tally import Tally
    from postgrey_exporter.decision import Decision

SECRET: Final = bytes(KEY_SIZE)


def tally_of(*decisions: Decision, **options: Any) -> Increment:
    """Return a tally of decisions, as a state needs it."""
    tally = Increment(KeyedHash(SECRET), **options)
    add(tally, *decisions)
    return tally


def add(tally: Tally, *decisions: Decision) -> None:
    """Add decisions to a tally."""
    read = Decisions()
    for decision in decisions:
        read.add(decision, tally.keyed)
    tally.add(read)


def tally_of_log(lines: str | bytes, seen_at: float, **options: Any) -> Increment:
    """Return a tally of a log, as a state needs it."""
    parser = Parser(secret=SECRET)
    tally = Increment(parser.keyed, **options)
    tally.add(parser.read(lines if isinstance(lines, bytes) else lines.encode(), seen_at))
    return tally
