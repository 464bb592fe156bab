"""Counts of decisions, added up in memory: a report's result, or what the service merges into its store."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

from postgrey_exporter.clientnames import ClientKind
from postgrey_exporter.decision import GREYLIST, NEW
from postgrey_exporter.facts import ClientAttempts, DomainFacts
from postgrey_exporter.messages import Attempt, replay
from postgrey_exporter.parser import DECISION, FOREIGN, MALFORMED, NO_DECISION
from postgrey_exporter.places import place_of
from postgrey_exporter.window import hour_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from postgrey_exporter.decision import Client, Decision
    from postgrey_exporter.messages import Message
    from postgrey_exporter.parser import Parsed


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
    greylisted: Counter[tuple[Client, int, str]] = field(default_factory=Counter)
    """Attempts by client, hour and reason."""
    since_lists_changed: Counter[Client] = field(default_factory=Counter)
    """Greylisted attempts after `lists_changed`."""
    first_event: float | None = None
    """The earliest moment of a decision."""
    last_event: float | None = None
    """The latest moment of a decision."""
    messages: defaultdict[tuple[str, int], list[Attempt]] = field(default_factory=lambda: defaultdict(list))
    """By domain and message key: what was tried, in the order of the log."""
    _attempts: int = 0

    @property
    def cells(self) -> int:
        """How many counts and attempts it holds: the measure of its size in memory."""
        return len(self.greylisted) + self._attempts

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
            self._add(decisions)

    def decision_totals(self) -> Counter[tuple[str, str]]:
        """Return the decisions by action and reason."""
        totals: Counter[tuple[str, str]] = Counter()
        for (_hour, action, reason), count in self.decisions.items():
            totals[action, reason] += count
        return totals

    def by_client(self) -> Iterator[ClientAttempts]:
        """Yield each client with how often it was greylisted."""
        totals: defaultdict[Client, list[int]] = defaultdict(lambda: [0, 0])
        for (client, _hour, reason), count in self.greylisted.items():
            totals[client][reason is not NEW] += count
        for client, (new, early_retry) in totals.items():
            yield ClientAttempts(client, new, early_retry)

    def facts(self) -> Iterator[DomainFacts]:
        """Yield the domains that were greylisted."""
        messages: defaultdict[str, list[list[Attempt]]] = defaultdict(list)
        for (domain, _key), attempts in self.messages.items():
            messages[domain].append(attempts)
        clients: defaultdict[str, list[ClientAttempts]] = defaultdict(list)
        for one in self.by_client():
            clients[place_of(one.client).domain].append(one)
        for domain, its_clients in clients.items():
            yield DomainFacts(domain, its_clients, _replayed(messages[domain]))

    def _add(self, decisions: Sequence[Decision]) -> None:
        """Add decisions, by columns: most of the counting is then the interpreter's own work."""
        moments, actions, reasons, clients, delays, keys = zip(*decisions, strict=True)
        self._note_moments(min(moments), max(moments))
        hours = list(map(hour_of, moments))
        refused = [action is GREYLIST for action in actions]
        self.decisions.update(zip(hours, actions, reasons, strict=True))
        self.greylisted.update(compress(zip(clients, hours, reasons, strict=True), refused))
        if max(moments) > self.lists_changed:
            late = [moment > self.lists_changed for moment in compress(moments, refused)]
            self.since_lists_changed.update(compress(compress(clients, refused), late))
        messages = self.messages
        places = map(place_of, clients)
        for (domain, network, kind), key, moment, is_refused, delay in zip(
            places, keys, moments, refused, delays, strict=True
        ):
            attempt = Attempt(moment, network, not is_refused, delay, kind is ClientKind.LINE)
            messages[domain, key].append(attempt)
        self._attempts += len(decisions)

    def _note_moments(self, first: float, last: float) -> None:
        self.first_event = first if self.first_event is None else min(first, self.first_event)
        self.last_event = last if self.last_event is None else max(last, self.last_event)


def _replayed(keys: Iterable[Sequence[Attempt]]) -> Iterator[Message]:
    """Yield the messages that became of attempts, given for each key."""
    for attempts in keys:
        yield from replay(None, sorted(attempts, key=lambda attempt: attempt.time))
