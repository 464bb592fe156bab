"""What to do about a domain, and why: simple rules on the evidence, each with a named threshold.

Only what no list covers is looked at. The order of the rules is that of the harm: a bot's domain on the whitelist
lets spam in, a pool on the ignore file delays mail, a look costs a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from postgrey_exporter.domains import UNKNOWN
from postgrey_exporter.entry import whitelist_entry

if TYPE_CHECKING:
    from postgrey_exporter.messages import Delays, Evidence

FEWEST_MESSAGES: Final = 3
"""Messages below which nothing is advised but a look."""
FEWEST_MOVED: Final = 2
"""Messages that must have changed network before a domain counts as a pool."""
LEAST_MOVED_SHARE: Final = 0.1
"""Share of a pool's messages that change network, at least."""
LEAST_ARRIVED_SHARE: Final = 0.7
"""Share of a pool's messages that arrive, at least, of those whose fate is known; bots don't come back."""
MOST_ARRIVED_SHARE_OF_BOTS: Final = 0.1
"""Share of messages that arrive, at most, for a domain to be left to greylisting."""
LEAST_LINES_SHARE: Final = 0.8
"""Share of attempts from customers' lines from which on a domain is an ISP's."""
SHORT_DELAY_SECONDS: Final = 3600.0
"""A median delay below which greylisting does what it is for."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and why."""

    kind: Literal["whitelist", "ignore", "look"]
    why: str
    """One sentence of numbers."""
    entry: str | None
    """The whitelist line to propose, where there is a tight one."""


NOTHING_KNOWN: Final = Advice("look", "nothing is known of it", None)


@dataclass(frozen=True, slots=True)
class Party:
    """The clients of a domain that no list covers and that are of one kind: servers, or customers' lines."""

    names: frozenset[str]
    attempts: int
    evidence: Evidence


def advise(domain: str, servers: Party, lines: Party) -> Advice:  # noqa: PLR0911 - one return a rule
    """Advise on a domain by its servers and its customers' lines."""
    if domain == UNKNOWN:
        return Advice("look", "these clients have no verified name; no list can name them", None)
    known = servers.evidence
    if known.moved >= FEWEST_MOVED and known.messages >= FEWEST_MESSAGES and _is_pool(known):
        entry = whitelist_entry(servers.names, lines.names)
        if entry is None:
            return Advice("look", f"{_fate(known)}; but no line tells its servers from customers' lines", None)
        return Advice("whitelist", _fate(known), entry)
    attempts = servers.attempts + lines.attempts
    if lines.attempts >= LEAST_LINES_SHARE * attempts:
        share = f"{lines.attempts} of {_count(attempts, 'attempt')} came from customers' lines"
        return Advice("ignore", f"{share}; {_fate(lines.evidence)}", None)
    entry = whitelist_entry(servers.names, lines.names)
    settled = known.delivered + known.lost
    if known.messages < FEWEST_MESSAGES:
        return Advice("look", f"too little to go by: {_fate(known)}", entry)
    if settled >= FEWEST_MESSAGES and known.delivered <= MOST_ARRIVED_SHARE_OF_BOTS * settled:
        return Advice("ignore", f"{known.lost} of {known.messages} messages never came back", None)
    if known.moved < FEWEST_MOVED and _arrives(known) and _median(known.delays) < SHORT_DELAY_SECONDS:
        return Advice("ignore", f"greylisting does no harm here: {_fate(known)}", None)
    return Advice("look", _fate(known), entry)


def _is_pool(known: Evidence) -> bool:
    return known.moved >= LEAST_MOVED_SHARE * known.messages and _arrives(known)


def _arrives(known: Evidence) -> bool:
    settled = known.delivered + known.lost
    return settled > 0 and known.delivered >= LEAST_ARRIVED_SHARE * settled


def _median(delays: Delays | None) -> float:
    return delays.median if delays else 0.0


def _fate(known: Evidence) -> str:
    """Return what became of messages, in one clause: ``41 of 44 messages changed network, 40 arrived, …``."""
    clauses = [f"{known.moved} of {_count(known.messages, 'message')} changed network", f"{known.delivered} arrived"]
    if known.lost:
        clauses.append(f"{known.lost} never came back")
    if known.delays:
        clauses.append(f"after {spoken(known.delays.median)} in the median")
    return ", ".join(clauses)


def spoken(seconds: float) -> str:
    """Return a duration as people say it: ``45 s``, ``12 min``, ``3 h 10 min``, ``2 d 5 h``."""
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 90:  # noqa: PLR2004 - more is said in minutes
        return f"{round(seconds)} s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    if hours < 48:  # noqa: PLR2004
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
