"""Standings: advice is judged on what no list covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.reference import Message, network_number

from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.decision import Client
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.summary.domain import DomainStanding, standings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.counting.evidence import Parties
    from postgrey_exporter.summary.unnamed import NetworkStanding

NOW = 1_700_000_000.0
DAY = 86400.0
HOUR = 3600.0
MX = [Client(f"mta{number}.mail.example.com", f"198.51.{number}.7") for number in range(4)]
DSL = [Client(f"dsl-198-18-{number}-9.example.com", f"198.18.{number}.9") for number in range(4)]
NOTHING = Lists()
POOL_LISTED = Lists([read_whitelist(b"/\\.mail\\.example\\.com$/\n", "whitelist")])


def message(
    client: Client, *, moved: bool = False, delay: float | None = 2 * HOUR, line: bool = False, age: float = 3 * DAY
) -> Message:
    first = NOW - age
    accepted = None if delay is None else first + delay
    return Message(first, accepted or first, network_number(client.address), moved, accepted, None, line)


POOL = [message(client, moved=True) for client in MX]
BOTS = [message(client, delay=None, line=True) for client in DSL]


def facts_of(
    domain: str, attempts: Iterable[tuple[Client, int, int]], messages: Iterable[Message] = ()
) -> DomainFacts:
    facts = DomainFacts(domain)
    for client, new, early_retry in attempts:
        facts.add_client(*client, new, early_retry)
    for one in messages:
        facts.add_message(*one)
    return facts


def standing(clients: list[Client], messages: list[Message], lists: Lists = NOTHING) -> DomainStanding:
    facts = facts_of("example.com", [(client, 4, 1) for client in clients], messages)
    (found,) = standings([facts], lists, NOW).domains
    return found


def test_a_pool_beside_customers_is_advised_for_the_whitelist_without_them() -> None:
    found = standing([*MX, *DSL], [*POOL, *BOTS])
    assert (found.advice.kind, found.advice.entry) == ("whitelist", r"/\.mail\.example\.com$/")
    assert found.evidence.messages == 8
    assert found.unreviewed_evidence == found.evidence


def test_once_the_pool_is_covered_only_the_customers_are_judged() -> None:
    found = standing([*MX, *DSL], [*POOL, *BOTS], POOL_LISTED)
    assert found.covered_by is None
    assert (found.advice.kind, found.advice.entry) == ("ignore", None)
    assert found.advice.why.startswith("20 of 20 attempts came from customers' lines; 0 of 4 messages")
    assert (found.evidence.messages, found.evidence.delivered) == (8, 4)
    assert (found.unreviewed_evidence.messages, found.unreviewed_evidence.delivered) == (4, 0)


def test_the_part_of_a_pool_that_the_line_misses_is_judged_by_its_own_messages() -> None:
    lists = Lists([read_whitelist(b"198.51.0.0/23\n", "whitelist")])  # the first two networks
    assert standing(MX, POOL, lists).advice.kind == "look"
    assert standing(MX, POOL, lists).advice.why.startswith("too little to go by: 2 of 2 messages")


@pytest.mark.parametrize(
    ("ignored", "entry"),
    [
        pytest.param(b"", r"/\.example\.com$/", id="nobody ignored"),
        pytest.param(b"dyn.example.com\n", None, id="customers ignored"),
    ],
)
def test_no_line_is_proposed_that_covers_an_ignored_client(ignored: bytes, entry: str | None) -> None:
    pool = [Client(f"mail-{word}.example.com", f"198.51.{number}.7") for number, word in enumerate("abcdefghi")]
    customers = [Client("h7.dyn.example.com", "198.18.0.9")] if ignored else []
    lists = Lists([], [read_ignore(ignored, "ignore")])
    found = standing([*pool, *customers], [message(client, moved=True) for client in pool], lists)
    assert found.advice.entry == entry
    assert found.advice.kind == ("whitelist" if entry else "look")


def test_a_covered_domain_is_left_in_peace() -> None:
    assert standing(MX, POOL, POOL_LISTED).advice.kind == "whitelist"
    assert standing(MX, POOL, POOL_LISTED).advice.entry is None
    ignored = Lists([], [read_ignore(b"example.com\n", "ignore")])
    assert standing(MX, POOL, ignored).advice.kind == "ignore"


def parties(clients: Sequence[Client], counts: Sequence[int], messages: Sequence[Message] = ()) -> Parties:
    attempts = [(client, count, 0) for client, count in zip(clients, counts, strict=True)]
    facts = facts_of("example.com", attempts, messages)
    facts.judge(NOTHING)
    return facts.parties(NOW)


def test_messages_count_for_the_party_that_tried_them_first() -> None:
    made = parties([*MX, *DSL, Client("h1.example.com", "203.0.113.1")], [5] * 9, POOL + BOTS)
    assert (made.mail.attempts, made.mail.evidence.messages, made.mail.networks) == (20, 4, 4)
    assert (made.lines.attempts, made.lines.evidence.messages) == (20, 4)
    assert made.servers.names() - made.mail.names() == {"h1.example.com"}


def test_networks_are_counted_by_address_family() -> None:
    both = [Client("mail.example.com", address) for address in ("198.51.100.7", "2001:db8::7")]
    assert parties(both, [1, 1]).mail.networks == 1


def test_the_pause_is_the_mean_time_between_two_attempts() -> None:
    # Ten attempts at four messages, one of them accepted: seven pauses, in which 2 and 5 hours went by.
    messages = [
        message(MX[0], delay=2 * HOUR),
        message(MX[1], delay=None)._replace(last=NOW - 3 * DAY + 5 * HOUR),
        message(MX[2], delay=None),
        message(MX[3], delay=None),
    ]
    made = parties(MX, [3, 4, 2, 1], messages)
    assert made.mail.pause == HOUR
    assert parties(MX[2:3], [1], messages).mail.pause == 0


def nameless(*messages: Message, lists: Lists = NOTHING) -> NetworkStanding:
    attempts = [(Client("unknown", f"198.51.100.{number}"), 1, 0) for number in (7, 9)]
    (found,) = standings([facts_of("unknown", attempts, messages)], lists, NOW).nameless
    return found


def test_a_network_of_clients_without_a_name_whose_mail_arrives_is_proposed_for_a_look() -> None:
    arrived = message(Client("unknown", "198.51.100.7"))
    elsewhere = message(Client("unknown", "203.0.113.7"), delay=None)
    found = nameless(arrived, arrived, arrived, elsewhere)
    assert (found.evidence.messages, found.evidence.delivered) == (3, 3)
    assert (found.advice.kind, found.advice.entry) == ("look", "198.51.100.0/24")


def test_a_network_that_is_covered_is_left_in_peace() -> None:
    found = nameless(lists=Lists([read_whitelist(b"198.51.100.0/24\n", "whitelist")]))
    assert found.advice.kind == "whitelist"
    assert (found.unreviewed, found.advice.entry) == (0, None)
