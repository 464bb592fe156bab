from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.cli.output import say
from postgrey_exporter.counting.evidence import Delays, Evidence
from postgrey_exporter.decision import Client
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.lists.edit import Edit, checked_entry
from postgrey_exporter.review import ClientAttempts, Decision, Item, Reach, Review, items, reach, text, uncovered
from postgrey_exporter.review.model import covered
from postgrey_exporter.summary.advice import Advice
from postgrey_exporter.summary.domain import DomainStanding
from postgrey_exporter.summary.proposal import whitelist_entry

if TYPE_CHECKING:
    from postgrey_exporter.review.model import Act

NO_EDIT: Final = Edit(Path("list"), b"", b"", (), (), ())


def standing(domain: str, unreviewed: int, advice: Advice | None = None) -> DomainStanding:
    return DomainStanding(
        domain=domain,
        new=unreviewed,
        early_retry=1,
        clients=2,
        networks=1,
        unreviewed=unreviewed,
        covered_by=None,
        unreviewed_evidence=Evidence(
            messages=44, moved=41, delivered=40, lost=2, delays=Delays(11_400, 43_200), reported=Delays(300, 420)
        ),
        advice=advice or Advice("look", (str, "nobody knows"), None),
    )


def item(domain: str, *clients: tuple[str, int], advice: Advice | None = None) -> Item:
    found = [
        ClientAttempts(Client(name, f"192.0.2.{number}"), attempts)
        for number, (name, attempts) in enumerate(clients, 1)
    ]
    return Item(standing(domain, sum(one.attempts for one in found), advice), tuple(found))


def three() -> list[Item]:
    return [
        item("example.com", ("mx.pool.example.com", 20), ("dyn7.example.com", 16)),
        item("example.net", ("mx.example.net", 18)),
        item("example.org", ("mx.example.org", 15)),
    ]


def whitelisted(entry: str) -> Decision:
    return Decision("whitelist", entry, NO_EDIT)


def ignored(entry: str) -> Decision:
    return Decision("ignore", entry, NO_EDIT)


def domain(review: Review) -> str | None:
    return review.current.domain if review.current else None


def test_a_settled_item_leads_to_the_next() -> None:
    review = Review(three(), 15)
    review.change(ignored("example.com"))
    assert domain(review) == "example.net"
    review.change(whitelisted("mx.example.net"))
    review.skip()
    assert review.current is None
    assert [(item.domain, change.entry) for item, change in review.changed("whitelist")] == [
        ("example.net", "mx.example.net")
    ]
    assert (review.skipped, review.undecided) == (1, 0)


def test_what_an_entry_leaves_uncovered_is_asked_about_again() -> None:
    review = Review(three(), 15)
    review.change(whitelisted("pool.example.com"))
    assert domain(review) == "example.com"
    assert [one.client.name for one in review.rest] == ["dyn7.example.com"]
    assert not review.is_settled
    review.change(ignored("example.com"))
    assert domain(review) == "example.net"


def test_a_rest_below_the_threshold_is_not_asked_about() -> None:
    review = Review(three(), 17)
    review.change(whitelisted("pool.example.com"))
    assert domain(review) == "example.net"


def test_changes_are_taken_back_one_by_one_the_last_first() -> None:
    review = Review(three(), 15)
    for decision in (whitelisted("pool.example.com"), ignored("example.com"), ignored("example.net")):
        review.change(decision)
    taken = []
    while (last := review.last_change) is not None:
        taken.append((last[0].domain, last[1].act))
        review.take_back()
        assert domain(review) == last[0].domain
    assert taken == [("example.net", "ignore"), ("example.com", "ignore"), ("example.com", "whitelist")]
    assert (review.undecided, review.changes) == (3, [])


def test_a_skipped_item_can_be_decided_after_all() -> None:
    review = Review(three(), 15)
    review.skip()
    assert review.go_back()
    assert review.is_skipped
    review.change(ignored("example.com"))
    assert (review.skipped, review.undecided) == (0, 2)


def test_going_on_from_a_decided_item_does_not_skip_it() -> None:
    review = Review(three(), 15)
    review.change(ignored("example.com"))
    review.go_back()
    review.skip()
    assert (domain(review), review.skipped) == ("example.net", 0)


def test_there_is_nothing_before_the_first_item() -> None:
    assert not Review(three(), 15).go_back()


ACTS = st.lists(st.sampled_from(["whitelist", "ignore", "skip", "back", "undo"]), max_size=30)


@given(ACTS)
def test_no_walk_leaves_the_items_or_loses_a_change(acts: list[str]) -> None:
    review = Review(three(), 15)
    made = 0
    for act in acts:
        if act in {"whitelist", "ignore"} and review.current is not None and not review.is_settled:
            kind: Act = "whitelist" if act == "whitelist" else "ignore"
            review.change(Decision(kind, review.current.domain, NO_EDIT))
            made += 1
        elif act == "skip" and review.current is not None:
            review.skip()
        elif act == "back":
            review.go_back()
        elif act == "undo" and review.last_change:
            review.take_back()
            made -= 1
        assert 0 <= review.position <= 3
        assert len(review.changed("whitelist")) + len(review.changed("ignore")) == made
        assert 0 <= review.undecided <= 3 - review.skipped


