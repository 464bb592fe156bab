"""The quick way of counting usual lines counts nothing that the parser would not have made of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import product
from math import nan
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreement import assert_agree, reference_of, told_of_facts
from support.oddlines import (
    ANY_PIECE,
    BEFORE,
    CLIENTS,
    HEADER,
    HEADERS,
    PIECES,
    STAMPS,
    TRAILERS,
    VERDICTS,
    line_of,
    tampered,
    usual_line,
)
from support.reference import canonical_sender
from support.tallies import SECRET, tally_of

from postgrey_exporter.lists import Lists
from postgrey_exporter.parsing.decisions import Decisions
from postgrey_exporter.parsing.field import message_text
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.line import DECISION, FOREIGN
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.parsing.usual import UsualLines
from postgrey_exporter.pipeline.batch import LogReader, Period
from postgrey_exporter.sample import week

USUALLY: Final = settings().max_examples
if TYPE_CHECKING:
    from pathlib import Path

SEEN: Final = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
LISTS: Final = Lists()


def usual_lines() -> UsualLines:
    return UsualLines(b" postgrey", HeaderReader("postgrey", UTC), KeyedHash(SECRET))


def assert_counted_as_parsed(*blocks: tuple[bytes, float], tag: str = "postgrey") -> None:
    """Compare what lines add up to by the quick way, and where that does not know them, with what they parse to."""
    counting = Parser(tag, UTC, SECRET)
    tally = tally_of()
    reference = reference_of(tally, [])
    outcomes: Counter[str] = Counter()
    for lines, seen_at in blocks:
        tally.add(counting.read(lines, seen_at))
        parsed = Parser(tag, UTC, SECRET).parse(lines, seen_at)
        for decision in parsed.decisions:
            reference.add(decision)
        outcomes.update(parsed.lines)

    assert +Counter(tally.lines) == outcomes
    assert_agree(tally, reference, LISTS, SEEN)


def quickly(lines: bytes) -> tuple[int, int, list[bytes]]:
    """Return how many lines are decisions and other programs' by the quick way, and which it leaves to the parser."""
    unusual: list[bytes] = []

    def leave(line: bytes) -> float:
        unusual.append(line)
        return SEEN if b"action=" in line else nan

    usual, foreign = usual_lines().read(lines, SEEN, Decisions(), leave)
    return usual, foreign, unusual


# --- what takes the quick way


@pytest.mark.parametrize("header", HEADERS)
def test_usual_lines_take_the_quick_way_and_are_counted_as_parsed(header: str) -> None:
    for verdict, client, trailer in product(VERDICTS, CLIENTS, TRAILERS):
        line = usual_line(header, verdict, client, trailer)
        # The moment of the first bare message is asked for.
        asked = [line] if header.startswith("no-header") else []
        assert quickly(line + b"\n" + line) == quickly(line + b"\n" + line + b"\n") == (2 - len(asked), 0, asked), (
            line
        )

    lines = b"\n".join(usual_line(header, *parts) for parts in product(VERDICTS, CLIENTS, TRAILERS))
    assert_counted_as_parsed((lines, SEEN))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Jun 26 00:00:07 mx1 postfix/smtpd[9]: connect from unknown[192.0.2.9]", id="postfix"),
        pytest.param(b"2024-06-26T00:00:07Z mx1 logger: action=greylist, reason=new", id="says-the-same"),
        pytest.param(b"Jun 26 00:00:07 mx1 postfix/cleanup[9]: Subject: postgrey[1]: action=greylist", id="forged"),
        pytest.param(b"no header, and no tag", id="no-header"),
        pytest.param(b"Jun 26 00:00:07", id="stamp-alone"),
        pytest.param(b"Jun 26 00:00:07 ", id="stamp-and-blank"),
        pytest.param(b"Jun 26 00:00:07 mx1", id="stamp-and-host"),
    ],
)
def test_lines_of_other_programs_take_the_quick_way(line: bytes) -> None:
    assert quickly(line + b"\n") == (0, 1, [])


