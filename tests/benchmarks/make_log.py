"""Makes mail logs for the benchmarks: the same seed and end give the same bytes.

    python make_log.py mixed 2000000 mail.log

Messages are followed through their attempts, so that what belongs to one message can be found again: bots come once
or retry too early, ordinary servers come back and pass, pools move between networks before they pass.

Names lie under ``home.arpa`` (RFC 8375: nobody's, and a public suffix, so that every domain under it counts as one of
its own) or are those of well-known providers; addresses are of the benchmarking and documentation networks.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import os
import random
import time
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEEK: Final = 7 * 86400.0
OTHER_PROGRAMS_LINES: Final = 9
"""Lines of other programs beside each of postgrey's in a mixed log."""
ARCHIVES: Final = 3

_ISPS: Final = 3_000
_SERVERS: Final = 4_000
_RECIPIENTS: Final = 500
_ATTACKED_DOMAINS: Final = 50_000
_ATTEMPTS_A_MESSAGE: Final = 1.75
"""A little less than the mean of `Mail`'s messages: the log fills its week and does not outlast it."""
_BLOCK_LINES: Final = 10_000

_POOLS: Final = (
    "outbound.protection.outlook.com",
    "eu-west-1.amazonses.com",
    "mail-out.facebook.com",
    "atl31.mcsv.net",
    "mail77.rsgsv.net",
    "wdc01.mcdlv.net",
    "smtp-out.sendgrid.net",
    "out.mandrillapp.com",
    "bulk.mtasv.net",
    "delivery.mailgun.net",
)


class Attempt(NamedTuple):
    """One RCPT of one delivery attempt; sorts by time."""

    time: float
    number: int
    """Makes attempts of the same moment sort as they were made."""
    verdict: str
    name: str
    address: str
    sender: str
    recipient: str


class Mail:
    """A stream of delivery attempts over a week, in order of time."""

    def __init__(self, seed: int, end: float, decisions: int) -> None:
        """Take the seed, when the week ends in seconds since the epoch, and how many attempts it is to have."""
        self._random = random.Random(seed)
        self._numbers = count()
        self._start = end - WEEK
        self._decisions = decisions
        self._recipients = [f"user{n}@example.com" for n in range(_RECIPIENTS)]
        self._servers = [(f"mx{n % 3}.out.d{n:04}.home.arpa", self._address()) for n in range(_SERVERS)]

    def attempts(self) -> Iterator[Attempt]:
        """Yield the attempts, at least as many as were asked for."""
        pace = WEEK * _ATTEMPTS_A_MESSAGE / self._decisions
        kinds: tuple[Callable[[float], None], ...] = (self._bot, self._server, self._pool, self._known)
        due: list[Attempt] = []
        self._due = due
        at = self._start
        while True:
            at += pace * self._random.uniform(0.5, 1.5)
            while due and due[0].time <= at:
                yield heapq.heappop(due)
            self._random.choices(kinds, (45, 15, 10, 30))[0](at)

    def _put(self, at: float, verdict: str, client: tuple[str, str], message: tuple[str, str]) -> None:
        heapq.heappush(self._due, Attempt(at, next(self._numbers), verdict, *client, *message))

    def _message(self) -> tuple[str, str]:
        return f"s{self._random.getrandbits(40):010x}@example.net", self._random.choice(self._recipients)

    def _address(self) -> str:
        number = self._random.getrandbits(17)
        return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    def _bot(self, at: float) -> None:
        chance = self._random
        address, message = self._address(), self._message()
        isp = int(_ISPS * chance.random() ** 3)
        name = "unknown" if chance.random() < 0.4 else f"{address.replace('.', '-')}.dyn.pool.isp{isp}.home.arpa"
        self._put(at, "greylist, reason=new", (name, address), message)
        for wait in islice((20, 70, 150), chance.choice((0, 0, 0, 1, 2))):
            self._put(at + wait, f"greylist, reason=early-retry ({300 - wait}s missing)", (name, address), message)

    def _server(self, at: float) -> None:
        client, message = self._random.choice(self._servers), self._message()
        self._put(at, "greylist, reason=new", client, message)
        if self._random.random() < 0.3:
            self._put(at + 120, "greylist, reason=early-retry (180s missing)", client, message)
        delay = self._random.randrange(301, 3600)
        self._put(at + delay, f"pass, reason=triplet found, delay={delay}", client, message)

    def _pool(self, at: float) -> None:
        pool, message = self._random.choice(_POOLS), self._message()
        for _ in range(self._random.randrange(1, 6)):
            client = self._pool_client(pool)
            self._put(at, "greylist, reason=new", client, message)
            at += self._random.randrange(300, 3600)
        delay = self._random.randrange(301, 3600)
        self._put(at + delay, f"pass, reason=triplet found, delay={delay}", client, message)

    def _pool_client(self, pool: str) -> tuple[str, str]:
        host = self._random.randrange(2000)
        return f"mail-{host:04}.{pool}", f"198.{18 + host % 2}.{host // 8}.{host % 200 + 1}"

    def _known(self, at: float) -> None:
        verdict = "client whitelist" if self._random.random() < 0.6 else "client AWL"
        self._put(at, f"pass, reason={verdict}", self._random.choice(self._servers), self._message())


