"""What the state holds at one moment, read without hindering its writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from os.path import samestat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.counting.evidence import Totals
from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.decision import Client
from postgrey_exporter.parsing.parser import FOREIGN
from postgrey_exporter.state.clients import IN_WINDOW
from postgrey_exporter.state.connection import open_readable, translated
from postgrey_exporter.state.domains import DEFAULT_MAX_DOMAINS, OTHER
from postgrey_exporter.state.messages import messages_by_domain, messages_of, uncovered_messages
from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from postgrey_exporter.counting.evidence import Evidence

_FAR_HOUR: Final = 1 << 40
_NO_MESSAGES: Final[tuple[float, Iterable[tuple[Any, ...]]]] = (float("inf"), ())


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
    """Domains of the window that have no label of their own."""
    lines: dict[tuple[str, str], int]
    """By source and outcome."""
    last_events: dict[str, float]
    """By source: the latest decision's time."""
    deliveries: tuple[tuple[float, int, float], ...] = ()
    """Of delivered messages: a bound of `message_store.DELAY_BOUNDS`, how many up to it, and their seconds in all."""
    given_up: int = 0
    """Messages dropped because there were too many."""
    future: dict[str, int] = field(default_factory=dict)
    """By source: how many decisions were stamped so far ahead that they were dated by their arrival."""


