"""The exporter's advice on a simulated week, held against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.lists import Lists, read_whitelist
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.summary.domain import DomainStanding, standings
from simulation.cast import WEEK
from simulation.week import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulation.cast import Sender
    from simulation.week import Week

THRESHOLD: Final = 15
"""Attempts from which on a domain is to be decided on, and its advice counts here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was advised on one domain, and what is to be said against it."""

    sender: Sender
    standing: DomainStanding
    fault: str | None
    """In what the advice is wrong; none if it is right."""

    @property
    def is_strict(self) -> bool:
        """Whether the advice is right without the exception for names that say nothing."""
        return self.fault is None and self.standing.advice.kind == self.sender.right

    @property
    def counts(self) -> bool:
        """Whether the domain reached the threshold."""
        return self.standing.to_review >= THRESHOLD


def judge(senders: Iterable[Sender], week: Week, lists: Lists | None = None) -> list[Verdict]:
    """Return a verdict for each domain that was greylisted, in the order of the senders."""
    parser = Parser()
    tally = Tally(parser.keyed)
    end = START.timestamp() + WEEK
    tally.add(parser.read("".join(week.lines).encode(), end))
    known = {standing.domain: standing for standing in standings(tally.facts(), lists or Lists(), end).domains}
    greylisted = {tuple(client) for client, _, _ in tally.clients()}
    verdicts = []
    for sender in senders:
        standing = known.get(sender.domain)
        if standing is not None:
            seen = {tuple(host) for host in sender.pool} & greylisted
            verdicts.append(Verdict(sender, standing, _fault(sender, standing, seen)))
    return verdicts


def _fault(sender: Sender, standing: DomainStanding, seen: set[tuple[str, ...]]) -> str | None:
    advice = standing.advice
    if advice.kind != sender.right and (advice.kind != "look" or sender.is_named_clearly):
        return f"should be {sender.right}"
    if advice.entry is None or (advice.kind == "look" and sender.kind != "bots and servers"):
        return None
    line = Lists([read_whitelist(f"{advice.entry}\n".encode(), "proposed")])
    missed = [name for name, address in seen if not line.covers(name, address)]
    if missed:
        return f"misses {len(missed)} of {len(seen)} servers, such as {missed[0]}"
    let_in = [bot.name for bot in sender.bots if line.covers(*bot)]
    if let_in:
        return f"covers {len(let_in)} bots, such as {let_in[0]}"
    return None
