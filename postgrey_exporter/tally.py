"""Counts of decisions, added up in memory: a report's result, or what the service merges into its store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postgrey_exporter.addresses import network_number
from postgrey_exporter.clientnames import is_customer_line
from postgrey_exporter.decision import GREYLIST, NEW, Client
from postgrey_exporter.domains import registrable_domain
from postgrey_exporter.messages import Attempt, Message, replay
from postgrey_exporter.parser import DECISION, FOREIGN, MALFORMED, NO_DECISION
from postgrey_exporter.window import hour_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgrey_exporter.parser import Parsed


@dataclass(slots=True)
class Attempts:
    """Greylisted delivery attempts, by reason."""

    new: int = 0
    early_retry: int = 0

    @property
    def total(self) -> int:
        """Attempts whatever the reason."""
        return self.new + self.early_retry


@dataclass(slots=True)
class Tally:
    """What some lines of a log add up to."""

    lists_changed: float = float("inf")
    """Since when the whitelists stand as they are: greylistings after it are counted apart, by client."""
    wanted: Callable[[float], bool] | None = None
    """Which moments count, where not all do."""
    decisions: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    """By hour, action and reason."""
    lines: Counter[str] = field(default_factory=Counter)
    """By outcome, see `parser.OUTCOMES`."""
    greylisted: dict[Client, dict[int, Attempts]] = field(default_factory=dict)
    """By client and hour."""
    since_lists_changed: Counter[Client] = field(default_factory=Counter)
    """Greylisted attempts after `lists_changed`."""
    first_event: float | None = None
    """The earliest moment of a decision."""
    last_event: float | None = None
    """The latest moment of a decision."""
    messages: dict[tuple[str, int], list[Attempt]] = field(default_factory=dict)
    """By domain and message key: what was tried, in the order of the log."""
    cells: int = 0
    """How many (client, hour) and attempts there are: the measure of its size in memory."""
    _places: dict[Client, tuple[str, int, bool]] = field(default_factory=dict)
    """By client: its domain, the number of its network, and whether it is a customer's line."""

    def add(self, parsed: Parsed) -> None:
        """Add what a block of lines held."""
        lines = self.lines
        lines[DECISION] += len(parsed.decisions)
        lines[NO_DECISION] += parsed.no_decision
        lines[FOREIGN] += parsed.foreign
        lines[MALFORMED] += parsed.malformed
        for moment, action, reason, client, delay, message in parsed.decisions:
            if self.wanted is not None and not self.wanted(moment):
                continue
            hour = hour_of(moment)
            self.decisions[hour, action, reason] += 1
            if self.last_event is None or moment > self.last_event:
                self.last_event = moment
            if self.first_event is None or moment < self.first_event:
                self.first_event = moment
            self._add_to_message(client, message, moment, action is not GREYLIST, delay)
            if action is not GREYLIST:
                continue
            attempts = self._attempts(client, hour)
            if reason is NEW:
                attempts.new += 1
            else:
                attempts.early_retry += 1
            if moment > self.lists_changed:
                self.since_lists_changed[client] += 1

    def decision_totals(self) -> Counter[tuple[str, str]]:
        """Return the decisions by action and reason."""
        totals: Counter[tuple[str, str]] = Counter()
        for (_hour, action, reason), count in self.decisions.items():
            totals[action, reason] += count
        return totals

    def by_client(self) -> Iterator[tuple[Client, int, int]]:
        """Yield each client with how often it was greylisted as new and as an early retry."""
        for client, hours in self.greylisted.items():
            attempts = hours.values()
            yield client, sum(hour.new for hour in attempts), sum(hour.early_retry for hour in attempts)

    def by_domain(self) -> Iterator[tuple[str, Message]]:
        """Yield the messages of each domain."""
        for (domain, _key), attempts in self.messages.items():
            for message in replay(None, sorted(attempts, key=lambda attempt: attempt.time)):
                yield domain, message

    def _add_to_message(self, client: Client, key: int, moment: float, passed: bool, delay: int | None) -> None:
        place = self._places.get(client)
        if place is None:
            place = self._places[client] = (
                registrable_domain(client.name),
                network_number(client.address),
                is_customer_line(client.name, client.address),
            )
        domain, network, line = place
        self.messages.setdefault((domain, key), []).append(Attempt(moment, network, passed, delay, line))
        self.cells += 1

    def _attempts(self, client: Client, hour: int) -> Attempts:
        hours = self.greylisted.get(client)
        if hours is None:
            hours = self.greylisted[client] = {}
        attempts = hours.get(hour)
        if attempts is None:
            attempts = hours[hour] = Attempts()
            self.cells += 1
        return attempts
