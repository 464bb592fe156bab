"""Who sends mail to the sample server in its week, and how each keeps trying: pools, servers, newsletters and bots.

A `Message` says where it comes from, what its envelope holds and when it is first tried; its `Origin` says which
hosts try it and after what pauses. `week` draws them all from one seed. Addresses are those set aside for
documentation and benchmarks: each pool and each bot lives in /24 networks of its own inside 198.18.0.0/15.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LENGTH: Final = 7 * DAY - 30 * MINUTE
"""Seconds of the sample; a little less than the week's window, so that all of it lies inside when it ends now."""

_MAILBOXES: Final = ("billing", "hr", "info", "it", "jobs", "office", "orders", "press", "sales", "support", "web")
_BY_DAY: Final = (1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 9, 7, 8, 9, 8, 7, 6, 4, 3, 3, 2, 2, 1)
"""How much of the wanted mail is sent in each hour of the day, relative to the others."""
_ALL_DAY: Final = (1,) * 24

_POSTFIX: Final = (5 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 67 * MINUTE)
_POOL: Final = (6 * MINUTE, 12 * MINUTE, 20 * MINUTE, 35 * MINUTE, HOUR)
_CAMPAIGN: Final = (15 * MINUTE, 30 * MINUTE, HOUR)
_IMPATIENT: Final = (40.0, 80.0, 5 * MINUTE, 15 * MINUTE, HOUR)


class Host(NamedTuple):
    """One sending server as Postfix sees it."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from: the hosts that may try it, and how."""

    hosts: tuple[Host, ...]
    pauses: tuple[float, ...] = _POSTFIX
    """Seconds after each failed attempt, about; the last one again and again."""
    patience: float = 2 * DAY
    """Seconds after the first attempt at which the sender gives up."""
    stays: float = 1.0
    """Probability that the next attempt comes from the host of the one before."""


@dataclass(frozen=True, slots=True)
class Message:
    """One mail and its first attempt, in seconds after the week's start."""

    born: float
    origin: Origin
    sender: str
    recipients: tuple[str, ...]


class _Cast:
    """Draws the messages; hands out networks that nobody else has."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._networks: Iterator[str] = iter([f"198.{18 + number // 256}.{number % 256}" for number in range(512)])

    def networks(self, count: int) -> list[str]:
        """Return the first three numbers of ``count`` unused /24 networks."""
        return [next(self._networks) for _ in range(count)]

    def hosts(self, networks: int, each: int, name: Callable[[int, int, str], str]) -> tuple[Host, ...]:
        """Return a pool; ``name`` is called with the network's number, the host's number and the address."""
        return tuple(
            Host(name(place, number, address), address)
            for place, network in enumerate(self.networks(networks))
            for number in range(each)
            for address in [f"{network}.{self.rng.randrange(4) + number * 5 + 1}"]
        )

    def moment(self, weights: tuple[int, ...]) -> float:
        """Return a moment of the week, likelier in the hours that weigh more; weekends are quiet."""
        while True:
            moment = self.rng.random() * LENGTH
            weekend = weights is _BY_DAY and moment >= 5 * DAY
            weight = weights[int(moment % DAY // HOUR)] / (3 if weekend else 1)
            if self.rng.random() * max(weights) < weight:
                return moment

    def mailbox(self, boxes: tuple[str, ...] = _MAILBOXES) -> str:
        return f"{self.rng.choice(boxes)}@example.org"

    def mails(
        self, count: int, origin: Origin, sender: Callable[[int], str], boxes: tuple[str, ...] = _MAILBOXES
    ) -> Iterator[Message]:
        """Yield ``count`` mails to some of ``boxes``, one in eight to two; ``sender`` gets the mail's number."""
        for number in range(count):
            recipients = [self.mailbox(boxes)]
            if self.rng.random() < 1 / 8 and (second := self.mailbox(boxes)) not in recipients:
                recipients.append(second)
            yield Message(self.moment(_BY_DAY), origin, sender(number), tuple(recipients))

    def bots(
        self, count: int, networks: int, name: Callable[[str], str], hammering: float = 0.0
    ) -> Iterator[Message]:
        """Yield mails of dial-up machines: each its own address, one attempt; some hammer for a minute or two."""
        places = self.networks(networks)
        for _ in range(count):
            address = f"{self.rng.choice(places)}.{self.rng.randrange(2, 255)}"
            hammers = self.rng.random() < hammering
            origin = Origin((Host(name(address), address),), pauses=(25.0,), patience=80.0 if hammers else 0.0)
            sender = (
                f"{self.rng.choice(('news', 'winner', 'invoice', 'parcel', 'admin'))}{self.rng.randrange(10**4)}@"
            )
            sender += f"{self.rng.choice(('deals', 'prizes', 'parcels', 'pills', 'loans'))}.example"
            yield Message(self.moment(_ALL_DAY), origin, sender, (self.mailbox(),))


