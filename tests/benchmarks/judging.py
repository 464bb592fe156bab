"""Lists of thousands of entries against clients by the hundred thousand: what `explain` and a list edit cost.

Run as a program it prints the seconds that judging all clients of a state anew takes:

    python -m benchmarks.judging FOLDER CLIENTS ENTRIES [UNUSUAL_PATTERNS]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.tallies import add

from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.decision import GREYLIST, NEW, Client, Decision
from postgrey_exporter.lists import ListFiles, Lists
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW: Final = 1_790_000_000.0
_PORTION: Final = 20_000


def write_list(path: Path, entries: int) -> None:
    """Write a whitelist: names, patterns and networks in equal parts."""
    forms = (
        "relay{n}.example.net",
        r"/\.pool{n}\.example\.com$/",
        "198.{a}.{b}.0/24",
    )
    lines = (forms[n % 3].format(n=n, a=18 + n // 3 // 250 % 2, b=n // 3 % 250) for n in range(entries))
    path.write_text("".join(f"{line}\n" for line in lines))


def add_unusual(path: Path, count: int) -> None:
    """Add patterns that don't tell how the names end, or tell it in an unusual way."""
    forms = (
        r"/^(?!dyn)relay{n}[0-9]*\.provider{n}\.example\b/",
        r"/(?<=mx)[[:digit:]]+\.provider{n}\.example\.net$/",
        r"/^out-{n}-\w++\.example/",
        r"/^(?<host>mta|smtp)\d\.\k<host>\.provider{n}\.example\.org$/",
    )
    with path.open("a") as file:
        file.writelines(f"{forms[n % 4].replace('{n}', str(n))}\n" for n in range(count))


def clients(count: int) -> Iterator[Client]:
    """Yield distinct clients, some of which the list covers."""
    for n in range(count):
        domain = ("example.com", "example.net", "example.org")[n % 3]
        yield Client(f"out{n}.pool{n % 20_000}.{domain}", f"203.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")


def main() -> None:
    """Fill a state and judge it by a list."""
    folder, count, entries = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store = Store(folder / "judged.sqlite3", window=Window(), max_domains=1000)
    keyed = Parser(secret=store.secret()).keyed
    tally = Increment(keyed)
    for n, client in enumerate(clients(count), start=1):
        add(tally, Decision(NOW, GREYLIST, NEW, client, None, n))
        if n % _PORTION == 0 or n == count:
            store.merge("log", tally, {}, Lists(), NOW)
            tally = Increment(keyed)
    write_list(folder / "whitelist", entries)
    add_unusual(folder / "whitelist", int(sys.argv[4]) if sys.argv[4:] else 0)
    lists = ListFiles([folder / "whitelist"], [])
    begun = time.perf_counter()
    lists.refresh(NOW)
    store.judge(lists.lists, lists.fingerprint)
    print(time.perf_counter() - begun)
    store.close()


if __name__ == "__main__":
    main()
