"""The counts that metrics are made of, as the state holds them at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.state.domains import OTHER

if TYPE_CHECKING:
    import sqlite3


class DomainCounter(NamedTuple):
    """The counters of one domain label."""

    domain: str
    new: int
    early_retry: int
    ineffective: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts that metrics are made of."""

    decisions: dict[tuple[str, str], int]
    """By action and reason, since the state was begun."""
    domains: tuple[DomainCounter, ...]
    unreviewed: dict[str, int]
    """Greylisted attempts inside the window from uncovered clients, by domain; the largest only."""
    unreviewed_not_shown: int
    """How many more domains there are than `unreviewed` names."""
    labels: int
    folded: int
    """Domains inside the window that have no label of their own."""
    lines: dict[tuple[str, str], int]
    """By source and outcome."""
    last_events: dict[str, float]
    """By source: the latest decision's time."""
    deliveries: tuple[tuple[float, int, float], ...] = ()
    """By bound of `messages.DELAY_BOUNDS`: how many messages were delivered within it, and their seconds in all."""
    given_up: int = 0
    """Messages dropped because there were too many."""
    future: dict[str, int] = field(default_factory=dict)
    """By source: the decisions that were dated by their arrival, because their stamps lay so far ahead."""


def take_snapshot(db: sqlite3.Connection, max_domains: int) -> Snapshot:
    """Return the counts, with at most ``max_domains`` unreviewed domains. Works inside its caller's transaction."""
    unreviewed = unreviewed_domains(db, max_domains)
    # Two counts, for each of which an index is enough.
    (all_to_review,) = db.execute(
        "SELECT (SELECT count(*) FROM domain WHERE unreviewed > 0) "
        "- (SELECT count(*) FROM domain WHERE unreviewed > 0 AND name = ?)",
        (UNKNOWN,),
    ).fetchone()
    # Sorted here: SQLite would go through all domains by name.
    labelled = sorted(db.execute("SELECT name, new, early_retry, ineffective FROM domain WHERE labelled"))
    domains = tuple(DomainCounter(*row) for row in labelled)
    inside = "last_hour >= (SELECT value FROM meta WHERE key = 'first_hour')"
    (folded,) = db.execute(f"SELECT count(*) FROM domain WHERE NOT labelled AND {inside}").fetchone()  # noqa: S608
    return Snapshot(
        decisions={(action, reason): total for action, reason, total in db.execute("SELECT * FROM decision")},
        domains=domains,
        unreviewed=unreviewed,
        unreviewed_not_shown=all_to_review - len(unreviewed),
        labels=sum(counter.domain not in {UNKNOWN, OTHER} for counter in domains),
        folded=folded,
        deliveries=tuple(db.execute("SELECT most, total, seconds FROM delivery ORDER BY most")),
        given_up=(db.execute("SELECT value FROM meta WHERE key = 'given_up'").fetchone() or (0,))[0],
        lines={(source, outcome): total for source, outcome, total in db.execute("SELECT * FROM source_lines")},
        last_events=dict(db.execute("SELECT name, last_event FROM source WHERE last_event IS NOT NULL").fetchall()),
        future=dict(db.execute("SELECT name, future FROM source").fetchall()),
    )


def unreviewed_domains(db: sqlite3.Connection, most: int) -> dict[str, int]:
    """Return the unreviewed attempts by domain, most first, of the ``most`` largest domains.

    Among equals the domains that have been known longest are shown: however many new ones come, they take no place.
    """
    shown = db.execute(
        "SELECT name, unreviewed FROM domain WHERE unreviewed > 0 AND name <> ? ORDER BY unreviewed DESC, id LIMIT ?",
        (UNKNOWN, most),
    ).fetchall()
    return dict(sorted(shown, key=lambda row: (-row[1], row[0])))
