"""The store's running sums against a count of the same attempts one by one, at many moments of a changing world."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.tallies import tally_of

from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain
from postgrey_exporter.decision import EARLY_RETRY, GREYLIST, NEW, Client, Decision
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.state.domains import OTHER
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import HOUR, Window

WINDOW: Final = Window(3)
CLIENTS: Final = tuple(
    Client(name, address)
    for name, address in (
        ("a.example.com", "192.0.2.1"),
        ("a.example.com", "192.0.2.2"),
        ("b.example.com", "198.51.100.1"),
        ("c.example.com", "198.51.100.2"),
        ("mail.example.net", "203.0.113.1"),
        ("mail.example.org", "203.0.113.2"),
        ("mx.outlook.com", "198.18.0.1"),
        ("unknown", "198.18.1.1"),
        ("unknown", "198.18.2.1"),
    )
)
# Thousands of commits: in memory, where the system has a place for that.
MEMORY: Final = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)  # noqa: S108
NAMES: Final = sorted({client.name for client in CLIENTS} - {UNKNOWN})
LISTED: Final = st.tuples(
    st.sets(st.sampled_from([client.address for client in CLIENTS])), st.sets(st.sampled_from(NAMES))
)
"""The addresses that a whitelist covers, and the names that an ignore file does."""
# Hours before the present: of the window, of long ago as in an old archive, and of a clock that runs ahead.
ATTEMPTS: Final = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS),
        st.integers(-2, 8),
        st.sampled_from([NEW, NEW, EARLY_RETRY]),
    ),
    max_size=8,
)


def lists_of(addresses: set[str], names: set[str]) -> Lists:
    whitelist, ignore = (
        "".join(f"{entry}\n" for entry in sorted(entries)).encode() for entries in (addresses, names)
    )
    return Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignore, "ignore")])


class Window3Hours(RuleBasedStateMachine):
    """Merges, passing time, edited lists and restarts in any order."""

    @initialize(max_domains=st.integers(1, 6), listed=LISTED)
    def begin(self, max_domains: int, listed: tuple[set[str], set[str]]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="window-", dir=MEMORY)
        self.path = Path(self.folder.name) / "state.sqlite3"
        self.now = 1000.5 * HOUR
        self.newest = -1 << 40
        self.has_gone_back = False
        self.attempts: list[tuple[Client, int, str]] = []
        self.total: Counter[tuple[str, str]] = Counter()
        self.max_domains = max_domains
        self.store = Store(self.path, window=WINDOW, max_domains=max_domains)
        self.edit_lists(listed)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(listed=LISTED)
    def edit_lists(self, listed: tuple[set[str], set[str]]) -> None:
        self.listed = listed
        self.lists = lists_of(*listed)
        self.store.judge(self.lists, repr([sorted(entries) for entries in listed]))

    def is_listed(self, client: Client) -> bool:
        addresses, names = self.listed
        return client.address in addresses or client.name in names

    @rule(attempts=ATTEMPTS, source=st.sampled_from(["/var/log/mail.log", "/var/log/other.log"]))
    def read(self, attempts: list[tuple[Client, int, str]], source: str) -> None:
        hour_now = int(self.now // HOUR)
        tally = tally_of(
            *(
                Decision((hour_now - ago) * HOUR + 5, GREYLIST, reason, client, None)
                for client, ago, reason in attempts
            )
        )
        self.store.merge(source, tally, {}, self.lists, self.now)
        for client, ago, reason in attempts:
            self.total[GREYLIST, reason] += 1
            self.attempts.append((client, hour_now - ago, reason))
            self.newest = max(self.newest, hour_now - max(ago, 0))
        self.forget(self.now)

    @rule(hours=st.one_of(st.floats(-1.5, 5), st.sampled_from([-8760.0, -168.0, 168.0, 8760.0])))
    def time_passes(self, hours: float) -> None:
        self.now += hours * HOUR
        self.has_gone_back |= hours < 0
        self.store.prune(self.now)
        self.forget(self.now)
        self.store.note_look(self.now)

    @rule(hours=st.sampled_from([-8760.0, -1.0, 1.0, 168.0, 8760.0]))
    def the_clock_is_wrong_for_one_look(self, hours: float) -> None:
        self.has_gone_back = True
        for now in (self.now + hours * HOUR, self.now):
            self.store.prune(now)
            self.store.note_look(now)
            self.forget(now)

    @rule(max_domains=st.integers(1, 6))
    def restart(self, max_domains: int) -> None:
        self.store.close()
        self.max_domains = max_domains
        self.store = Store(self.path, window=WINDOW, max_domains=max_domains)

    def forget(self, now: float) -> None:
        """Forget what lies more than a window behind the clock and the newest attempt."""
        kept_hour = min(WINDOW.first_hour(now), self.newest - WINDOW.hours)
        self.attempts = [attempt for attempt in self.attempts if attempt[1] >= kept_hour]

    @invariant()
    def the_state_is_what_a_recount_says(self) -> None:
        if not hasattr(self, "store"):
            return
        reader = StateReader(self.path, max_domains=self.max_domains)
        try:
            kept = reader.snapshot()
            first_hour = WINDOW.first_hour(self.now)
            found = list(reader.clients(first_hour))
            by_hour = reader.decisions(first_hour)
        finally:
            reader.close()
        clients = Counter({(client, NEW): new for client, new, _ in found})
        clients += Counter({(client, EARLY_RETRY): early_retry for client, _, early_retry in found})
        window = [attempt for attempt in self.attempts if attempt[1] >= first_hour]
        uncovered = Counter(
            registrable_domain(client.name)
            for client, _, _ in window
            if client.name != UNKNOWN and not self.is_listed(client)
        )
        # Of equal ones, any may be left out.
        assert kept.unreviewed == {domain: uncovered[domain] for domain in kept.unreviewed}
        largest = sorted(uncovered.values(), reverse=True)[: self.max_domains]
        assert list(kept.unreviewed.values()) == largest
        assert kept.unreviewed_not_shown == len(uncovered) - len(largest)
        assert clients == Counter((client, reason) for client, _, reason in window)
        assert by_hour == Counter((GREYLIST, reason) for _, _, reason in window)
        assert kept.decisions == self.total

        labelled = {counter.domain for counter in kept.domains}
        assert kept.labels == len(labelled - {UNKNOWN, OTHER}) <= self.max_domains
        in_window = {registrable_domain(client.name) for client, _, _ in window}
        # Where the clock was ahead, attempts were dropped that are missing when it has gone back.
        ever = {registrable_domain(client.name) for client in CLIENTS}
        assert len(in_window - labelled) <= kept.folded <= len((ever if self.has_gone_back else in_window) - labelled)
        assert sum(counter.new + counter.early_retry for counter in kept.domains) <= self.total.total()


# Not shrunk: that takes minutes, and a failing run of fifteen steps can be read as it is.
Window3Hours.TestCase.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain}
)
TestWindow = Window3Hours.TestCase