def _dashed(address: str) -> str:
    return address.replace(".", "-")


def _pools(cast: _Cast) -> Iterator[Message]:
    """Yield the mail of large providers that retry from other networks: what greylisting delays for no gain."""
    rng = cast.rng
    regions = ("am6eur05", "db3eur04", "he1eur01", "ve1eur01", "vi1eur03", "bn8nam12", "dm6nam10", "co1nam11")
    outlook = cast.hosts(
        48, 4, lambda place, n, _: f"mail-{regions[place % 8]}on{2040 + place + n}.outbound.protection.outlook.com"
    )
    origin = Origin(outlook, pauses=_POOL, patience=DAY, stays=0.05)
    yield from cast.mails(75, origin, lambda _: f"office@customer{rng.randrange(60)}.example")

    ireland = cast.hosts(11, 4, lambda place, n, _: f"a{place + 4}-{n * 7 + 20}.smtp-out.eu-west-1.amazonses.com")
    origin = Origin(ireland, pauses=_POOL, patience=14 * HOUR, stays=0.1)
    yield from cast.mails(45, origin, lambda n: f"01020{n:04x}-000000@eu-west-1.amazonses.com")
    codes = Origin(ireland, pauses=(2 * MINUTE, 5 * MINUTE), patience=15 * MINUTE, stays=0.1)
    yield from cast.mails(18, codes, lambda n: f"01021{n:04x}-000000@eu-west-1.amazonses.com")
    virginia = cast.hosts(5, 3, lambda place, n, _: f"a{place + 8}-{n * 9 + 27}.smtp-out.amazonses.com")
    origin = Origin(virginia, pauses=_POOL, patience=14 * HOUR, stays=0.1)
    yield from cast.mails(14, origin, lambda n: f"01000{n:04x}-000000@amazonses.com")

    facebook = cast.hosts(6, 6, lambda _place, _n, address: f"{_dashed(address)}.mail-mail.facebook.com")
    origin = Origin(facebook, pauses=_POOL, patience=DAY, stays=0.2)
    yield from cast.mails(14, origin, lambda _: "notification@facebookmail.com")

    yahoo = cast.hosts(5, 3, lambda place, n, _: f"sonic{301 + place}-{n + 20}.consmr.mail.ir2.yahoo.com")
    yield from cast.mails(7, Origin(yahoo, _POOL, stays=0.7), lambda n: f"customer{n}@yahoo.example")

    google = cast.hosts(10, 6, lambda place, n, _: f"mail-w{'rml'[place % 3]}1-f{40 + place + n}.google.com")
    yield from cast.mails(420, Origin(google), lambda _: f"team@customer{60 + rng.randrange(60)}.example")


def _campaign_name(domain: str, place: int, number: int, _address: str) -> str:
    return f"mail{place * 40 + number + 3}.{domain}"


