"""Make the bundled sample week anew: simulated senders, real decisions by a real postgrey.

    python tests/sample/make.py            writes postgrey_exporter/sample/week.log.xz
    python tests/sample/make.py --check    compares it with a run, and fails on the first line that differs

The senders of `sample_world` try to deliver, are judged by the daemon at the simulated time, and try again or give up
according to its answer. Every ``action=`` and ``whitelisted:`` line is the daemon's own. The rest dresses the log as
a mail server's: Postfix's lines are written from the answers, and postgrey's hourly housekeeping after its source,
since the daemon keeps the time for that by its real clock.

The same seed gives the same log, and a shorter run gives the beginning of a longer one.
"""

from __future__ import annotations

import argparse
import heapq
import lzma
import random
import sys
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from support.parts import Postgrey, find_program

from sample.world import DAY, HOUR, LENGTH, MINUTE, Host, Message, week

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path(__file__).parents[2] / "postgrey_exporter" / "sample"
SEED: Final = 1999
START: Final = datetime(2024, 3, 4, tzinfo=UTC)

_MICRO: Final = 1_000_000
_SERVER: Final = "mx1"
_POSTGREY: Final = "postgrey[812]"
_WITHOUT_VOWELS: Final = str.maketrans("ABCDEF", "BCDFGH")
"""Postfix's long queue ids have no vowels."""
_QMGR: Final = "postfix/qmgr[1033]"
_UNFINISHED: Final = 60.0
"""Seconds before the end of a run that are cut off: lines of sessions that the end interrupts."""


class Attempt(NamedTuple):
    """One connection to come; sorts by time."""

    at: float
    number: int
    message: Message
    host: Host
    recipients: tuple[str, ...]
    tries: int


