"""The clients' and attempts' tables of the state: when each client was greylisted, and which list covers it.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain
from postgrey_exporter.counting.evidence import DomainChange
from postgrey_exporter.lists.verdict import UNCOVERED
from postgrey_exporter.state.connection import insert
from postgrey_exporter.state.domains import merge_domains
from postgrey_exporter.state.schema import CLIENT_BY_DOMAIN

if TYPE_CHECKING:
    import sqlite3

    from postgrey_exporter.counting.increment import Increment
    from postgrey_exporter.lists import Lists


IN_WINDOW: Final = (
    "(NOT EXISTS (SELECT 1 FROM attempt WHERE hour < (SELECT value FROM meta WHERE key = 'first_hour')) "
    "OR attempts > 0)"
)
"""Whether a client was greylisted inside the window. Mostly all clients were, which an index tells quickly."""

_BEFORE_ALL: Final = -(1 << 63)
_CHUNK: Final = 5000
_SOME_CLIENTS: Final = (
    f"SELECT id, name, address, verdict, domain, attempts FROM client WHERE id > ? ORDER BY id LIMIT {_CHUNK}"  # noqa: S608
)
_MANY: Final = 0.2
"""From this share of changed verdicts on, making the index anew takes less than updating it."""


def merge_greylisted(
    db: sqlite3.Connection, increment: Increment, first_hour: int, kept_hour: int, max_domains: int
) -> dict[str, int]:
    """Add a judged increment's greylistings to the domains, and those from ``kept_hour`` on to the clients.

    Sums are over the window, which begins with ``first_hour``. Returns the number of each domain that was greylisted.
    """
    numbers = merge_domains(db, increment.domain_changes(first_hour), max_domains, kept_hour)
    insert(
        db,
        "INSERT INTO client",
        increment.client_rows(numbers, first_hour, kept_hour),
        8,
        "ON CONFLICT DO UPDATE "
        "SET last_hour = max(last_hour, excluded.last_hour), attempts = attempts + excluded.attempts",
    )
    insert(
        db,
        "INSERT INTO attempt",
        increment.attempt_rows(kept_hour),
        4,
        "ON CONFLICT DO UPDATE SET new = new + excluded.new, early_retry = early_retry + excluded.early_retry",
    )
    return numbers


def name_unknown(db: sqlite3.Connection, max_domains: int, kept_hour: int) -> None:
    """Move clients that an older state counts as unknown to the domains of their names. Counters never go back."""
    moved: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    rows = db.execute(
        "SELECT name, id, attempts * (verdict = 0), last_hour FROM client "
        "WHERE domain = (SELECT id FROM domain WHERE name = ?1) AND name <> ?1",
        (UNKNOWN,),
    )
    for name, *client in rows:
        moved[registrable_domain(name)].append(tuple(client))
    moved.pop(UNKNOWN, None)
    changes = {
        domain: DomainChange(0, 0, 0, sum(open_ for _, open_, _ in clients), max(hour for *_, hour in clients))
        for domain, clients in moved.items()
    }
    numbers = merge_domains(db, changes, max_domains, kept_hour)
    db.executemany(
        "UPDATE client SET domain = ? WHERE id = ?",
        [(numbers[domain], one) for domain, clients in moved.items() for one, *_ in clients],
    )
    left = sum(change.unreviewed for change in changes.values())
    db.execute("UPDATE domain SET unreviewed = unreviewed - ? WHERE name = ?", (left, UNKNOWN))


def judge_all(db: sqlite3.Connection, lists: Lists) -> None:
    """Judge every client again, a few thousand at a time, and update the domains' unreviewed sums."""
    turned: Counter[int] = Counter()
    last = _BEFORE_ALL
    without_index = False
    while rows := db.execute(_SOME_CLIENTS, (last,)).fetchall():
        last = rows[-1][0]
        judged = lists.verdicts((name, address) for _, name, address, *_ in rows)
        runs, count = [], 0
        for verdict, run in groupby(zip(judged, rows, strict=True), key=itemgetter(0)):
            changed = [row for _, row in run if row[3] != verdict]
            if changed:
                runs.append((verdict, changed[0][0], changed[-1][0]))
                count += len(changed)
            for _, _, _, before, domain, attempts in changed:
                turned[domain] += attempts * ((verdict == UNCOVERED) - (before == UNCOVERED))
        # The ids are hashes: the first clients are a sample of all.
        if count > _MANY * _CHUNK and not without_index:
            db.execute("DROP INDEX client_by_domain")
            without_index = True
        db.executemany("UPDATE client SET verdict = ? WHERE id BETWEEN ? AND ?", runs)
    if without_index:
        db.execute(CLIENT_BY_DOMAIN)
    db.executemany(
        "UPDATE domain SET unreviewed = unreviewed + ? WHERE id = ?",
        [(difference, domain) for domain, difference in turned.items() if difference],
    )


def shift_window(db: sqlite3.Connection, before: int, after: int) -> None:
    """Move all sums to the window that begins with another hour, be that later or earlier."""
    moved = (
        "SELECT client, sum(new + early_retry) AS total FROM attempt WHERE hour >= ?1 AND hour < ?2 GROUP BY client"
    )
    hours = (*sorted((before, after)), 1 if after < before else -1)
    db.execute(
        f"""
        UPDATE domain SET unreviewed = unreviewed + ?3 * moved.total
        FROM (
            SELECT client.domain AS domain, sum(total) AS total
            FROM ({moved}) AS of_client JOIN client ON client.id = of_client.client
            WHERE verdict = 0 GROUP BY client.domain
        ) AS moved WHERE domain.id = moved.domain
        """,  # noqa: S608
        hours,
    )
    db.execute(
        f"UPDATE client SET attempts = attempts + ?3 * total FROM ({moved}) AS moved WHERE client.id = moved.client",  # noqa: S608
        hours,
    )


def prune_greylisted(db: sqlite3.Connection, kept_hour: int) -> None:
    """Delete the attempts before an hour outside the window, and the clients whose attempts all lie there."""
    db.execute(
        "DELETE FROM client WHERE last_hour < ?1 AND id IN (SELECT client FROM attempt WHERE hour < ?1)", (kept_hour,)
    )
    db.execute("DELETE FROM attempt WHERE hour < ?", (kept_hour,))
