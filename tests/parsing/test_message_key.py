from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.parts import Postgrey, require
from support.reference import Message, network_number
from support.tallies import SECRET, tally_of

from postgrey_exporter.decision import GREYLIST, NEW, PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.parsing.field import message_text
from postgrey_exporter.parsing.hashing import KEY_SIZE, KeyedHash
from postgrey_exporter.parsing.message_key import RETRY_WINDOW, message_key
from postgrey_exporter.parsing.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600.0
CLIENTS: Final = [Client(f"mx{number}.example.com", f"198.51.{number}.1") for number in range(10)]


def greylisted(time: float, network: int = 1) -> Decision:
    return Decision(time, GREYLIST, NEW, CLIENTS[network], None)


def passed(time: float, network: int = 1, reported: int | None = None) -> Decision:
    return Decision(time, PASS, TRIPLET_FOUND, CLIENTS[network], reported)


def messages_of(*decisions: Decision) -> list[Message]:
    tally = tally_of(*decisions)
    tally.settle()
    rows = tally.message_rows({"example.com": 1}, 0.0)
    return [
        Message(first, last, network, bool(moved), accepted, reported, bool(line))
        for _, _, first, last, network, moved, accepted, reported, line in rows
    ]


def test_a_message_that_returns_to_the_same_network_is_delivered_with_its_delay() -> None:
    (message,) = messages_of(greylisted(0), greylisted(60), passed(400, reported=400))
    network = network_number(CLIENTS[1].address)
    assert message == Message(0, 400, network, moved=False, accepted=400, reported=400)
    assert message.delay == 400


def test_a_message_that_moves_between_networks_keeps_its_first_greylisting() -> None:
    (message,) = messages_of(greylisted(0, 1), greylisted(2 * HOUR, 2), passed(3 * HOUR, 2, reported=3600))
    assert message.moved
    assert (message.delay, message.reported) == (3 * HOUR, 3600)


def test_a_pass_of_any_kind_from_any_network_delivers_an_open_message() -> None:
    (message,) = messages_of(greylisted(0, 1), passed(HOUR, 7))
    assert (message.accepted, message.moved, message.reported) == (HOUR, False, None)


def test_a_pass_that_belongs_to_no_message_leaves_no_trace() -> None:
    assert messages_of(passed(0), passed(10)) == []


def test_what_is_greylisted_after_an_acceptance_is_another_message() -> None:
    messages = messages_of(greylisted(0), passed(400), passed(500), greylisted(900, 2))
    assert [(m.first, m.accepted) for m in messages] == [(0, 400), (900, None)]


def test_messages_of_one_moment_are_told_apart_by_their_begin() -> None:
    messages = messages_of(greylisted(HOUR), passed(HOUR), greylisted(HOUR), passed(HOUR), greylisted(HOUR))
    assert [message.accepted for message in messages] == [HOUR, HOUR, None]
    assert len({message.first for message in messages}) == 3


@pytest.mark.parametrize(
    ("pause", "count"), [(RETRY_WINDOW - 1, 1), (RETRY_WINDOW, 2)], ids=["just in time", "too late"]
)
def test_a_message_is_open_for_the_retry_window_after_its_last_attempt(pause: float, count: int) -> None:
    assert len(messages_of(greylisted(0), greylisted(100), greylisted(100 + pause))) == count


def test_a_message_is_lost_only_when_the_retry_window_is_over() -> None:
    (facts,) = tally_of(greylisted(0)).facts()
    assert facts.evidence(RETRY_WINDOW - 1).lost == 0
    assert facts.evidence(RETRY_WINDOW).lost == 1
    (delivered,) = tally_of(greylisted(0), passed(10)).facts()
    assert delivered.evidence(10 * RETRY_WINDOW).lost == 0


SENDERS = st.one_of(
    st.from_regex(r"(prvs=)?[a-z0-9=+.\-_]{0,24}(@[a-z0-9.@]{0,12})?", fullmatch=True),
    st.from_regex(r"prvs=[0-9a-zA-Z]{8,11}=[0-9a-z]{1,12}(=[a-z])?@example\.com", fullmatch=True),
    st.sampled_from(["", "@", "a+b@c", "bounce-12-3x@x", "msprvs1=17=bounces-4-88=x@y", "PRVS=abcdefghij=k@l"]),
)