class StateReader:
    """A reading connection to the state."""

    def __init__(self, path: Path, *, max_domains: int = DEFAULT_MAX_DOMAINS) -> None:
        """Open the state. Raises `StateError` where it can't be read."""
        self._path = path
        self._max_domains = max_domains
        self._db = open_readable(path)
        self._about = path.stat()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def again(self) -> StateReader:
        """Return another connection to the same state, for another thread. Raises as the first did."""
        return StateReader(self._path, max_domains=self._max_domains)

    def snapshot(self) -> Snapshot:
        """Return the counts of one consistent state, by the file that has its name now. Raises `StateError`."""
        self._follow_name()
        with translated(self._path):
            self._db.execute("BEGIN")
            try:
                return self._snapshot(self._db)
            finally:
                self._db.execute("ROLLBACK")

    def clients(self, first_hour: int, last_hour: int | None = None) -> Iterator[tuple[Client, int, int]]:
        """Yield how often each client was greylisted as new and as an early retry from an hour on, or between two.

        Raises `StateError`.
        """
        with translated(self._path):
            for name, address, new, early_retry in self._db.execute(
                """
                SELECT name, address, total.new, total.early_retry FROM client JOIN (
                    SELECT client, sum(new) AS new, sum(early_retry) AS early_retry
                    FROM attempt WHERE hour BETWEEN ? AND ? GROUP BY client
                ) AS total ON total.client = client.id
                """,
                (first_hour, _last(last_hour)),
            ):
                yield Client(name, address), new, early_retry

    def decisions(self, first_hour: int, last_hour: int | None = None) -> dict[tuple[str, str], int]:
        """Return the decisions from an hour on, or between two, by action and reason. Raises `StateError`."""
        with translated(self._path):
            rows = self._db.execute(
                "SELECT action, reason, sum(total) FROM decision_hour WHERE hour BETWEEN ? AND ? "
                "GROUP BY action, reason",
                (first_hour, _last(last_hour)),
            ).fetchall()
        return {(action, reason): total for action, reason, total in rows}

    def facts(self, first_hour: int, last_hour: int | None = None) -> Iterator[DomainFacts]:
        """Yield the domains that were greylisted from an hour on, or between two. Raises `StateError`.

        Messages are those last tried then.
        """
        with translated(self._path):
            attempts = self._db.execute(
                """
                SELECT client.domain, domain.name, client.name, address, total.new, total.early_retry
                FROM client JOIN domain ON domain.id = client.domain JOIN (
                    SELECT client, sum(new) AS new, sum(early_retry) AS early_retry
                    FROM attempt WHERE hour BETWEEN ? AND ? GROUP BY client
                ) AS total ON total.client = client.id
                ORDER BY client.domain
                """,
                (first_hour, _last(last_hour)),
            )
            messages = groupby(
                messages_by_domain(self._db, first_hour * HOUR, (_last(last_hour) + 1) * HOUR), key=itemgetter(0)
            )
            at, own = next(messages, _NO_MESSAGES)
            for (number, domain), rows in groupby(attempts, key=itemgetter(0, 1)):
                facts = DomainFacts(domain)
                for _, _, name, address, new, early_retry in rows:
                    facts.add_client(name, address, new, early_retry)
                while at < number:
                    at, own = next(messages, _NO_MESSAGES)
                if at == number:
                    for _, *message in own:
                        facts.add_message(*message)
                yield facts

    def totals(self, domain: str, most: int) -> Totals | None:
        """Return how often a domain's clients were greylisted inside the window as kept, all attempts as new.

        Nothing is returned of a domain with more than ``most`` clients. Raises `StateError`.
        """
        with translated(self._path):
            clients, *known = self._db.execute(
                """
                SELECT count(*), count(DISTINCT network), total(attempts),
                    total(attempts) FILTER (WHERE verdict = 0), max(verdict = 1), max(verdict = 2)
                FROM (
                    SELECT network, attempts, verdict FROM client
                    WHERE domain = (SELECT id FROM domain WHERE name = ?) LIMIT ?
                )
                """,
                (domain, most + 1),
            ).fetchone()
        if clients > most:
            return None
        networks, attempts, unreviewed, is_whitelisted, is_ignored = known
        return Totals(int(attempts), 0, clients, networks, int(unreviewed), bool(is_whitelisted), bool(is_ignored))

    def facts_of(self, domain: str) -> Iterator[DomainFacts]:
        """Yield the facts of one domain, if it was greylisted inside the window as kept. Raises `StateError`.

        Its clients are found by an index that does not tell attempts apart: all of them count as new.
        """
        with translated(self._path):
            clients = self._db.execute(
                "SELECT name, address, attempts FROM client WHERE domain = (SELECT id FROM domain WHERE name = ?)",
                (domain,),
            ).fetchall()
            if clients:
                facts = DomainFacts(domain)
                for name, address, attempts in clients:
                    facts.add_client(name, address, attempts, 0)
                for message in messages_of(self._db, domain):
                    facts.add_message(*message)
                yield facts

    def evidence(self, domains: Iterable[str], now: float) -> dict[str, tuple[Evidence, int]]:
        """Return for each domain what became of its uncovered clients' messages, and the number of their networks.

        A list's new entry takes effect at once, as it does on the attempts. Raises `StateError`.
        """
        with translated(self._path):
            return {domain: (self._evidence(domain, now), self._networks(domain)) for domain in domains}

    def unreviewed_domains(self) -> dict[str, int]:
        """Return the domains that are shown as unreviewed with their attempts, most first. Raises `StateError`.

        Of equals those are shown that have been known longest: however many new ones come, they take no place.
        """
        with translated(self._path):
            shown = self._db.execute(
                "SELECT name, unreviewed FROM domain WHERE unreviewed > 0 AND name <> ? "
                "ORDER BY unreviewed DESC, id LIMIT ?",
                (UNKNOWN, self._max_domains),
            ).fetchall()
        return dict(sorted(shown, key=lambda row: (-row[1], row[0])))

    def _follow_name(self) -> None:
        """Open the state anew where another file has its name by now; one that is gone is read on."""
        try:
            about = self._path.stat()
        except OSError:
            return
        if not samestat(about, self._about):
            before, self._db, self._about = self._db, open_readable(self._path), about
            before.close()

    def _evidence(self, domain: str, now: float) -> Evidence:
        facts = DomainFacts(domain)
        for message in uncovered_messages(self._db, domain):
            facts.add_message(*message)
        return facts.evidence(now)

    def _networks(self, domain: str) -> int:
        query = (
            "SELECT count(DISTINCT network) FROM client "  # noqa: S608
            f"WHERE verdict = 0 AND domain = (SELECT id FROM domain WHERE name = ?) AND {IN_WINDOW}"
        )
        count: int = self._db.execute(query, (domain,)).fetchone()[0]
        return count

    def postgrey_lines(self) -> int:
        """Return how many lines of postgrey's were read since the state was begun. Raises `StateError`."""
        with translated(self._path):
            query = "SELECT coalesce(sum(total), 0) FROM source_lines WHERE outcome <> ?"
            total: int = self._db.execute(query, (FOREIGN,)).fetchone()[0]
        return total

    def looked_at(self) -> float | None:
        """Return when the sources were last looked at, in seconds since the epoch. Raises `StateError`."""
        with translated(self._path):
            row = self._db.execute("SELECT value FROM meta WHERE key = 'looked_at'").fetchone()
        return None if row is None else row[0]

    def _snapshot(self, db: sqlite3.Connection) -> Snapshot:
        unreviewed = self.unreviewed_domains()
        # Two counts, for each of which an index is enough.
        (all_to_review,) = db.execute(
            "SELECT (SELECT count(*) FROM domain WHERE unreviewed > 0) "
            "- (SELECT count(*) FROM domain WHERE unreviewed > 0 AND name = ?)",
            (UNKNOWN,),
        ).fetchone()
        domains = tuple(
            DomainCounter(*row)
            # Sorted here: SQLite would go through all domains by name.
            for row in sorted(db.execute("SELECT name, new, early_retry, ineffective FROM domain WHERE labelled"))
        )
        (folded,) = db.execute(
            "SELECT count(*) FROM domain WHERE NOT labelled "
            "AND last_hour >= (SELECT value FROM meta WHERE key = 'first_hour')"
        ).fetchone()
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
            last_events=dict(
                db.execute("SELECT name, last_event FROM source WHERE last_event IS NOT NULL").fetchall()
            ),
            future=dict(db.execute("SELECT name, future FROM source").fetchall()),
        )


def _last(hour: int | None) -> int:
    return _FAR_HOUR if hour is None else hour
