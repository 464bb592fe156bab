"""The messages' tables of the state: attempts settle onto what is known of each message.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import islice
from math import fsum
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.counting.seen import Seen
from postgrey_exporter.parsing.message_key import MOST_BACK
from postgrey_exporter.state.clients import IN_WINDOW
from postgrey_exporter.state.connection import insert
from postgrey_exporter.state.domains import numbers_of_domains
from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from postgrey_exporter.counting.increment import Increment

DELAY_BOUNDS: Final = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 172800.0)
"""Upper bounds of the delay histogram's buckets, in seconds; the last bucket has none."""
MOST_MESSAGES: Final = 2_000_000
"""Most messages that are kept; beyond it the oldest are given up."""
_ROOM_SHARE: Final = 50
"""One in so many is given up with the surplus."""
_LOOKED_UP: Final = 10_000
"""Messages looked up by one query: some megabytes of text."""
_COLUMNS: Final = "first, last, network, moved, accepted, reported, line"


def all_seen(db: sqlite3.Connection) -> Seen | None:
    """Return the memory of a new state's stories; ``None`` for a state that has messages already."""
    (has_messages,) = db.execute("SELECT EXISTS (SELECT 1 FROM message)").fetchone()
    return None if has_messages else Seen()


def merge_messages(
    db: sqlite3.Connection,
    increment: Increment,
    first_moment: float,
    seen: Seen | None,
    greylisted: Mapping[str, int],
) -> int:
    """Settle an increment onto the known messages; return how many were written.

    ``greylisted`` has the numbers of the domains that are greylisted in the increment; others may have been before.
    Messages that ended before ``first_moment`` are not kept.
    """
    # Nothing is kept of a domain that was never greylisted.
    others = [domain for domain in increment.domains if domain not in greylisted]
    numbers = {**greylisted, **numbers_of_domains(db, others)}
    _remember_latest(db, increment, numbers, seen)
    increment.settle()
    if seen is not None:
        increment.note_seen(numbers, seen)
    written = insert(db, "INSERT OR REPLACE INTO message", increment.message_rows(numbers, first_moment), 9)
    db.executemany(
        "INSERT INTO delivery VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET total = total + excluded.total, seconds = seconds + excluded.seconds",
        _by_bound(sorted(increment.deliveries(numbers))),
    )
    return written


def give_up_oldest(db: sqlite3.Connection, most: int) -> tuple[int, int]:
    """Delete the oldest messages beyond the ``most``; return how many these were, and how many more have room."""
    (count,) = db.execute("SELECT count(*) FROM message").fetchone()
    if count <= most:
        return 0, most - count
    # The count is a pass over all messages: a few more are deleted to make room.
    room = most // _ROOM_SHARE
    surplus: int = count - most + room
    db.execute(
        "DELETE FROM message WHERE (domain, key, first) IN "
        "(SELECT domain, key, first FROM message ORDER BY last LIMIT ?)",
        (surplus,),
    )
    return surplus, room


def messages_by_domain(db: sqlite3.Connection, since: float, until: float) -> Iterator[tuple[Any, ...]]:
    """Yield messages last tried in between, by domain: its number, and what `DomainFacts.add_message` takes."""
    return db.execute(
        f"SELECT domain, {_COLUMNS} FROM message WHERE last >= ? AND last < ? ORDER BY domain",  # noqa: S608
        (since, until),
    )


def messages_of(db: sqlite3.Connection, domain: str) -> Iterator[tuple[Any, ...]]:
    """Yield the messages of one domain, as `facts.DomainFacts.add_message` takes them."""
    query = f"SELECT {_COLUMNS} FROM message WHERE domain = (SELECT id FROM domain WHERE name = ?)"  # noqa: S608
    return db.execute(query, (domain,))


def uncovered_messages(db: sqlite3.Connection, domain: str) -> Iterator[tuple[Any, ...]]:
    """Yield the messages of one domain, in the window, first tried from a network with an uncovered client in it."""
    query = (
        f"SELECT {_COLUMNS} FROM message WHERE domain = (SELECT id FROM domain WHERE name = ?1) "  # noqa: S608
        f"AND last >= {HOUR} * (SELECT value FROM meta WHERE key = 'first_hour') "
        "AND network IN (SELECT network FROM client "
        f"WHERE verdict = 0 AND domain = (SELECT id FROM domain WHERE name = ?1) AND {IN_WINDOW})"
    )
    return db.execute(query, (domain,))


def _remember_latest(
    db: sqlite3.Connection, increment: Increment, numbers: Mapping[str, int], seen: Seen | None
) -> None:
    """Give an increment the latest messages of each of its stories."""
    stories = increment.story_rows(numbers, seen)
    while some := list(islice(stories, _LOOKED_UP)):
        for row in db.execute(
            f"SELECT wanted.value ->> 2, {_COLUMNS} FROM json_each(?) AS wanted JOIN message "  # noqa: S608
            "ON domain = wanted.value ->> 0 AND message.key = wanted.value ->> 1 AND first >= ifnull(("
            "SELECT first FROM message AS one WHERE one.domain = wanted.value ->> 0 AND one.key = wanted.value ->> 1 "
            f"ORDER BY first DESC LIMIT 1 OFFSET {MOST_BACK}), -1e999) ORDER BY first",
            (json.dumps(some),),
        ):
            increment.remember(*row)


def _by_bound(delays: Sequence[float]) -> Iterator[tuple[float, int, float]]:
    """Yield each bound with the number and the sum of its delays, if any. The delays are given in order."""
    begin = 0
    for bound in (*DELAY_BOUNDS, float("inf")):
        end = bisect_right(delays, bound)
        if end > begin:
            yield bound, end - begin, fsum(delays[begin:end])
        begin = end
