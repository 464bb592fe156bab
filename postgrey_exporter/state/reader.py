"""Reading the state while its writer goes on."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from os.path import samestat
from typing import TYPE_CHECKING, Any, Final

from postgrey_exporter.counting.evidence import Totals
from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.decision import Client
from postgrey_exporter.state.clients import IN_WINDOW
from postgrey_exporter.state.connection import open_readable, translated
from postgrey_exporter.state.domains import DEFAULT_MAX_DOMAINS
from postgrey_exporter.state.messages import messages_by_domain, messages_of, uncovered_messages
from postgrey_exporter.state.snapshot import take_snapshot, unreviewed_domains
from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from postgrey_exporter.counting.evidence import Evidence
    from postgrey_exporter.state.snapshot import Snapshot

_FAR_HOUR: Final = 1 << 40
_NUMBER: Final = "(SELECT id FROM domain WHERE name = ?)"
_TOTALS: Final = (
    "(SELECT client, sum(new) AS new, sum(early_retry) AS early_retry FROM attempt WHERE hour BETWEEN ? AND ? "
    "GROUP BY client) AS total ON total.client = client.id"
)
"""The clients' attempts between two hours."""
_NO_MESSAGES: Final[tuple[float, Iterable[tuple[Any, ...]]]] = (float("inf"), ())


class StateReader:
    """A reading connection to the state."""

    def __init__(self, path: Path, *, max_domains: int = DEFAULT_MAX_DOMAINS) -> None:
        """Open the state. Raises `StateError` if it can't be read."""
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
        """Return the counts as of one commit, of the file that has the state's name now. Raises `StateError`."""
        self._follow_name()
        with translated(self._path):
            self._db.execute("BEGIN")
            try:
                return take_snapshot(self._db, self._max_domains)
            finally:
                self._db.execute("ROLLBACK")

    def clients(self, first_hour: int, last_hour: int | None = None) -> Iterator[tuple[Client, int, int]]:
        """Yield each client with its new attempts and early retries between two hours. Raises `StateError`."""
        query = f"SELECT name, address, total.new, total.early_retry FROM client JOIN {_TOTALS}"  # noqa: S608
        with translated(self._path):
            for name, address, new, early_retry in self._db.execute(query, (first_hour, _last(last_hour))):
                yield Client(name, address), new, early_retry

    def decisions(self, first_hour: int, last_hour: int | None = None) -> dict[tuple[str, str], int]:
        """Return the decisions by action and reason between two hours. Raises `StateError`."""
        query = (
            "SELECT action, reason, sum(total) FROM decision_hour WHERE hour BETWEEN ? AND ? GROUP BY action, reason"
        )
        with translated(self._path):
            rows = self._db.execute(query, (first_hour, _last(last_hour)))
            return {(action, reason): total for action, reason, total in rows}

    def facts(self, first_hour: int, last_hour: int | None = None) -> Iterator[DomainFacts]:
        """Yield the domains greylisted between two hours, with the messages last tried then. Raises `StateError`."""
        query = (
            "SELECT client.domain, domain.name, client.name, address, total.new, total.early_retry "  # noqa: S608
            f"FROM client JOIN domain ON domain.id = client.domain JOIN {_TOTALS} ORDER BY client.domain"
        )
        with translated(self._path):
            attempts = self._db.execute(query, (first_hour, _last(last_hour)))
            messages = groupby(
                messages_by_domain(self._db, first_hour * HOUR, (_last(last_hour) + 1) * HOUR), key=itemgetter(0)
            )
            at, own = next(messages, _NO_MESSAGES)
            for (number, domain), rows in groupby(attempts, key=itemgetter(0, 1)):
                while at < number:
                    at, own = next(messages, _NO_MESSAGES)
                known = (row[1:] for row in own) if at == number else ()
                yield _facts(domain, known, map(itemgetter(2, 3, 4, 5), rows))

    def totals(self, domain: str, most: int) -> Totals | None:
        """Return a domain's totals inside the window, with all attempts as new ones. Raises `StateError`.

        Returns ``None`` for a domain with more than ``most`` clients.
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
        """Yield the facts of a domain greylisted in the window; all attempts count as new. Raises `StateError`."""
        with translated(self._path):
            query = f"SELECT name, address, attempts, 0 FROM client WHERE domain = {_NUMBER}"  # noqa: S608
            clients = self._db.execute(query, (domain,)).fetchall()
            if clients:
                yield _facts(domain, messages_of(self._db, domain), clients)

    def evidence(self, domains: Iterable[str], now: float) -> dict[str, tuple[Evidence, int]]:
        """Return the evidence and the number of networks of each domain's uncovered clients. Raises `StateError`."""
        query = (
            "SELECT count(DISTINCT network) FROM client "  # noqa: S608
            f"WHERE verdict = 0 AND domain = {_NUMBER} AND {IN_WINDOW}"
        )
        with translated(self._path):
            return {
                domain: (
                    _facts(domain, uncovered_messages(self._db, domain)).evidence(now),
                    self._db.execute(query, (domain,)).fetchone()[0],
                )
                for domain in domains
            }

    def unreviewed_domains(self) -> dict[str, int]:
        """Return the attempts of the domains that are shown as unreviewed, most first. Raises `StateError`."""
        with translated(self._path):
            return unreviewed_domains(self._db, self._max_domains)

    def lines(self) -> dict[str, int]:
        """Return how many lines were read since the state began, by outcome and sign. Raises `StateError`."""
        with translated(self._path):
            return dict(self._db.execute("SELECT outcome, sum(total) FROM source_lines GROUP BY outcome"))

    def looked_at(self) -> float | None:
        """Return when the sources were last looked at, in seconds since the epoch. Raises `StateError`."""
        with translated(self._path):
            row = self._db.execute("SELECT value FROM meta WHERE key = 'looked_at'").fetchone()
        return None if row is None else row[0]

    def _follow_name(self) -> None:
        """Open the state anew if its name belongs to another file by now; keep reading one that was deleted."""
        try:
            about = self._path.stat()
        except OSError:
            return
        if not samestat(about, self._about):
            before, self._db, self._about = self._db, open_readable(self._path), about
            before.close()


def _facts(domain: str, messages: Iterable[Iterable[Any]], clients: Iterable[Iterable[Any]] = ()) -> DomainFacts:
    facts = DomainFacts(domain)
    for client in clients:
        facts.add_client(*client)
    for message in messages:
        facts.add_message(*message)
    return facts


def _last(hour: int | None) -> int:
    return _FAR_HOUR if hour is None else hour