def _newsletters(cast: _Cast) -> Iterator[Message]:
    """Yield campaigns: many envelopes that differ, few networks, and retries from the same host."""
    kinds = (("mcsv.net", "atl91", 60, 2), ("rsgsv.net", "suw161", 34, 3), ("mcdlv.net", "sea81", 30, 3))
    for domain, site, count, networks in kinds:
        hosts = cast.hosts(networks, 12, partial(_campaign_name, f"{site}.{domain}"))
        for number in range(count):
            origin = Origin((cast.rng.choice(hosts),), pauses=_CAMPAIGN)
            mailbox = cast.mailbox()
            sender = f"bounce-mc.us{number % 9 + 1}_{cast.rng.randrange(10**6)}.{number}-{mailbox.replace('@', '=')}"
            yield Message(cast.moment(_BY_DAY), origin, f"{sender}@mail.{domain}", (mailbox,))


def _any_of(rng: random.Random, senders: Sequence[str], _number: int) -> str:
    return rng.choice(senders)


def _servers(cast: _Cast) -> Iterator[Message]:
    """Yield the mail of single servers, which come back from the same address and are soon let through unasked."""
    rng = cast.rng
    busy = (
        ("mail.example.com", "203.0.113.25"),
        ("example.com", "203.0.113.26"),
        ("mx2.shop.example.net", "203.0.113.40"),
        ("example.co.uk", "198.51.100.7"),
        ("mail.example.co.uk", "2001:db8:7::25"),
        ("mout.gmx.net", "198.51.100.80"),
        ("mout.web.de", "198.51.100.90"),
        ("mout-p-101.mailbox.org", "2001:db8:1101::1"),
        ("mout01.posteo.de", "198.51.100.101"),
        ("out-17.smtp.github.com", "198.51.100.192"),
        ("relay2.partner.example.net", "192.0.2.66"),
        ("bendel.debian.org", "203.0.113.181"),
    )
    for name, address in busy:
        origin = Origin((Host(name, address),), patience=5 * DAY)
        writers = [f"{rng.choice(_MAILBOXES)}@{name.removeprefix('mail.')}" for _ in range(2)]
        # A bounce now and then: its sender is empty, and postgrey leaves the field out.
        senders = [*writers * 20, ""]
        boxes = tuple(rng.choice(_MAILBOXES) for _ in range(3))
        yield from cast.mails(rng.randrange(60, 150), origin, partial(_any_of, rng, senders), boxes)
    # Seldom seen: one or two mails in the week, one of them by a server that comes back too early.
    for number in range(9):
        pauses = _IMPATIENT if number % 4 == 0 else _POSTFIX
        host = Host(f"srv{number}.hosting.example.net", f"203.0.113.{200 + number}")
        yield from cast.mails(1 + number % 2, Origin((host,), pauses), f"form{{}}@{host.name}".format)


def _dial_up(cast: _Cast) -> Iterator[Message]:
    """Yield what greylisting is for: machines that send once and never return; and a provider that has both."""
    yield from cast.bots(64, 14, lambda address: f"ppp-{_dashed(address)}.revip2.asianet.co.th")
    yield from cast.bots(40, 12, lambda _: "static.vnpt.vn")
    yield from cast.bots(28, 9, lambda address: f"{_dashed(address)}.dsl.telesp.net.br", hammering=0.3)
    yield from cast.bots(31, 10, lambda address: f"{_dashed(address)}.dynamic-ip.hinet.net")
    yield from cast.bots(11, 6, lambda address: f"dsl-{_dashed(address)}.dyn.example.net")
    yield from cast.bots(520, 60, lambda _: "unknown", hammering=0.15)
    yield from cast.bots(26, 9, lambda address: f"c-{_dashed(address)}.hsd1.ca.comcast.net")
    comcast = cast.hosts(5, 4, lambda place, n, _: f"resqmta-a{place + 1}p-{58210 + n:06}.sys.comcast.net")
    origin = Origin(comcast, pauses=_POOL, patience=2 * DAY, stays=0.15)
    yield from cast.mails(11, origin, lambda n: f"customer{n}@comcast.example")


def week(seed: int) -> list[Message]:
    """Return the mail of the week in the order of first attempts."""
    cast = _Cast(seed)
    messages = [*_pools(cast), *_newsletters(cast), *_servers(cast), *_dial_up(cast)]
    return sorted(messages, key=lambda message: message.born)