@pytest.mark.parametrize("header", [b"Jun 26 00:00:07 mx postgrey[7]: ", b"2024-06-26T00:00:07Z mx postgrey: ", b""])
def test_a_hole_before_a_line_is_passed_over(header: bytes) -> None:
    line = header + b"action=greylist, reason=new, client_name=a.b.example, client_address=192.0.2.1\n"
    lines = b"\0" * 9 + line + b"\0\n\0\0" + line
    read = Parser("postgrey", UTC, SECRET).read(lines, SEEN)

    assert (read.lines[DECISION], read.lines[FOREIGN]) == (2, 1)
    assert_counted_as_parsed((lines, SEEN))


def test_all_decisions_of_a_real_postgrey_take_the_quick_way() -> None:
    log = "".join(week(SEEN)).encode()
    usual, foreign, unusual = quickly(log)

    assert usual == sum(b" postgrey[" in line and b"action=" in line for line in log.splitlines())
    assert foreign == sum(b" postgrey[" not in line for line in log.splitlines())
    assert unusual == []
    assert_counted_as_parsed((log, SEEN))


def test_what_several_parsers_read_of_a_log_adds_up_to_what_one_parses() -> None:
    lines = "".join(week(SEEN)).encode().splitlines(keepends=True)
    parsers = [Parser(zone=UTC, secret=SECRET)]
    parsers += [parsers[0].another() for _ in range(2)]
    tally = tally_of()
    for number, at in enumerate(range(0, len(lines), 500)):
        tally.add(parsers[number % 3].read(b"".join(lines[at : at + 500]), SEEN))

    parsed = parsers[0].parse(b"".join(lines), SEEN)
    assert_agree(tally, reference_of(tally, parsed.decisions), LISTS, SEEN)


@pytest.mark.parametrize("size", [100, 10_000, 1 << 20])
def test_a_log_read_in_stretches_by_several_cores_adds_up_to_what_one_parses(size: int, tmp_path: Path) -> None:
    lines = [line.encode() for line in week(SEEN) if " postgrey[" in line][:1000]
    # A line without its end, and one that is longer than a stretch.
    lines[500:500] = [b"x" * 5000 + b"\n"]
    log = tmp_path / "mail.log"
    log.write_bytes(b"".join(lines)[:-1])
    parser = Parser(zone=UTC, secret=SECRET)
    reader = LogReader(parser, Period(), SEEN, stretch_bytes=size)
    reader.read_files([log])

    tally = reader.result.tally
    parsed = parser.parse(log.read_bytes(), SEEN)
    assert (reader.result.problems, dict(tally.lines)[DECISION]) == ([], len(parsed.decisions))
    found = {facts.domain: told_of_facts(facts, LISTS, SEEN) for facts in tally.facts()}
    expected = {facts.domain: facts for facts in reference_of(tally, parsed.decisions).facts()}
    assert found == {domain: told_of_facts(facts, LISTS, SEEN, pytest.approx) for domain, facts in expected.items()}


def test_what_the_quick_way_leaves_comes_when_its_turn_is() -> None:
    usual = usual_line("rfc3339", "new", "ipv4", "both")
    order: list[object] = []
    decisions = Decisions()
    lines = b"\n".join((usual, HEADER + b"delayed x", usual, b"postgrey: odd postgrey", b"x"))

    def leave(line: bytes) -> float:
        order.append((line, len(decisions)))
        return nan

    usual_lines().read(lines, SEEN, decisions, leave)

    assert order == [(HEADER + b"delayed x", 1), (b"postgrey: odd postgrey", 2)]


def test_an_error_in_what_takes_an_unusual_line_is_passed_on() -> None:
    class OddError(Exception):
        pass

    def fail(_: bytes) -> float:
        raise OddError

    with pytest.raises(OddError):
        usual_lines().read(b"x postgrey", SEEN, Decisions(), fail)


# --- lines of odd pieces: a usual line in pieces, and what stands in their place is nearly as usual.


@pytest.mark.parametrize("place", range(len(PIECES)))
def test_a_line_is_counted_as_parsed_whatever_piece_is_odd(place: int) -> None:
    for action, piece in product(("action=greylist", "action=pass"), PIECES[place]):
        reason = ", reason=new" if action == "action=greylist" else ", reason=triplet found"
        assert_counted_as_parsed((BEFORE + line_of({3: action, 4: reason, place: piece}), SEEN))


def test_a_stamp_is_read_right_whatever_stamp_was_read_before() -> None:
    for before, after in product(STAMPS, repeat=2):
        assert_counted_as_parsed((line_of({0: before}) + b"\n" + line_of({0: after}), SEEN))