def test_senders_are_substituted_as_postgrey_does_it() -> None:
    require("postgrey", "postgrey")
    program = Path(shutil.which("postgrey") or "").read_text()
    found = re.search(r"sub do_sender_substitutions.*?^}", program, re.DOTALL | re.MULTILINE)
    assert found
    script = found[0] + "\n$|=1; while(<STDIN>) { chomp; print do_sender_substitutions({}, $_), qq(\\n) }"
    with subprocess.Popen(["perl", "-e", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as perl:
        assert perl.stdin
        assert perl.stdout
        ask, answer = perl.stdin, perl.stdout

        @settings(max_examples=500, deadline=None)
        @given(SENDERS)
        def agrees(sender: str) -> None:
            ask.write(sender.encode() + b"\n")
            ask.flush()
            assert message_text(sender.encode(), b"") == answer.readline().rstrip(b"\n").lower() + b"\0"

        agrees()
        ask.close()


def test_one_message_has_one_key_whatever_the_case_and_the_verp_number() -> None:
    keyed = KeyedHash(SECRET)
    key = message_key(keyed, b"Bounce-17@Example.com", b"User@example.org")
    assert key == message_key(keyed, b"bounce-4711@example.com", b"user@example.org")
    assert key != message_key(keyed, b"bounce@example.com", b"user@example.org")
    assert key != message_key(KeyedHash(b"x" * KEY_SIZE), b"Bounce-17@Example.com", b"User@example.org")


SAME: Final = {
    "case": ("Bounce@Example.com", "bounce@example.COM"),
    "VERP with numbers": ("b-17-4@example.com", "b-9-4711@example.com"),
    "VERP with an extension": ("list+bob=example.org@example.com", "list+eve=example.org@example.com"),
    "BATV": ("prvs=1234abcdef=info@example.com", "prvs=9876fedcba=info@example.com"),
    "BATV the other way round": ("prvs=info=1234abcdef@example.com", "prvs=info=9876fedcba@example.com"),
    "a bounce": ("", ""),
}
DIFFERENT: Final = {
    "numbers in a word": ("b17@example.com", "b18@example.com"),
    "VERP with letters": ("b-ab1x@example.com", "b-cd2x@example.com"),
    "numbers of the domain": ("b@1.example.com", "b@2.example.com"),
    "BATV in capitals": ("PRVS=1234abcdef=info@example.com", "PRVS=9876fedcba=info@example.com"),
    "a bounce and a mail": ("", "info@example.com"),
}


@pytest.fixture(scope="module")
def postgrey() -> Iterator[Postgrey]:
    with Postgrey() as running:
        yield running


@pytest.mark.parametrize(
    ("senders", "same"),
    [
        *(pytest.param(senders, True, id=name) for name, senders in SAME.items()),
        *(pytest.param(senders, False, id=name) for name, senders in DIFFERENT.items()),
    ],
)
def test_what_postgrey_takes_for_one_message_is_one(
    postgrey: Postgrey, senders: tuple[str, str], *, same: bool, request: pytest.FixtureRequest
) -> None:
    recipient = f"{request.node.callspec.id.replace(' ', '-')}@example.org"
    before = len(postgrey.log_lines())
    for number, (sender, to) in enumerate(zip(senders, (recipient, recipient.upper()), strict=True)):
        postgrey.ask("mx.example.com", "192.0.2.1", sender, to, at=1_700_000_000 + 60 * number)
    lines = [line for line in postgrey.log_lines()[before:] if "action=" in line]

    assert ("reason=early-retry" in lines[1]) == same
    stamped = "".join(f"2024-07-03T10:00:00+00:00 mx postgrey[1]: {line}\n" for line in lines)
    keys = {decision.message for decision in Parser(secret=SECRET).parse(stamped.encode(), 0).decisions}
    assert (len(keys) == 1) == same
