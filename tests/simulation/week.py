"""One simulated week through a real postgrey: who connects, what it says, and who comes back because of it."""

from __future__ import annotations

import heapq
import os
import random
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from support.parts import Postgrey

from simulation.cast import WEEK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sample.world import Host, Message

    from simulation.cast import Sender

START: Final = datetime(2024, 3, 4, tzinfo=UTC)


class _Attempt(NamedTuple):
    """One attempt to come, for one recipient; sorts by time."""

    at: float
    number: int
    message: Message
    recipient: str
    host: Host
    tries: int
    chance: random.Random
    """Its own, so that what becomes of other mails changes nothing for this one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mail to one recipient, as its sender sees it."""

    domain: str
    host: Host
    """Where it was first tried from."""
    delay: float | None
    """Seconds from the first attempt to the acceptance; none if it was never accepted."""
    tries: int


@dataclass(slots=True)
class Week:
    """What was logged, and what became of the mails."""

    lines: list[str] = field(default_factory=list)
    """postgrey's decisions with a syslog header."""
    outcomes: list[Outcome] = field(default_factory=list)


@contextmanager
def daemon(whitelist_files: Sequence[Path] = ()) -> Iterator[Postgrey]:
    """Run a postgrey that has seen nothing yet, in memory where there is a file system for it.

    It writes to its databases at every decision, which takes most of a week's time on a disk.
    """
    memory = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
    with (
        tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder,
        Postgrey(dbdir=Path(folder), whitelist_files=whitelist_files) as postgrey,
    ):
        yield postgrey


def simulate(senders: Iterable[Sender], postgrey: Postgrey, seed: int, start: datetime = START) -> Week:
    """Let the senders try to deliver for a week, each again as long as it is refused and has patience."""
    week = Week()
    domains: dict[int, str] = {}
    due: list[_Attempt] = []
    for sender in senders:
        for mail in sender.mails:
            for recipient in mail.recipients:
                domains[len(due)] = sender.domain
                chance = random.Random(f"{seed} {len(due)}")
                host = chance.choice(mail.origin.hosts)
                due.append(_Attempt(mail.born, len(due), mail, recipient, host, 1, chance))
    firsts = {attempt.number: attempt.host for attempt in due}
    heapq.heapify(due)
    with postgrey.output.open() as said:
        said.read()
        while due and due[0].at < WEEK:
            attempt = heapq.heappop(due)
            moment = start + timedelta(seconds=int(attempt.at))
            answer = postgrey.ask(*attempt.host, attempt.message.sender, attempt.recipient, at=moment.timestamp())
            stamp = moment.isoformat()
            week.lines += (f"{stamp} mx1 postgrey[812]: {line}" for line in said if "action=" in line)
            again = _next(attempt) if answer.startswith("DEFER_IF_PERMIT") else None
            if again is not None:
                heapq.heappush(due, again)
                continue
            delay = None if answer.startswith("DEFER_IF_PERMIT") else attempt.at - attempt.message.born
            number = attempt.number
            week.outcomes.append(Outcome(domains[number], firsts[number], delay, attempt.tries))
    week.outcomes += (Outcome(domains[one.number], firsts[one.number], None, one.tries - 1) for one in due)
    return week


def _next(attempt: _Attempt) -> _Attempt | None:
    """Return the sender's next attempt, unless it gives up."""
    origin = attempt.message.origin
    if not origin.patience:
        return None
    pause = origin.pauses[min(attempt.tries, len(origin.pauses)) - 1] * attempt.chance.uniform(0.9, 1.25)
    if attempt.at + pause - attempt.message.born > origin.patience:
        return None
    host = attempt.host if attempt.chance.random() < origin.stays else attempt.chance.choice(origin.hosts)
    return attempt._replace(at=attempt.at + pause, host=host, tries=attempt.tries + 1)