@settings(max_examples=3 * USUALLY)
@given(
    lines=st.lists(st.dictionaries(st.integers(0, len(PIECES) - 1), ANY_PIECE, max_size=3), min_size=1, max_size=3),
    end=st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]),
)
def test_lines_of_odd_pieces_are_counted_as_parsed(lines: list[dict[int, str]], end: bytes) -> None:
    assert_counted_as_parsed((BEFORE + b"\n".join(map(line_of, lines)) + end, SEEN))


WITHOUT_A_YEAR: Final = [stamp for stamp in STAMPS if not stamp.startswith(("1", "2"))]
# What was found out holds for an hour, see syslog.FRESH_SECONDS.
LATER: Final = st.sampled_from([0, 1800, 3600, 400 * 86400, 400 * 86400 + 1800, 800 * 86400, -400 * 86400])


@given(
    blocks=st.lists(st.tuples(st.lists(st.sampled_from(WITHOUT_A_YEAR), max_size=3), LATER), min_size=1, max_size=6),
)
def test_stamps_without_a_year_are_dated_by_when_they_were_seen(blocks: list[tuple[list[str], int]]) -> None:
    assert_counted_as_parsed(
        *((b"\n".join(line_of({0: stamp}) for stamp in stamps), SEEN + later) for stamps, later in blocks)
    )


# --- lines that were tampered with


@settings(max_examples=10 * USUALLY)
@given(lines=st.lists(tampered(), min_size=1, max_size=4), end=st.sampled_from([b"", b"\n", b"\r\n", b"  \n"]))
def test_lines_that_were_tampered_with_are_counted_as_parsed(lines: list[bytes], end: bytes) -> None:
    assert_counted_as_parsed((end.join(lines) + end, SEEN))


@given(
    address=st.ip_addresses(),
    spelled=st.sampled_from(["compressed", "exploded"]),
    upper=st.booleans(),
    behind=st.sampled_from(["", "/32", "/64", "%eth0", "/", " "]),
)
def test_addresses_are_counted_as_parsed_in_every_spelling(
    address: object, spelled: str, *, upper: bool, behind: str
) -> None:
    text = getattr(address, spelled)
    line = line_of({7: f", client_address={text.upper() if upper else text}{behind}"})
    assert_counted_as_parsed((BEFORE + line, SEEN))


@given(
    user=st.text("ab12_-.+=#\u00e9\u0663 ", max_size=12)
    | st.from_regex(r"prvs=[0-9a-z]{9,11}=[a-z=]{0,4}", fullmatch=True),
    domain=st.sampled_from(["", "@", "@example.com", "@1.example.com", "@a@b"]),
    recipient=st.text("aB1@.+, \u00e9", max_size=8),
)
def test_senders_and_recipients_are_counted_as_parsed(user: str, domain: str, recipient: str) -> None:
    line = line_of({8: f", sender={user}{domain}, recipient={recipient}"})
    assert_counted_as_parsed((BEFORE + line, SEEN))


@settings(max_examples=10 * USUALLY)
@given(
    sender=st.text("ab12_-.+=#@", max_size=16)
    | st.from_regex(r"prvs=[0-9a-zA-Z=+]{0,14}=[0-9a-z=]{0,12}@?[a-z]?", fullmatch=True),
    recipient=st.text("aB1@.+", max_size=8),
)
def test_a_message_is_known_by_what_does_not_change_from_mail_to_mail(sender: str, recipient: str) -> None:
    known_by = message_text(sender.encode(), recipient.encode())

    assert known_by == (canonical_sender(sender.encode()) + b"\0" + recipient.encode()).lower()


@pytest.mark.parametrize("tag", ["postgrey", "post.grey", "[1]", "a b", "\u00e9", "postgrey[1]"])
def test_every_tag_is_found_as_the_parser_finds_it(tag: str) -> None:
    message = VERDICTS["new"] + CLIENTS["ipv4"] + TRAILERS["both"]
    lines = "".join(
        f"Jun 26 00:00:07 mx1 {other}{pid}: {message}\n"
        for other, pid in product((tag, "postgrey", "postXgrey", f"{tag}x", "1"), ("", "[1]", "[]"))
    )
    assert_counted_as_parsed((lines.encode(), SEEN), tag=tag)
