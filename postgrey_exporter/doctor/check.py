"""One line of the doctor's checklist."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What came out of a check; the value is its name in JSON."""

    WELL = "well"
    MEND = "mend"
    UNKNOWN = "unknown"
    """It can't be told from here; nothing to mend is known."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what came out, and how to mend it."""

    name: str
    """One word or two: what was looked at. The same check has the same name everywhere."""
    verdict: Verdict
    text: str
    """What was found, in one line."""
    remedy: str | None = None
    """A command to paste, or where there is none, a line to change."""


def well(name: str, text: str) -> Check:
    """Return a check that found nothing to mend."""
    return Check(name, Verdict.WELL, text)


def mend(name: str, text: str, remedy: str) -> Check:
    """Return a check that found something to mend, and how."""
    return Check(name, Verdict.MEND, text, remedy)


def unknown(name: str, text: str, remedy: str | None = None) -> Check:
    """Return a check that can't be made from here."""
    return Check(name, Verdict.UNKNOWN, text, remedy)
