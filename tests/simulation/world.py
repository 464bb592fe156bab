"""Who sends mail in a simulated week, drawn from a seed, each domain with what is true of it.

What counts as the right advice:

- ``whitelist`` for a provider that tries again from other networks, with a line that covers every server of it that
  was greylisted and none of the customers of the same domain, seen or not;
- ``ignore`` for spam of any kind, and for senders whose mail greylisting delays for less than an hour: servers and
  newsletters that come back to where they were, and a hoster's customers of both sorts;
- ``ignore`` or ``look``, never ``whitelist``, for a domain that has two well-named servers beside many bots:
  whether the servers look like a pool is chance;
- ``look`` for senders that come back from the same network but only after hours: they are delayed for no gain if they
  are wanted, and a spammer with a mail server looks just the same.

So ``look`` is no way out for a rule that can't decide: it is wrong for every pool and every bot. One exception: a few
providers and ISPs have client names that say nothing, and their logs are the same whether it is a pool that tries
again or a botnet that sends the same mail from many machines. There ``look`` is right too, and is counted apart.

One sender is left out because nothing in a log can tell it from a provider: a spammer with well-named servers in many
networks of his own, who tries a refused mail again from another one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from sample.world import DAY, HOUR, MINUTE, Host, Message, Origin

from postgrey_exporter.clients.domains import registrable_domain
from simulation.cast import WEEK, Cast, Kind, Sender
from simulation.names import BOTH, LINES, PLACES, POOLS, UNCLEAR_LINES, UNCLEAR_POOLS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

_QUICK: Final = (6 * MINUTE, 12 * MINUTE, 20 * MINUTE, 35 * MINUTE, HOUR)
_POSTFIX: Final = (5 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 67 * MINUTE)
_EXCHANGE: Final = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE)
_EARLY: Final = (40.0, 80.0, 5 * MINUTE, 15 * MINUTE, HOUR)
_SENDMAIL: Final = (15 * MINUTE, 30 * MINUTE)
_SLOW: Final = (2 * HOUR, 4 * HOUR)
RIGHT: Final[dict[Kind, Literal["whitelist", "ignore", "look"]]] = {
    "pool": "whitelist",
    "slow pool": "whitelist",
    "pool and customers": "whitelist",
    "server": "ignore",
    "slow server": "look",
    "newsletter": "ignore",
    "slow newsletter": "look",
    "hoster": "ignore",
    "bots": "ignore",
    "botnet": "ignore",
    "snowshoe": "ignore",
    "bots and servers": "ignore",
}
_GIVES_UP: Final = 15 * MINUTE
"""Patience of a mail that is worthless afterwards: a code to log in with."""


def world(seed: int) -> list[Sender]:
    """Return the senders of one week."""
    cast = Cast(seed)
    rng = cast.rng
    pools = cast.shuffled([*POOLS, *UNCLEAR_POOLS])
    lines = cast.shuffled([*LINES, *UNCLEAR_LINES])
    places = cast.shuffled(PLACES)
    both = cast.shuffled(BOTH)
    return [
        *(_pool(cast, pools.pop(), rng.randint(24, 48), rng.randint(25, 80)) for _ in range(3)),
        *(_pool(cast, pools.pop(), rng.randint(5, 12), rng.randint(8, 50)) for _ in range(6)),
        *(_pool(cast, pools.pop(), rng.randint(2, 3), rng.randint(8, 40)) for _ in range(6)),
        *(_slow_pool(cast, pools.pop()) for _ in range(3)),
        *(_newsletter(cast, pools.pop()) for _ in range(4)),
        *(_both(cast, *both.pop()) for _ in range(4)),
        *(_server(cast, f"mail{{n}}.example.{places.pop()}") for _ in range(5)),
        *(_slow_server(cast, f"mx{{n}}.example.{places.pop()}") for _ in range(2)),
        *(_newsletter(cast, f"mta{{n}}.news.example.{places.pop()}") for _ in range(3)),
        _slow_newsletter(cast, f"out{{n}}.news.example.{places.pop()}"),
        *(_hoster(cast, f"vps{{big}}.example.{places.pop()}") for _ in range(2)),
        *(_snowshoe(cast, f"mail{{n}}.example.{places.pop()}") for _ in range(5)),
        *(_bots(cast, lines.pop()) for _ in range(14)),
        *(_botnet(cast, lines.pop()) for _ in range(7)),
        *(_bots_and_servers(cast, f"example.{places.pop()}") for _ in range(3)),
    ]


def _sender(
    kind: Kind,
    mails: Iterable[Message],
    pool: Iterable[Host] = (),
    bots: Iterable[Host] = (),
    *,
    template: str = "",
) -> Sender:
    known = tuple(mails)
    (domain,) = {registrable_domain(host.name) for mail in known for host in mail.origin.hosts}
    clear = kind != "bots and servers" and template not in {*UNCLEAR_POOLS, *UNCLEAR_LINES}
    return Sender(domain, kind, RIGHT[kind], known, clear, frozenset(pool), frozenset(bots))


def _envelopes(rng: random.Random) -> Callable[[int], str]:
    """Return one of the ways in which providers fill in the envelope's sender."""
    stem = f"{rng.getrandbits(24):06x}"
    return rng.choice(
        (
            lambda _: f"notification@{stem}.example",
            lambda _: f"office@customer{rng.randrange(60)}.example",
            lambda _: f"bounce-{rng.getrandbits(40):x}q-info=example.org@{stem}.example",
            lambda number: f"bounce+{number}-{rng.getrandbits(20)}@{stem}.example",
        )
    )