class Log:
    """The lines of the mail server, put in order of time at the end."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, str]] = []

    def write(self, at: int, tag: str, text: str) -> None:
        """Add a line; ``at`` is in microseconds after the start."""
        self._lines.append((at, len(self._lines), f"{_SERVER} {tag}: {text}"))

    def before(self, end: float) -> list[str]:
        """Return the finished lines up to ``end`` in seconds after the start."""
        return [
            f"{(START + timedelta(microseconds=at)).isoformat(timespec='microseconds')} {text}"
            for at, _, text in sorted(self._lines)
            if at < end * _MICRO
        ]


class Simulation:
    """The mail server's week: who connects, what postgrey says, and who comes back."""

    def __init__(self, postgrey: Postgrey) -> None:
        self.log = Log()
        self._postgrey = postgrey
        self._said = postgrey.output.open()
        self._senders = random.Random(SEED)
        self._server = random.Random(SEED)
        self._queued = 0
        self._sessions = 0
        self._seen: dict[str, int] = {"new": 0, "awl": 0}

    def run(self, end: float) -> None:
        """Let the week go by up to ``end`` in seconds after its start."""
        self._said.read()  # how it started is told with the real clock's time
        due = [
            Attempt(message.born, number, message, self._senders.choice(message.origin.hosts), message.recipients, 0)
            for number, message in enumerate(week(SEED))
        ]
        heapq.heapify(due)
        hour = 0
        while due and due[0].at < end:
            attempt = heapq.heappop(due)
            while hour < attempt.at // HOUR:
                hour += 1
                self._housekeeping(hour)
            deferred = self._session(attempt)
            if deferred and (again := self._retry(attempt, deferred)) is not None:
                heapq.heappush(due, again)
        self._said.close()

    def _retry(self, attempt: Attempt, deferred: Sequence[str]) -> Attempt | None:
        origin = attempt.message.origin
        pause = origin.pauses[min(attempt.tries, len(origin.pauses) - 1)] * self._senders.uniform(0.9, 1.25)
        if attempt.at + pause - attempt.message.born > origin.patience:
            return None
        stays = self._senders.random() < origin.stays
        host = attempt.host if stays else self._senders.choice(origin.hosts)
        return attempt._replace(at=attempt.at + pause, host=host, recipients=tuple(deferred), tries=attempt.tries + 1)

    def _session(self, attempt: Attempt) -> list[str]:
        """Write one connection's lines and return the recipients that were deferred."""
        message, host = attempt.message, attempt.host
        client = f"{host.name}[{host.address}]"
        self._sessions += 1
        pid = 20_000 + self._sessions // 40 * 3 + self._sessions % 3
        smtpd = f"postfix/smtpd[{pid}]"
        at = int(attempt.at * _MICRO)
        self.log.write(at, smtpd, f"connect from {client}")
        at += self._server.randrange(90_000, 400_000)
        queue_id, deferred = "", []
        for recipient in attempt.recipients:
            moment = START.timestamp() + at // _MICRO
            answer = self._postgrey.ask(
                host.name,
                host.address,
                message.sender,
                recipient,
                at=moment,
                queue_id=queue_id,
                instance=f"{pid:x}.{self._sessions:x}.0",
            )
            for line in self._said:
                self._seen["new"] += "reason=new" in line
                self._seen["awl"] += line.startswith("whitelisted:")
                self.log.write(at, _POSTGREY, line.rstrip("\n"))
            if answer.startswith("DEFER_IF_PERMIT"):
                deferred.append(recipient)
                text = answer.removeprefix("DEFER_IF_PERMIT ")
                self.log.write(
                    at + 700,
                    smtpd,
                    f"NOQUEUE: reject: RCPT from {client}: 450 4.2.0 <{recipient}>: Recipient address rejected:"
                    f" {text}; from=<{message.sender}> to=<{recipient}> proto=ESMTP helo=<{host.name}>",
                )
            elif not queue_id:
                queue_id = self._queue_id()
                self.log.write(at + 900, smtpd, f"{queue_id}: client={client}")
            at += self._server.randrange(1_000, 90_000)
        if queue_id:
            at = self._deliver(at, queue_id, message, [to for to in attempt.recipients if to not in deferred])
        accepted, asked = len(attempt.recipients) - len(deferred), len(attempt.recipients)
        rcpt = f"{accepted}/{asked}" if deferred else f"{asked}"
        data = " data=1" if queue_id else ""
        self.log.write(at, smtpd, f"disconnect from {client} ehlo=1 mail=1 rcpt={rcpt}{data} quit=1")
        return deferred

    def _deliver(self, at: int, queue_id: str, message: Message, recipients: Sequence[str]) -> int:
        """Write what becomes of an accepted mail; return when the connection can end."""
        domain = message.sender.partition("@")[2] or "example.net"
        at += self._server.randrange(20_000, 600_000)
        self.log.write(at, "postfix/cleanup[1207]", f"{queue_id}: message-id=<{queue_id}@{domain}>")
        size = self._server.randrange(30, 900) * 100
        counts = f"size={size}, nrcpt={len(recipients)} (queue active)"
        self.log.write(at + 4_000, _QMGR, f"{queue_id}: from=<{message.sender}>, {counts}")
        done = at + self._server.randrange(40, 300) * 1_000
        for recipient in recipients:
            self.log.write(
                done,
                "postfix/lmtp[1210]",
                f"{queue_id}: to=<{recipient}>, relay={_SERVER}.example.org[private/dovecot-lmtp], dsn=2.0.0,"
                f" status=sent (250 2.0.0 <{recipient}> {queue_id} Saved)",
            )
        self.log.write(done + 1_000, _QMGR, f"{queue_id}: removed")
        return at + 30_000

    def _queue_id(self) -> str:
        self._queued += 1
        return f"4Tp{self._queued:05X}z8K".translate(_WITHOUT_VOWELS)

    def _housekeeping(self, hour: int) -> None:
        """Write what postgrey's ``do_maintenance`` says each hour, and what it says once a night."""
        at = int(hour * HOUR * _MICRO) + self._server.randrange(_MICRO)
        said = ["cleaning up old logs..."]
        if hour % 24 == 2:  # the first hour of the night in which it may
            triplets, clients = 2210 + self._seen["new"], 118 + self._seen["awl"]
            said += [
                f"rm /var/lib/postgrey/log.{hour // 24 + 41:010}",
                "cleaning up old entries...",
                f"cleaning main database finished. before: {triplets}, after: {triplets * 8 // 9}",
                f"cleaning clients database finished. before: {clients}, after: {clients - 1}",
            ]
        for number, text in enumerate(said):
            self.log.write(at + number * 900, _POSTGREY, text)
        if hour == 2 * DAY // HOUR + 10:
            self._postgrey.reload()
            self.log.write(at + 20 * int(MINUTE) * _MICRO, _POSTGREY, self._said.read().strip())


def simulate(hours: float = LENGTH / HOUR) -> list[str]:
    """Return the log lines of the first ``hours`` of the week, less what the end of the run interrupts."""
    end = min(hours * HOUR, LENGTH)
    with Postgrey(whitelist_files=[FOLDER / "whitelist_clients"]) as postgrey:
        simulation = Simulation(postgrey)
        simulation.run(end)
    return simulation.log.before(end - _UNFINISHED)


def bundled(hours: float = LENGTH / HOUR) -> list[str]:
    """Return the same part of the log that stands in the package."""
    end = (START + timedelta(seconds=min(hours * HOUR, LENGTH) - _UNFINISHED)).isoformat(timespec="microseconds")
    with lzma.open(FOLDER / "week.log.xz", "rt", encoding="utf-8") as log:
        return [line.rstrip("\n") for line in log if line < end]


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--check", action="store_true", help="compare with the bundled log instead of writing it")
    arguments.add_argument("--hours", type=float, default=LENGTH / HOUR, help="with --check: this much of the week")
    chosen = arguments.parse_args()
    if find_program("postgrey") is None:
        print("postgrey is missing: apt-get install --no-install-recommends postgrey", file=sys.stderr)
        return 2
    if chosen.check:
        for number, (fresh, kept) in enumerate(zip_longest(simulate(chosen.hours), bundled(chosen.hours)), 1):
            if fresh != kept:
                print(f"line {number} differs\nbundled: {kept}\nfresh:   {fresh}", file=sys.stderr)
                return 1
        return 0
    text = "".join(f"{line}\n" for line in simulate())
    FOLDER.joinpath("week.log.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
