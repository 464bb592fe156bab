"""A state with as many domains as an attacker can make names, written at once and not by way of a log."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.state.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from postgrey_exporter.window import Window

MAX_DOMAINS: Final = 1_000
_LARGEST_CLIENTS: Final = 3_000


def fill(state: Path, window: Window, domains: int, unnamed: int) -> None:
    """Write a state with so many domains, and clients without a name.

    A domain has three clients and as many messages; every five hundredth a pool's hundred, the very first thousands.
    """
    now = time.time()
    hour = int(now // 3600)
    with closing(Store(state, window=window, max_domains=MAX_DOMAINS)):
        pass
    chance = random.Random(domains)
    clients: list[tuple[int, str, str, int, int, int, int, int]] = []
    rows: list[tuple[int, str, bool, int, int, int, int]] = []
    messages: list[tuple[int, int, float, float, int, bool, float | None, int]] = []
    for number in range(domains + 1):
        name = f"d{number}.home.arpa" if number else UNKNOWN
        count = unnamed if not number else _LARGEST_CLIENTS if number == 1 else 100 if number % 500 == 1 else 3
        total = 0
        for _ in range(count):
            address = f"198.18.{chance.randrange(256)}.{chance.randrange(256)}"
            octets = [int(octet) for octet in address.split(".")]
            network = octets[0] << 16 | octets[1] << 8 | octets[2]
            attempts = chance.randrange(1, 12)
            host = f"m{chance.randrange(100)}.{name}" if number else UNKNOWN
            clients.append((chance.getrandbits(62), host, address, number + 1, network, 0, hour, attempts))
            first = now - chance.randrange(6 * 86400)
            accepted = first + 900 if chance.random() < 0.5 else None
            messages.append((number + 1, chance.getrandbits(62), first, first + 900, network, count > 3, accepted, 0))
            total += attempts
        rows.append((number + 1, name, number <= MAX_DOMAINS, total, total // 9, total, hour))
    with closing(sqlite3.connect(state)) as db, db:
        db.executemany(
            "INSERT INTO domain (id, name, labelled, new, early_retry, unreviewed, last_hour) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.executemany("INSERT INTO client VALUES (?, ?, ?, ?, ?, ?, ?, ?)", clients)
        db.execute("INSERT INTO attempt SELECT last_hour, id, attempts, 0 FROM client")
        db.executemany(
            "INSERT INTO message (domain, key, first, last, network, moved, accepted, line) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            messages,
        )
        db.execute("INSERT OR REPLACE INTO meta VALUES ('looked_at', ?)", (now,))