def _unique(rng: random.Random) -> Callable[[int], str]:
    """Return senders by VERP: another one for each mail, in a way that postgrey does not see through."""
    stem = f"{rng.getrandbits(24):06x}"
    return lambda number: f"b{number:x}x{rng.getrandbits(40):x}q-info=example.org@{stem}.example"


def _pool_mails(cast: Cast, hosts: tuple[Host, ...], count: int) -> Iterator[Message]:
    rng = cast.rng
    habits = (rng.choice((_QUICK, _POSTFIX, _EXCHANGE, _SENDMAIL)), rng.choice((0.0, 0.1, 0.3, 0.6)))
    patient = Origin(hosts, habits[0], patience=rng.choice((14 * HOUR, DAY, 2 * DAY, 5 * DAY)), stays=habits[1])
    yield from cast.mails(count, [patient], _envelopes(rng))
    if rng.random() < 1 / 3:
        codes = Origin(hosts, (2 * MINUTE, 5 * MINUTE), patience=_GIVES_UP, stays=habits[1])
        yield from cast.mails(count // 3, [codes], _unique(rng))


def _pool(cast: Cast, template: str, networks: int, count: int) -> Sender:
    """Make a provider that tries again from any of its servers, in few networks or many, old addresses or new."""
    hosts: tuple[Host, ...] = ()
    family = cast.rng.choice(("old", "old", "new", "both")) if "{a}" not in template else "old"
    if family != "new":
        hosts += cast.hosts(template, networks, cast.rng.randint(2, 5))
    if family != "old":
        hosts += cast.hosts(template, networks, cast.rng.randint(2, 5), v6=True)
    return _sender("pool", _pool_mails(cast, hosts, count), pool=hosts, template=template)


def _slow_pool(cast: Cast, template: str) -> Sender:
    """Make one that takes hours between two attempts."""
    rng = cast.rng
    hosts = cast.hosts(template, rng.randint(2, 8), 3)
    origin = Origin(hosts, rng.choice((_SLOW, (HOUR,), (4 * HOUR,))), patience=3 * DAY, stays=rng.choice((0.0, 0.3)))
    return _sender("slow pool", cast.mails(rng.randint(8, 30), [origin], _envelopes(rng)), hosts, template=template)


def _both(cast: Cast, template: str, of_lines: str) -> Sender:
    """Make an ISP with a pool of mail servers, and customers whose machines send spam of all sorts."""
    rng = cast.rng
    hosts = cast.hosts(template, rng.randint(3, 8), rng.randint(2, 4))
    lines = cast.hosts(of_lines, rng.randint(4, 12), rng.randint(3, 8))
    mails = [*_pool_mails(cast, hosts, rng.randint(8, 30)), *_dial_up(cast, lines, rng.randint(10, 50))]
    if rng.random() < 1 / 2:
        mails += _sprayed(cast, lines)
    return _sender("pool and customers", mails, pool=hosts, bots=lines)


def _server(cast: Cast, template: str) -> Sender:
    """Make a mail server or two in one network, that write to the whole office now and then."""
    return _sender("server", _office_mails(cast, _server_hosts(cast, template), (_POSTFIX, _EXCHANGE, _EARLY)))


def _slow_server(cast: Cast, template: str) -> Sender:
    return _sender("slow server", _office_mails(cast, _server_hosts(cast, template), (_SLOW,)))


def _server_hosts(cast: Cast, template: str) -> tuple[Host, ...]:
    """Return one server, or two in one network, or one that has an old and a new address."""
    hosts = cast.hosts(template, 1, cast.rng.choice((1, 1, 2)))
    if cast.rng.random() < 1 / 3:
        (new,) = cast.hosts(template, 1, 1, v6=True)
        return (hosts[0], Host(hosts[0].name, new.address))
    return hosts


def _office_mails(cast: Cast, hosts: tuple[Host, ...], habits: tuple[tuple[float, ...], ...]) -> Iterator[Message]:
    rng = cast.rng
    origin = Origin(hosts, rng.choice(habits), patience=5 * DAY, stays=0.5)
    for _ in range(rng.randint(4, 9)):
        mails = cast.mails(1, [origin], _envelopes(rng))
        yield from (replace(mail, recipients=cast.mailboxes(rng.randint(2, 8))) for mail in mails)


def _newsletter(cast: Cast, template: str) -> Sender:
    """Make a campaign: a sender for each mail, and each mail stays with the server that it began with."""
    return _sender("newsletter", _campaign(cast, template, (_SENDMAIL, (20 * MINUTE, HOUR), _POSTFIX)))


def _slow_newsletter(cast: Cast, template: str) -> Sender:
    return _sender("slow newsletter", _campaign(cast, template, (_SLOW,)))


def _campaign(cast: Cast, template: str, habits: tuple[tuple[float, ...], ...]) -> Iterator[Message]:
    rng = cast.rng
    hosts = cast.hosts(template, rng.randint(1, 4), rng.randint(4, 12))
    pauses = rng.choice(habits)
    origins = [Origin((host,), pauses) for host in hosts]
    envelopes = rng.choice((_unique, _unique, _envelopes))(rng)
    yield from cast.mails(rng.randint(20, 70), origins, envelopes)


def _hoster(cast: Cast, template: str) -> Sender:
    """Make a hoster: servers that have nothing to do with each other, some of them spammers'."""
    rng = cast.rng
    hosts = cast.hosts(template, rng.randint(6, 12), 2)
    mails: list[Message] = []
    for number, host in enumerate(hosts):
        if rng.random() < 1 / 2:
            mails += (cast.spam(host, _QUICK, rng.choice((0.0, 2 * HOUR))) for _ in range(rng.randint(1, 4)))
        else:
            origin = Origin((host,), rng.choice((_POSTFIX, _EXCHANGE)))
            mails += cast.mails(rng.randint(1, 4), [origin], f"form@customer{number}.example".format)
    return _sender("hoster", mails, bots=hosts)


def _snowshoe(cast: Cast, template: str) -> Sender:
    """Make a spammer with many well-named servers, which never return, or do, or write the same every day in turn."""
    rng = cast.rng
    hosts = cast.hosts(template, rng.randint(3, 12), rng.randint(2, 8))
    patience = rng.choice((0.0, 0.0, 2 * HOUR))
    if rng.random() < 2 / 3:
        return _sender(
            "snowshoe",
            [cast.spam(rng.choice(hosts), _POSTFIX, patience) for _ in range(rng.randint(20, 60))],
            bots=hosts,
        )
    mails: list[Message] = []
    for _ in range(rng.randint(4, 9)):
        first = cast.spam(hosts[0], _POSTFIX, patience)
        for day in range(7):
            born = day * DAY + first.born % DAY * rng.uniform(0.9, 1)
            mails.append(replace(first, born=born, origin=replace(first.origin, hosts=(rng.choice(hosts),))))
    return _sender("snowshoe", mails, bots=hosts)


def _bots(cast: Cast, template: str) -> Sender:
    """Make an ISP whose customers' machines send spam: once, or hammering, or patiently from the same address."""
    lines = cast.hosts(template, cast.rng.randint(4, 14), cast.rng.randint(2, 8))
    return _sender("bots", _dial_up(cast, lines, cast.rng.randint(18, 70)), bots=lines, template=template)


def _bots_and_servers(cast: Cast, domain: str) -> Sender:
    """Make two well-named servers that behave as a pool, under the domain of many bots whose names say nothing."""
    rng = cast.rng
    servers = cast.hosts(rng.choice(("mta{n}.", "mail{n}.out.", "mx{n}.w{place}.")) + domain, 2, 1)
    bots = cast.hosts(
        rng.choice(("h{big}.", "w{n}x{big}.out.", "node{x}{y}{big}.w1.")) + domain, 12, rng.randint(4, 12)
    )
    origin = Origin(servers, _QUICK, patience=DAY, stays=0.0)
    mails = [*cast.mails(rng.randint(5, 8), [origin], _unique(rng))]
    mails += (cast.spam(bot, (25.0,), 0.0) for bot in bots for _ in range(2))
    return _sender("bots and servers", mails, bots=bots)


def _dial_up(cast: Cast, lines: tuple[Host, ...], count: int) -> Iterator[Message]:
    rng = cast.rng
    habits = {"once": ((25.0,), 0.0), "hammers": ((25.0,), 80.0), "returns": ((7 * MINUTE, 30 * MINUTE), 4 * HOUR)}
    common = rng.choice(tuple(habits))
    for _ in range(count):
        pauses, patience = habits[common if rng.random() < 2 / 3 else rng.choice(tuple(habits))]
        yield cast.spam(rng.choice(lines), pauses, patience)


def _botnet(cast: Cast, template: str) -> Sender:
    """Make an ISP whose customers' machines send the same mail, sender and recipient, one after another."""
    rng = cast.rng
    lines = cast.hosts(template, rng.choice((2, 3, 5, 10, 20)), rng.randint(2, 12))
    mails = _sprayed(cast, lines)
    if rng.random() < 1 / 2:
        mails += _dial_up(cast, lines, rng.randint(10, 30))
    return _sender("botnet", mails, bots=lines, template=template)


def _sprayed(cast: Cast, hosts: tuple[Host, ...]) -> list[Message]:
    """Return the same few mails from many hosts, whatever the answer: within hours, or over days."""
    rng = cast.rng
    mails: list[Message] = []
    length = rng.choice((2 * HOUR, 12 * HOUR, 2 * DAY))
    for _ in range(rng.randint(4, 14)):
        first = cast.spam(hosts[0], (), 0.0)
        begin = first.born * (WEEK - length) / WEEK
        mails += (
            replace(first, born=begin + rng.random() * length, origin=Origin((rng.choice(hosts),), patience=0.0))
            for _ in range(rng.randint(4, 25))
        )
    return mails
