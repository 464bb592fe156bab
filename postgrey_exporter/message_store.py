"""The messages' tables of the state: attempts are replayed onto what is known of each message.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, cast

from postgrey_exporter.domain_store import numbers_of_domains
from postgrey_exporter.messages import Message, replay

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from postgrey_exporter.tally import Tally

DELAY_BOUNDS: Final = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 172800.0)
"""Upper bounds of the delay histogram's buckets, in seconds; the last bucket has none."""
MOST_MESSAGES: Final = 2_000_000
"""Messages kept; beyond it the oldest are given up."""
_ROOM_SHARE: Final = 50
"""What part of them goes with the surplus."""

_COLUMNS: Final = "first, last, network, moved, accepted, reported, line"


def merge_messages(db: sqlite3.Connection, tally: Tally, first_moment: float) -> int:
    """Replay a tally's attempts; return how many messages were written.

    What ended before ``first_moment``, the window's begin, is not kept.
    """
    numbers = numbers_of_domains(db, {domain for domain, _ in tally.messages})
    # Nothing is kept of a domain that was never greylisted.
    attempts_of = {
        (numbers[domain], key): attempts for (domain, key), attempts in tally.messages.items() if domain in numbers
    }
    latest = _latest(db, sorted(attempts_of))
    rows: list[tuple[object, ...]] = []
    deliveries: Counter[float] = Counter()
    seconds: defaultdict[float, float] = defaultdict(float)
    for identity, attempts in sorted(attempts_of.items()):
        before = latest.get(identity)
        for message in replay(before, attempts):
            if message == before:
                continue
            if message.delay is not None:
                bound = _bound(message.delay)
                deliveries[bound] += 1
                seconds[bound] += message.delay
            if message.last >= first_moment:
                rows.append((*identity, *message))
    db.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.executemany(
        "INSERT INTO delivery VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET total = total + excluded.total, seconds = seconds + excluded.seconds",
        [(bound, total, seconds[bound]) for bound, total in deliveries.items()],
    )
    return len(rows)


def prune_messages(db: sqlite3.Connection, first_moment: float) -> None:
    """Drop what left the window."""
    db.execute("DELETE FROM message WHERE last < ?", (first_moment,))


def give_up_oldest(db: sqlite3.Connection) -> tuple[int, int]:
    """Drop the oldest messages where there are too many; return how many those were, and how many more have room.

    That is a pass over all messages, so a little room is made with it.
    """
    (count,) = db.execute("SELECT count(*) FROM message").fetchone()
    if count <= MOST_MESSAGES:
        return 0, MOST_MESSAGES - count
    room = MOST_MESSAGES // _ROOM_SHARE
    surplus: int = count - MOST_MESSAGES + room
    db.execute(
        "DELETE FROM message WHERE (domain, key, first) IN "
        "(SELECT domain, key, first FROM message ORDER BY last LIMIT ?)",
        (surplus,),
    )
    return surplus, room


def messages_by_domain(db: sqlite3.Connection, since: float, until: float) -> Iterator[tuple[int, Message]]:
    """Yield the messages whose last attempt lies between two moments, the second one outside, in order of domains."""
    for domain, *values in db.execute(
        f"SELECT domain, {_COLUMNS} FROM message WHERE last >= ? AND last < ? ORDER BY domain",  # noqa: S608
        (since, until),
    ):
        yield domain, _message(values)


def uncovered_messages(db: sqlite3.Connection, domain: str) -> Iterator[Message]:
    """Yield the messages of one domain that were first tried from a network where no list covers some client.

    Their truth values are numbers: thousands are summed up at a scrape, and making objects takes most of the time.
    """
    query = (
        f"SELECT {_COLUMNS} FROM message WHERE domain = (SELECT id FROM domain WHERE name = ?1) "  # noqa: S608
        "AND network IN (SELECT network FROM client "
        "WHERE verdict = 0 AND domain = (SELECT id FROM domain WHERE name = ?1))"
    )
    return cast("Iterator[Message]", db.execute(query, (domain,)))


def _latest(db: sqlite3.Connection, identities: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Message]:
    """Return the latest message of each domain's number and key that has one."""
    rows = db.execute(
        f"SELECT domain, message.key, {_COLUMNS} FROM json_each(?) AS wanted JOIN message "  # noqa: S608
        "ON domain = wanted.value ->> 0 AND message.key = wanted.value ->> 1 ORDER BY first",
        (json.dumps(identities),),
    )
    return {(domain, key): _message(values) for domain, key, *values in rows}


def _message(values: Sequence[Any]) -> Message:
    message = Message(*values)
    return message._replace(moved=bool(message.moved), line=bool(message.line))


def _bound(delay: float) -> float:
    at = bisect_left(DELAY_BOUNDS, delay)
    return DELAY_BOUNDS[at] if at < len(DELAY_BOUNDS) else float("inf")
