"""The clients' and attempts' tables of the state: who was greylisted in which hour, and what the lists say of each.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postgrey_exporter.decision import NEW, Client
from postgrey_exporter.domain_store import DomainChange, merge_domains
from postgrey_exporter.places import place_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from postgrey_exporter.hashing import KeyedHash
    from postgrey_exporter.tally import Tally

UNCOVERED: Final = 0
WHITELISTED: Final = 1
IGNORED: Final = 2


@dataclass(slots=True)
class _ClientChange:
    """What a tally adds to one client."""

    number: int
    verdict: int
    last_hour: int = 0
    """0 where nothing of it lies inside the window."""


def merge_greylisted(
    db: sqlite3.Connection,
    tally: Tally,
    verdict: Callable[[Client], int],
    keyed: KeyedHash,
    first_hour: int,
    max_domains: int,
) -> None:
    """Add a tally's greylistings to the domains, and those inside the window to the clients."""
    changes: defaultdict[str, DomainChange] = defaultdict(DomainChange)
    clients: dict[Client, _ClientChange] = {}
    attempts: list[tuple[int, int, int, int]] = []
    for (client, hour, reason), count in tally.greylisted.items():
        change = changes[place_of(client).domain]
        known = clients.get(client)
        if known is None:
            known = clients[client] = _ClientChange(_number(client, keyed), verdict(client))
            if known.verdict == WHITELISTED:
                change.ineffective += tally.since_lists_changed[client]
        new, early_retry = (count, 0) if reason is NEW else (0, count)
        change.new += new
        change.early_retry += early_retry
        change.last_hour = max(change.last_hour, hour)
        if hour >= first_hour:
            known.last_hour = max(known.last_hour, hour)
            attempts.append((hour, known.number, new, early_retry))
            if known.verdict == UNCOVERED:
                change.unreviewed += count
    _add_clients(db, clients, merge_domains(db, changes, max_domains, first_hour))
    db.executemany(
        "INSERT INTO attempt VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET new = new + excluded.new, early_retry = early_retry + excluded.early_retry",
        sorted(attempts),
    )


def judge_all(db: sqlite3.Connection, verdict: Callable[[Client], int]) -> None:
    """Judge every client again, and bring the domains' unreviewed sums up to date."""
    changed = [
        (judged, number, before)
        for number, name, address, before in db.execute("SELECT id, name, address, verdict FROM client")
        if (judged := verdict(Client(name, address))) != before
    ]
    db.executemany("UPDATE client SET verdict = ? WHERE id = ?", (row[:2] for row in changed))
    turned = [
        (number, 1 if judged == UNCOVERED else -1)
        for judged, number, before in changed
        if UNCOVERED in {judged, before}
    ]
    if not turned:
        return
    # Attempts are not found by their client: one pass over all of them, and little to do where none turned.
    db.execute("CREATE TEMP TABLE turned (client INTEGER PRIMARY KEY, sign INTEGER)")
    db.executemany("INSERT INTO turned VALUES (?, ?)", turned)
    db.execute(
        """
        UPDATE domain SET unreviewed = unreviewed + difference.total
        FROM (
            SELECT client.domain AS domain, sum(turned.sign * (attempt.new + attempt.early_retry)) AS total
            FROM attempt CROSS JOIN turned ON turned.client = attempt.client
            CROSS JOIN client ON client.id = attempt.client GROUP BY client.domain
        ) AS difference WHERE domain.id = difference.domain
        """
    )
    db.execute("DROP TABLE turned")


def prune_greylisted(db: sqlite3.Connection, first_hour: int) -> None:
    """Drop the attempts of before an hour, and the clients that have none any more."""
    expired = "SELECT client FROM attempt WHERE hour < ?"
    db.execute(
        """
        UPDATE domain SET unreviewed = unreviewed - gone.total
        FROM (
            SELECT client.domain AS domain, sum(attempt.new + attempt.early_retry) AS total
            FROM attempt JOIN client ON client.id = attempt.client
            WHERE hour < ? AND verdict = 0 GROUP BY client.domain
        ) AS gone WHERE domain.id = gone.domain
        """,
        (first_hour,),
    )
    db.execute(f"DELETE FROM client WHERE last_hour < ? AND id IN ({expired})", (first_hour, first_hour))  # noqa: S608
    db.execute("DELETE FROM attempt WHERE hour < ?", (first_hour,))


def _add_clients(db: sqlite3.Connection, clients: Mapping[Client, _ClientChange], domains: Mapping[str, int]) -> None:
    """Add the clients that have an attempt inside the window. What is sorted lies together in the file too."""
    rows = []
    for client, change in clients.items():
        if change.last_hour:
            place = place_of(client)
            row = (change.number, *client, domains[place.domain], place.network, change.verdict, change.last_hour)
            rows.append(row)
    db.executemany(
        "INSERT INTO client VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET last_hour = max(last_hour, excluded.last_hour)",
        sorted(rows),
    )


def _number(client: Client, keyed: KeyedHash) -> int:
    """Return the number of a client's row: a keyed hash, so that nothing has to be looked up for it."""
    name, address = client
    return keyed.number(f"{name} {address}".encode())
