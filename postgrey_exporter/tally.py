"""Counts of decisions, added up in memory: a report's result, or what the service merges into its store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postgrey_exporter.decision import GREYLIST, NEW, Client
from postgrey_exporter.messages import Attempt, Message, replay
from postgrey_exporter.parser import DECISION, FOREIGN, MALFORMED, NO_DECISION
from postgrey_exporter.places import place_of
from postgrey_exporter.window import HOUR, hour_of

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

    def add(self, parsed: Parsed) -> None:
        """Add what a block of lines held."""
        lines = self.lines
        lines[DECISION] += len(parsed.decisions)
        lines[NO_DECISION] += parsed.no_decision
        lines[FOREIGN] += parsed.foreign
        lines[MALFORMED] += parsed.malformed
        decisions = parsed.decisions
        if self.wanted is not None:
            decisions = [decision for decision in decisions if self.wanted(decision.time)]
        if decisions:
            self._note_moments([decision.time for decision in decisions])
        hour = begin = end = 0
        for moment, action, reason, client, delay, message in decisions:
            if not begin <= moment < end:
                hour = hour_of(moment)
                begin, end = hour * HOUR, (hour + 1) * HOUR
            self.decisions[hour, action, reason] += 1
            passed = action is not GREYLIST
            domain, network, line = place_of(client)
            attempt = Attempt(moment, network, passed, delay, line)
            attempts = self.messages.get((domain, message))
            if attempts is None:
                self.messages[domain, message] = [attempt]
            else:
                attempts.append(attempt)
            if not passed:
                self._add_greylisted(client, hour, reason)
                if moment > self.lists_changed:
                    self.since_lists_changed[client] += 1
        self.cells += len(decisions)

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

    def _note_moments(self, moments: list[float]) -> None:
        first, last = min(moments), max(moments)
        self.first_event = first if self.first_event is None else min(first, self.first_event)
        self.last_event = last if self.last_event is None else max(last, self.last_event)

    def _add_greylisted(self, client: Client, hour: int, reason: str) -> None:
        hours = self.greylisted.get(client)
        if hours is None:
            hours = self.greylisted[client] = {}
        attempts = hours.get(hour)
        if attempts is None:
            attempts = hours[hour] = Attempts()
            self.cells += 1
        if reason is NEW:
            attempts.new += 1
        else:
            attempts.early_retry += 1
