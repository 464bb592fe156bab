"""Each rule of the advice, on either side of its threshold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.counting.evidence import Delays, Evidence, Parties, Party
from postgrey_exporter.summary import advice
from postgrey_exporter.summary.advice import Advice, advise, advise_on_network

HOUR = 3600.0
NOBODY = Party(attempts=0, networks=0, pause=0.0, evidence=Evidence(), names=frozenset)
LINES = NOBODY._replace(names=lambda: {"dsl1.example.com"}, attempts=10, networks=5)
SERVERS = {f"mta{number}.mail.example.com" for number in range(3)}


def evidence(messages: int, moved: int = 0, delivered: int = 0, lost: int = 0, median: float = 2 * HOUR) -> Evidence:
    delays = Delays(median, 2 * median) if delivered else None
    return Evidence(messages=messages, moved=moved, delivered=delivered, lost=lost, delays=delays)


def servers(known: Evidence, networks: int = 9, pause: float = HOUR, attempts: int = 20) -> Party:
    return Party(attempts=attempts, networks=networks, pause=pause, evidence=known, names=lambda: SERVERS)


def advised(mail: Party = NOBODY, unclear: Party = NOBODY, lines: Party = NOBODY) -> Advice:
    """Return the advice where either all servers are mail servers by their names, or none is."""
    assert NOBODY in {mail, unclear}
    return advise("example.com", Parties(mail=mail, servers=mail if mail != NOBODY else unclear, lines=lines))


POOL = evidence(20, moved=10, delivered=20)


def test_a_pool_is_advised_for_the_whitelist_with_its_numbers() -> None:
    found = advised(servers(POOL))
    assert found.kind == "whitelist"
    fate = "10 of 20 messages changed network, 20 arrived after 2 h 0 min in the median"
    assert found.why == f"{fate}; the entry covers 20 of 20 attempts"
    assert found.entry == r"/\.mail\.example\.com$/"


@pytest.mark.parametrize(
    ("mail", "kind"),
    [
        pytest.param(servers(evidence(20, moved=2, delivered=20)), "whitelist", id="two messages moved"),
        pytest.param(servers(evidence(9, moved=1, delivered=9)), "look", id="one moved, slowly"),
        pytest.param(servers(evidence(9, moved=1, delivered=9, median=3599)), "ignore", id="one moved, quickly"),
        pytest.param(servers(evidence(3, moved=2, delivered=3)), "whitelist", id="three messages"),
        pytest.param(servers(evidence(2, moved=2, delivered=2)), "look", id="two messages"),
        pytest.param(servers(evidence(21, moved=2, delivered=21)), "look", id="less than a tenth moved"),
        pytest.param(servers(evidence(20, moved=9, delivered=14, lost=6)), "whitelist", id="seven in ten arrived"),
        pytest.param(servers(evidence(20, moved=9, delivered=13, lost=6)), "look", id="fewer than seven in ten"),
        pytest.param(servers(evidence(20, moved=9, delivered=3)), "whitelist", id="three arrived, the others wait"),
        pytest.param(servers(evidence(20, moved=9, delivered=2)), "look", id="two arrived, the others wait"),
        pytest.param(servers(POOL, networks=2), "whitelist", id="two networks"),
        pytest.param(servers(POOL, networks=1), "look", id="an old and a new address, slow"),
        pytest.param(
            servers(evidence(9, moved=9, delivered=9, median=900), networks=1), "ignore", id="the same, quick"
        ),
        pytest.param(servers(POOL, pause=8 * HOUR), "whitelist", id="attempts eight hours apart"),
        pytest.param(servers(POOL, pause=8 * HOUR + 1), "ignore", id="attempts further apart"),
    ],
)
def test_what_makes_a_pool(mail: Party, kind: str) -> None:
    assert advised(mail).kind == kind


def test_servers_whose_names_say_nothing_are_never_advised_for_the_whitelist_but_a_line_is_proposed() -> None:
    found = advised(unclear=servers(POOL))
    assert (found.kind, found.entry) == ("look", r"/\.mail\.example\.com$/")


def test_a_pool_beside_any_number_of_customers_is_a_pool_and_the_line_leaves_them_out() -> None:
    found = advised(servers(POOL), lines=LINES._replace(attempts=10**6))
    assert (found.kind, found.entry) == ("whitelist", r"/\.mail\.example\.com$/")


def test_a_pool_that_no_line_tells_from_the_customers_is_left_to_a_look() -> None:
    found = advised(servers(POOL), lines=LINES._replace(names=lambda: SERVERS))
    assert (found.kind, found.entry) == ("look", None)
    assert found.why.endswith("no line tells its mail servers from the rest")


def test_clients_whose_names_say_nothing_are_not_covered_beside_a_pool() -> None:
    mail = servers(POOL)
    mixed = mail._replace(names=lambda: SERVERS | {"h1.mail.example.com"})
    found = advise("example.com", Parties(mail=mail, servers=mixed, lines=NOBODY))
    assert (found.kind, found.entry) == ("whitelist", r"/^mta[0-9]+\.mail\.example\.com$/")


def beside(mail: Party, others: Evidence, attempts: int, lines: Party = NOBODY) -> Advice:
    """Return the advice on a pool beside others whose names say nothing."""
    known = mail.evidence
    both = evidence(
        known.messages + others.messages, known.moved, known.delivered + others.delivered, known.lost + others.lost
    )
    names = SERVERS | {"h1.mail.example.com"}
    all_servers = mail._replace(attempts=mail.attempts + attempts, evidence=both, names=lambda: names)
    return advise("example.com", Parties(mail=mail, servers=all_servers, lines=lines))


LITTLE_POOL = servers(evidence(5, moved=5, delivered=5), networks=2, attempts=10)


@pytest.mark.parametrize(
    ("others", "attempts", "kind"),
    [
        pytest.param(evidence(3000, lost=3000), 3000, "look", id="thousands that never return"),
        pytest.param(evidence(3000), 3000, "look", id="thousands that have not returned yet"),
        pytest.param(evidence(3000, delivered=2099, lost=901), 3000, "look", id="fewer than seven in ten arrive"),
        pytest.param(evidence(3000, delivered=2100, lost=900), 3000, "whitelist", id="seven in ten arrive"),
        pytest.param(evidence(11, lost=11), 11, "look", id="one attempt more than the pool's"),
        pytest.param(evidence(10, lost=10), 10, "whitelist", id="as many attempts as the pool's"),
        pytest.param(evidence(1, lost=1), 3000, "look", id="one message that hammers"),
    ],
)
def test_others_that_outnumber_a_pool_and_whose_mail_does_not_arrive_make_it_a_look(
    others: Evidence, attempts: int, kind: str
) -> None:
    found = beside(LITTLE_POOL, others, attempts)
    assert (found.kind, found.entry) == (kind, r"/^mta[0-9]+\.mail\.example\.com$/")


@pytest.mark.parametrize(
    ("others", "covered"),
    [
        pytest.param(
            evidence(9, delivered=4, lost=5), r"/^mta[0-9]+\.mail\.example\.com$/", id="most never come back"
        ),
        pytest.param(evidence(9, delivered=4, lost=4), r"/\.mail\.example\.com$/", id="half come back"),
    ],
)
def test_the_line_of_a_look_covers_no_clients_that_mostly_never_come_back(others: Evidence, covered: str) -> None:
    too_few = servers(evidence(2, delivered=2), networks=1)
    found = beside(too_few, others, 3000)
    assert (found.kind, found.entry) == ("look", covered)


def test_a_look_at_clients_that_mostly_never_come_back_proposes_no_line() -> None:
    found = advised(unclear=servers(evidence(9, delivered=4, lost=5)))
    assert (found.kind, found.entry) == ("look", None)


def test_why_tells_the_share_that_the_entry_covers_and_what_outnumbers_the_pool() -> None:
    beside_lines = advised(LITTLE_POOL, lines=LINES._replace(attempts=3002))
    assert beside_lines.why.endswith("5 arrived after 2 h 0 min in the median; the entry covers 10 of 3012 attempts")
    outnumbered = beside(LITTLE_POOL, evidence(3000, lost=3000), 3000, LINES._replace(attempts=2))
    assert outnumbered.why == (
        "3000 of 3012 attempts came from clients whose names say nothing, and 0 of their 3000 messages arrived; "
        "its mail servers made 10 attempts: 5 of 5 messages changed network, 5 arrived after 2 h 0 min in the median"
    )


@st.composite
def any_evidence(draw: st.DrawFn) -> Evidence:
    """Return the evidence of none, few or many messages, of which any share has any fate."""
    messages = draw(st.integers(0, 12) | st.integers(0, 5000))
    delivered = draw(st.sampled_from([0, messages]) | st.integers(0, messages))
    lost = draw(st.sampled_from([0, messages - delivered]) | st.integers(0, messages - delivered))
    return evidence(messages, draw(st.integers(0, messages)), delivered, lost, draw(st.floats(0, 2 * 86400.0)))


@given(any_evidence(), st.integers(0, 3), st.floats(0, 10 * HOUR), st.integers(1, 5000), st.booleans())
def test_no_sentence_contradicts_its_numbers_or_its_advice(
    known: Evidence, networks: int, pause: float, attempts: int, are_mail_servers: bool
) -> None:
    party = servers(known, networks, pause, 10)
    lines = LINES._replace(attempts=attempts, evidence=known)
    given_advice = [
        advised(**{"mail" if are_mail_servers else "unclear": party}),
        advised(lines=lines),
        advised(party, lines=lines),
        advise_on_network(["198.51.100.7"], known),
    ]
    for found in given_advice:
        assert ("none arrived" in found.why) <= (known.delivered == 0)
        assert ("arrived after" in found.why) <= (known.delivered > 0)
        assert not re.search(r"\b0 (arrived|never came back|may still)|\b1 (messages|attempts)|of 0 ", found.why)
        assert ("never came back" in found.why) <= (known.lost > 0)
        assert ("in the median" in found.why) <= (known.delivered > 1)
        if "does no harm" in found.why:
            assert (found.kind, known.lost) == ("ignore", 0)
            assert known.delivered
        if found.kind == "ignore" and not re.search("came from customers' lines|no retries", found.why):
            assert known.delivered or known.lost
        if found.kind == "whitelist":
            assert "none arrived" not in found.why
        if "too early" in found.why or "too little" in found.why:
            assert found.kind == "look"


@pytest.mark.parametrize(
    ("known", "kind", "why"),
    [
        pytest.param(evidence(20, lost=20), "ignore", "20 of 20 messages never came back", id="all lost"),
        pytest.param(
            evidence(9, delivered=1, lost=8, median=600),
            "ignore",
            "8 of 9 messages never came back, 1 arrived after 10 min",
            id="one arrived",
        ),
        pytest.param(
            evidence(9),
            "look",
            "too early to tell: 0 of 9 messages changed network, none arrived, 9 may still come back",
            id="fate unknown",
        ),
        pytest.param(
            evidence(1),
            "look",
            "too little to go by: 0 of 1 message changed network, none arrived, 1 may still come back",
            id="one message",
        ),
        pytest.param(evidence(0), "look", "too little to go by: nothing is known of their messages", id="no message"),
    ],
)
def test_what_is_said_where_little_or_nothing_arrived(known: Evidence, kind: str, why: str) -> None:
    found = advised(unclear=servers(known))
    assert (found.kind, found.why) == (kind, why)


@pytest.mark.parametrize(
    ("attempts", "kind"), [pytest.param(80, "ignore", id="80 %"), pytest.param(79, "look", id="79 %")]
)
def test_a_domain_is_an_isps_when_four_in_five_attempts_came_from_customers(attempts: int, kind: str) -> None:
    slow = servers(evidence(9, delivered=9), attempts=100 - attempts)
    found = advised(slow, lines=LINES._replace(attempts=attempts))
    assert found.kind == kind
    assert found.why.startswith("80 of 100 attempts came from customers' lines") == (kind == "ignore")


def test_a_botnet_of_customers_lines_is_ignored_though_its_mail_moves_and_arrives() -> None:
    assert advised(lines=LINES._replace(evidence=POOL)).kind == "ignore"


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        pytest.param(evidence(2, delivered=2, median=600), "look", id="too little"),
        pytest.param(evidence(3, delivered=3, median=600), "ignore", id="enough"),
        pytest.param(evidence(9, delivered=9, median=3599.9), "ignore", id="within the hour"),
        pytest.param(evidence(9, delivered=9, median=3600), "look", id="after an hour"),
        pytest.param(evidence(9, lost=9), "ignore", id="never came back"),
        pytest.param(evidence(9), "look", id="not yet back, from nowhere else: too early to tell"),
        pytest.param(evidence(50, moved=20, delivered=1, lost=9), "ignore", id="moves, but one in ten arrives"),
        pytest.param(evidence(50, moved=20, delivered=2, lost=9), "look", id="moves, more than one in ten arrives"),
        pytest.param(evidence(50, moved=20, delivered=0, lost=2), "look", id="moves, and too few are settled"),
        pytest.param(evidence(50, moved=20, delivered=0, lost=3), "ignore", id="moves, and enough never came back"),
    ],
)
def test_what_is_neither_a_pool_nor_an_isp(known: Evidence, kind: str) -> None:
    assert advised(unclear=servers(known)).kind == kind


OTHER = NOBODY._replace(names=lambda: {"www.mail.example.com"}, attempts=1)


@pytest.mark.parametrize("ignored", [set(), {"old.mail.example.com"}])
@pytest.mark.parametrize("lines", [NOBODY, OTHER])
@pytest.mark.parametrize("unclear", [NOBODY, OTHER])
@pytest.mark.parametrize("known", [POOL, evidence(2)])
def test_who_wants_no_line_gets_the_same_advice(
    known: Evidence, unclear: Party, lines: Party, ignored: set[str]
) -> None:
    mail = servers(known)
    both = mail._replace(names=lambda: mail.names() | unclear.names(), attempts=mail.attempts + unclear.attempts)
    parties = Parties(mail=mail, servers=both, lines=lines)
    short = advise("example.com", parties, lambda: ignored, propose=False)
    full = advise("example.com", parties, lambda: ignored)
    assert (short.kind, short.why) == (full.kind, full.why)


@pytest.mark.parametrize("known", [POOL, evidence(2)])
def test_who_wants_no_line_waits_for_no_names(known: Evidence) -> None:
    mail = servers(known)._replace(names=lambda: pytest.fail("there may be a million names"))
    assert advise("example.com", Parties(mail=mail, servers=mail, lines=NOBODY), propose=False).entry is None


def test_mails_of_their_own_that_look_like_one_are_told_by_the_time_between_them() -> None:
    found = advised(servers(POOL, pause=20 * HOUR))
    assert found.why.startswith("no retries, but mails 20 h 0 min apart: 10 of 20 messages")


def test_clients_without_a_name_are_left_to_a_look_that_no_list_by_name_helps() -> None:
    found = advise("unknown", Parties(mail=servers(POOL), servers=servers(POOL), lines=NOBODY))
    assert (found.kind, found.entry) == ("look", None)


@pytest.mark.parametrize(
    ("known", "kind", "entry"),
    [
        pytest.param(evidence(2, delivered=2), "look", None, id="too little"),
        pytest.param(evidence(10, delivered=7, lost=3), "look", "198.51.100.7", id="seven in ten arrived"),
        pytest.param(evidence(10, delivered=6, lost=4), "ignore", None, id="fewer"),
        pytest.param(evidence(10, delivered=2), "look", None, id="too few have arrived to tell"),
        pytest.param(POOL, "look", "198.51.100.7", id="never the whitelist, moved or not"),
    ],
)
def test_networks_of_clients_without_a_name(known: Evidence, kind: str, entry: str | None) -> None:
    found = advise_on_network(["198.51.100.7"], known)
    assert (found.kind, found.entry) == (kind, entry)


def test_a_spammer_who_tries_again_as_a_pool_does_can_not_be_told_from_one() -> None:
    """The limit that docs/advice.md states: the day this fails, both can be corrected."""
    assert advised(servers(POOL)).kind == "whitelist"
    assert "can't tell the two apart" in " ".join((advice.__doc__ or "").split())