def attack(seed: int, end: float, clients: int) -> Iterator[Attempt]:
    """Yield one attempt from each of many clients: a botnet, or one who makes up reverse names."""
    chance = random.Random(seed)
    for number in range(clients):
        address = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::{chance.getrandbits(16):x}"
        name = "unknown" if number % 3 == 0 else f"h{number}.c.d{chance.randrange(_ATTACKED_DOMAINS)}.home.arpa"
        message = f"s{number:x}@example.net", f"user{number % _RECIPIENTS}@example.com"
        yield Attempt(end - WEEK + number * WEEK / clients, number, "greylist, reason=new", name, address, *message)


class Stamps:
    """Time stamps of log lines."""

    def __init__(self, form: str) -> None:
        """Take ``traditional`` (RFC 3164) or ``rfc3339``."""
        self._form = form
        self._second = -1
        self._text = ""

    def __call__(self, moment: float) -> str:
        """Return the stamp, in the system's zone or in UTC, as the form has it."""
        second = int(moment)
        if second != self._second:
            self._second = second
            if self._form == "rfc3339":
                self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            else:
                broken = time.localtime(second)
                self._text = time.strftime("%b ", broken) + f"{broken.tm_mday:2}" + time.strftime(" %H:%M:%S", broken)
        if self._form == "rfc3339":
            return f"{self._text}.{int(moment % 1 * 1_000_000):06}+00:00"
        return self._text


def postgrey_line(attempt: Attempt, stamp: str) -> str:
    """Return what postgrey logs of an attempt."""
    return (
        f"{stamp} mx postgrey[6346]: action={attempt.verdict}, client_name={attempt.name}, "
        f"client_address={attempt.address}, sender={attempt.sender}, recipient={attempt.recipient}\n"
    )


def other_lines(attempt: Attempt, stamp: str) -> str:
    """Return what other programs log around an attempt: `OTHER_PROGRAMS_LINES` lines."""
    number = attempt.number
    client = f"{attempt.name}[{attempt.address}]"
    smtpd = f"{stamp} mx postfix/smtpd[{20000 + number % 50}]:"
    queue = f"{number * 2654435761 % (1 << 40):010X}"
    return (
        f"{smtpd} connect from {client}\n"
        f"{smtpd} Anonymous TLS connection established from {client}: TLSv1.3\n"
        f"{smtpd} NOQUEUE: reject: RCPT from {client}: 450 4.2.0 <{attempt.recipient}>: Recipient address rejected: "
        f"Greylisted; from=<{attempt.sender}> to=<{attempt.recipient}> proto=ESMTP helo=<{attempt.name}>\n"
        f"{smtpd} disconnect from {client} ehlo=2 starttls=1 mail=1 rcpt=0/1 quit=1 commands=5/6\n"
        f"{stamp} mx postfix/cleanup[{21000 + number % 20}]: {queue}: message-id=<{queue}@mx.example.com>\n"
        f"{stamp} mx postfix/qmgr[1201]: {queue}: from=<a{number}@example.org>, size={number % 90000}, nrcpt=1\n"
        f"{stamp} mx dovecot: imap-login: Login: user=<user{number % _RECIPIENTS}>, rip=192.0.2.7, TLS\n"
        f"{stamp} mx postfix/anvil[{22000 + number % 9}]: statistics: max connection rate 1/60s\n"
        f"{stamp} mx postfix/qmgr[1201]: {queue}: removed\n"
    )


def log_lines(kind: str, lines: int, *, seed: int, end: float, stamps: str) -> Iterator[bytes]:
    """Yield a log in blocks: ``mixed``, ``postgrey`` (only) or ``attack``, of so many lines."""
    each = 1 + OTHER_PROGRAMS_LINES if kind == "mixed" else 1
    attempts = attack(seed, end, lines) if kind == "attack" else Mail(seed, end, lines // each).attempts()
    stamp = Stamps(stamps)
    chosen = islice(attempts, lines // each)
    while block := list(islice(chosen, _BLOCK_LINES)):
        parts: list[str] = []
        for attempt in block:
            text = stamp(attempt.time)
            if kind == "mixed":
                parts.append(other_lines(attempt, text))
            parts.append(postgrey_line(attempt, text))
        yield "".join(parts).encode()


def make(kind: str, lines: int, path: Path, *, seed: int = 1, end: float, stamps: str = "traditional") -> list[Path]:
    """Write a log, last written to when it ends; return its files, oldest first.

    The kind ``archives`` is a mixed log in four parts, of which three are rotated away and gzipped.
    """
    if kind != "archives":
        with path.open("wb") as file:
            file.writelines(log_lines(kind, lines, seed=seed, end=end, stamps=stamps))
        os.utime(path, (end, end))
        return [path]
    blocks = list(log_lines("mixed", lines, seed=seed, end=end, stamps=stamps))
    share = -(-len(blocks) // (ARCHIVES + 1))
    made = []
    for part in range(ARCHIVES + 1):
        age = ARCHIVES - part
        file_path = path.with_name(f"{path.name}.{age}.gz") if age else path
        content = b"".join(blocks[part * share : (part + 1) * share])
        file_path.write_bytes(gzip.compress(content, 6, mtime=0) if age else content)
        written = end - WEEK * age / (ARCHIVES + 1)
        os.utime(file_path, (written, written))
        made.append(file_path)
    return made


def main() -> None:
    """Make the log that the command line asks for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("kind", choices=("mixed", "postgrey", "attack", "archives"))
    arguments.add_argument("lines", type=int)
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--end", type=float, default=time.time(), help="seconds since the epoch; default: now")
    arguments.add_argument("--stamps", choices=("traditional", "rfc3339"), default="traditional")
    chosen = arguments.parse_args()
    for path in make(chosen.kind, chosen.lines, chosen.path, seed=chosen.seed, end=chosen.end, stamps=chosen.stamps):
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