def test_items_have_the_clients_that_no_list_covers_most_attempts_first() -> None:
    lists = Lists([read_whitelist(b"mx1.example.com\n", "")], [read_ignore(b"dyn.example.com\n", "")])
    attempts = [
        (Client(name, "192.0.2.1"), new, early)
        for name, new, early in [
            ("mx1.example.com", 9, 0),
            ("mx2.example.com", 1, 1),
            ("a.dyn.example.com", 9, 0),
            ("mx3.example.com", 2, 1),
            ("mx.example.net", 7, 0),
            ("unknown", 7, 0),
        ]
    ]
    everyone = uncovered(attempts, lists)
    (found,) = items([standing("example.com", 5)], everyone)
    assert [(one.client.name, one.attempts) for one in found.clients] == [
        ("mx3.example.com", 3),
        ("mx2.example.com", 2),
    ]
    assert [one.client.name for one in everyone][:2] == ["mx.example.net", "unknown"]


def test_an_entry_reaches_what_explain_says_it_covers() -> None:
    everyone = [one for item in three() for one in item.clients]
    everyone.append(ClientAttempts(Client("unknown", "192.0.2.77"), 3))
    first = three()[0]
    assert reach("/^mx/", first, everyone) == Reach(1, 20, ("example.net", "example.org"))
    assert reach("192.0.2.0/24", first, everyone) == Reach(2, 36, ("example.net", "example.org", "unknown"))
    assert reach("example.edu", first, everyone) == Reach(0, 0, ())


@pytest.mark.parametrize("width", [1, 40, 80, 300])
def test_the_evidence_fits_the_terminal(width: int) -> None:
    advice = Advice("whitelist", (str, "41 of 44 messages changed network, 40 arrived"), r"/\.pool\.example\.com$/")
    clients = [("mx.pool.example.com", 9), *((f"dyn{number}.example.com", 1) for number in range(9))]
    lines = list(text.evidence(item("example.com", *clients, advice=advice), width))
    assert max(map(len, lines)) <= max(width, 40)
    told = " ".join(" ".join(lines).split())
    assert "44 messages: 41 changed network, 40 arrived, 2 never came back" in told
    assert "arrived after 3 h 10 min in the median, 12 h 0 min at most (postgrey says 5 min and 7 min)" in told
    assert "Advice: whitelist. 41 of 44 messages changed network, 40 arrived." in told
    assert "covers 1 of 10 unreviewed clients, 9 of 18 attempts" in told
    assert "and 6 more clients" in told


def test_what_the_lists_cover_already_is_told_apart() -> None:
    half = item("example.com", ("mx.pool.example.com", 20))
    told = " ".join(text.evidence(half, 200))
    assert "20 of 21 greylisted attempts unreviewed (20 new, 1 early retry); 1 of 2 clients in 1 network" in told


def test_what_a_terminal_would_obey_is_shown_as_nothing_of_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    advice = Advice("look", (str, "\x1b]0;x\x07"), "/\x1b/")
    evil = item("example.com", ("mx\x1b[2J\x07.example.com", 20), advice=advice)
    review = Review([evil], 15)
    for line in [*text.evidence(evil, 80), *text.listing([evil], 15), *text.rest(review)]:
        say(line)
    shown = capsys.readouterr().out.splitlines()
    assert "Entry:  /\\x1b/" in shown
    assert all(line.isprintable() for line in shown)


def test_the_list_says_advice_and_entry_of_each_domain() -> None:
    advice = Advice("whitelist", (str, "41 of 44 messages changed network"), r"/\.pool\.example\.com$/")
    lines = list(text.listing([item("example.com", ("mx.pool.example.com", 20), advice=advice), three()[1]], 15))
    assert lines[0] == "2 domains to review (15 or more unreviewed attempts):"
    assert lines[2].startswith("example.com: 20 of 21 greylisted attempts unreviewed (20 new, 1 early retry)")
    assert lines[4:6] == [
        "  whitelist: 41 of 44 messages changed network",
        r"  entry: /\.pool\.example\.com$/",
    ]
    assert lines[-1] == "  look: nobody knows"


def test_the_summary_counts_and_names_the_entries() -> None:
    review = Review(three(), 15)
    review.change(whitelisted("pool.example.com"))
    review.change(ignored("example.com"))
    review.skip()
    assert list(text.summary(review)) == [
        "3 domains: 1 whitelisted, 1 ignored, 1 skipped, 1 left undecided.",
        "  whitelisted  example.com  pool.example.com  in list",
        "  ignored      example.com  example.com       in list",
    ]


def test_many_domains_are_named_in_part() -> None:
    names = [f"{letter}.example" for letter in "abcdefg"]
    assert text.named(["example.com", "unknown"]) == "example.com, clients without a name"
    assert text.named(names) == "a.example, b.example, c.example, d.example, e.example and 2 more domains"


LABEL = st.sampled_from(["mx", "a-1", "x_1", "pool", "o2", "mail", "7"])
HOSTS = st.lists(LABEL, max_size=3).map(lambda labels: ".".join([*labels, "example.co.uk"]))


@given(st.sets(HOSTS, min_size=1, max_size=6), st.sets(HOSTS, max_size=4))
def test_what_is_proposed_is_taken_and_covers_just_what_it_should(wanted: set[str], unwanted: set[str]) -> None:
    entry = whitelist_entry(wanted, unwanted - wanted)
    if entry is None:
        return
    assert checked_entry("whitelist", entry).text == entry
    clients = [ClientAttempts(Client(name, "192.0.2.1"), 1) for name in sorted(wanted | unwanted)]
    clients += [ClientAttempts(Client(f"evil{name}", "192.0.2.1"), 1) for name in sorted(wanted) if name[0] == "e"]
    names = {one.client.name for one in covered(entry, clients)}
    assert wanted <= names
    assert not names & (unwanted - wanted)
    assert not {name for name in names if name.startswith("evil")}
