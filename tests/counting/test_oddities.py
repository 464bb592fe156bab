"""What compiled code is handed in Python, however odd, is refused or kept whole: nothing is half done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.reference import network_number
from support.tallies import SECRET, add, tally_of

from postgrey_exporter.counting.facts import DomainFacts
from postgrey_exporter.counting.increment import Increment
from postgrey_exporter.counting.seen import Seen
from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.decision import GREYLIST, NEW, Client, Decision
from postgrey_exporter.lists import Lists
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.usual import UsualLines

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = 1_800_000_000.0
POOL: Final = Client("mail.example.com", "192.0.2.1")
USUAL: Final = Decision(NOW, GREYLIST, NEW, POOL, None)
UINT32: Final = (1 << 32) - 1


# --- made without __init__


@pytest.mark.parametrize("made", [Tally, Increment, UsualLines, KeyedHash, DomainFacts])
def test_what_can_not_be_without_something_is_not_made_without_it(made: type[Any]) -> None:
    with pytest.raises(TypeError):
        made.__new__(made)  # type: ignore[call-overload]


@pytest.mark.parametrize("made", [Tally, Increment])
def test_a_tally_that_was_not_begun_takes_every_moment(made: type[Tally]) -> None:
    tally = made.__new__(made, KeyedHash(SECRET))  # type: ignore[call-arg]
    add(tally, USUAL)

    assert list(tally.clients()) == [(POOL, 1, 0)]
    assert (tally.first_event, tally.last_event) == (NOW, NOW)


def test_decisions_that_were_not_begun_are_none() -> None:
    assert len(Decisions.__new__(Decisions)) == 0


# --- refused without a trace


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"reason": "odd"}, id="verdict"),
        pytest.param({"delay": -1 << 40}, id="delay"),
        pytest.param({"message": 1 << 70}, id="message"),
        pytest.param({"time": None}, id="time"),
        pytest.param({"client": Client("\ud800", "")}, id="name"),
    ],
)
def test_a_decision_that_is_refused_is_not_there(wrong: dict[str, Any]) -> None:
    decisions = Decisions()
    with pytest.raises((KeyError, OverflowError, TypeError, UnicodeEncodeError)):
        decisions.add(USUAL._replace(**wrong), KeyedHash(SECRET))

    assert len(decisions) == 0


def test_a_message_that_is_refused_is_not_there() -> None:
    facts = DomainFacts("example.com")
    with pytest.raises(TypeError):
        facts.add_message(NOW, NOW, 1, False, "soon", None, False)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        facts.add_message(NOW, NOW, 1, False, None, 1 << 40, False)

    assert facts.evidence(NOW).messages == 0


def test_a_remembered_message_that_is_refused_is_not_there() -> None:
    tally = tally_of(USUAL)
    with pytest.raises(OverflowError):
        tally.remember(0, NOW - 9, NOW - 9, 1, False, None, 1 << 40, False)
    tally.settle()

    assert len(list(tally.deliveries({"example.com": 1}))) == 0
    assert [row[2] for row in tally.message_rows({"example.com": 1}, 0)] == [NOW]
    tally.note_seen({"example.com": 1}, Seen())


@pytest.mark.parametrize(
    ("name", "address"),
    [
        # Few characters, but more bytes than there is room for.
        pytest.param("mx.example.com", ":" + "\N{REPLACEMENT CHARACTER}" * 44, id="address"),
        pytest.param("x" * 70_000, "192.0.2.1", id="name"),
        pytest.param("\N{REPLACEMENT CHARACTER}" * 22_000, "192.0.2.1", id="name-of-many-bytes"),
    ],
)
def test_a_client_that_can_not_be_one_is_refused_and_not_there(name: str, address: str) -> None:
    facts = DomainFacts("example.com")
    with pytest.raises(ValueError, match="postgrey has no client called"):
        facts.add_client(name, address, 1, 1)

    assert facts.totals().clients == 0


# --- large numbers


def test_counts_of_32_bits_add_up_to_more() -> None:
    facts = DomainFacts("example.com")
    for address in ("192.0.2.1", "192.0.2.2"):
        facts.add_client("mx.example.com", address, UINT32, UINT32)
    facts.judge(Lists())
    (network,) = facts.networks(NOW, 1)

    assert facts.totals().unreviewed == network.unreviewed == 4 * UINT32
    assert (network.new, network.early_retry) == (2 * UINT32, 2 * UINT32)
    assert facts.parties(NOW).servers.attempts == 4 * UINT32
    with pytest.raises(OverflowError):
        facts.add_client("mx.example.com", "192.0.2.3", -1, 0)


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        pytest.param(253402300799.0, 70389527, id="year-9999"),
        pytest.param(-62135596800.0, -17259888, id="year-1"),
        pytest.param(1e300, (1 << 31) - 1, id="never"),
        pytest.param(-1e300, 1 - (1 << 31), id="never-before"),
        pytest.param(float("-inf"), 1 - (1 << 31), id="infinity"),
    ],
)
def test_a_moment_however_far_has_its_hour(moment: float, hour: int) -> None:
    tally = tally_of(USUAL._replace(time=moment))

    assert tally.decision_hours() == [(hour, GREYLIST, NEW, 1)]
    assert [row[0] for row in tally.attempt_rows(-(1 << 31))] == [hour]
    assert tally.first_event == tally.last_event == moment


def test_a_moment_that_is_none_leaves_no_trace() -> None:
    tally = tally_of(USUAL._replace(time=float("nan")))

    assert (tally.decisions, tally.decision_hours(), list(tally.clients())) == (0, [], [])


# --- out of turn


def test_what_a_tally_yields_is_of_the_moment_when_it_was_asked_for() -> None:
    tally = tally_of(USUAL)
    tally.settle()
    ids = {"example.com": 1}
    begun = [
        tally.clients(),
        tally.facts(),
        tally.client_rows(ids, 0, 0),
        tally.attempt_rows(0),
        tally.story_rows(ids),
        tally.message_rows(ids, 0.0),
    ]
    firsts = [next(rows) for rows in begun]
    add(tally, *(USUAL._replace(client=Client(f"mx.d{n}.org", f"198.18.0.{n}"), message=n) for n in range(200)))
    tally.close()

    assert len(firsts) == 6
    assert [list(rows) for rows in begun] == [[]] * 6


def test_the_domains_that_a_tally_tells_are_a_copy() -> None:
    tally = tally_of(USUAL)
    tally.domains.clear()

    assert tally.domains == ["unknown", "example.com"]
    assert [row[3] for row in tally.client_rows({"example.com": 7}, 0, 0)] == [7]
    assert [facts.domain for facts in tally.facts()] == ["example.com"]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda facts: facts.networks(NOW, 5), id="networks"),
        pytest.param(lambda facts: facts.parties(NOW), id="parties"),
        pytest.param(lambda facts: facts.totals(), id="totals"),
    ],
)
def test_clients_that_came_after_the_judgement_do_no_harm(ask: Callable[[DomainFacts], object]) -> None:
    facts = DomainFacts("example.com")
    facts.add_client("mx.example.com", "192.0.2.1", 1, 0)
    facts.judge(Lists())
    for number in range(500):
        facts.add_client("mx.example.com", f"198.18.{number % 250}.1", 1, 0)
        facts.add_message(NOW, NOW, network_number(f"198.18.{number % 250}.1"), False, None, None, False)

    assert ask(facts)


# --- an attacker's choice

# What undoes the multiplications, modulo 2^64 and 2^32, that would make a network and its slot without a secret.
FROM_NETWORK: Final = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
FROM_SLOT: Final = pow(0x9E3779B1, -1, 1 << 32)


def test_networks_that_were_chosen_to_meet_in_one_place_are_judged_as_fast_as_others() -> None:
    def seconds(prefixes: list[int]) -> float:
        facts = DomainFacts("example.com")
        for prefix in prefixes:
            digits = f"{prefix:016x}"
            facts.add_client("unknown", f"{digits[:4]}:{digits[4:8]}:{digits[8:12]}:{digits[12:]}::1", 1, 0)
        begun = time.process_time()
        facts.judge(Lists())
        return time.process_time() - begun

    numbers = [(high << 23 | low) * FROM_SLOT % (1 << 32) for high in range(512) for low in range(128)]
    chosen = [(number << 33) * FROM_NETWORK % (1 << 64) for number in numbers if number >> 31]
    others = [0x20010DB8 << 32 | number for number in range(len(chosen))]

    assert len(chosen) > 30_000
    assert seconds(chosen) < 20 * max(seconds(others), 0.005)
