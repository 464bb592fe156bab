"""The short way of reading a usual line says nothing that the long way would not have said."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.decision import GREYLIST, NEW, PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.hashing import KeyedHash
from postgrey_exporter.parser import Parsed, Parser
from postgrey_exporter.syslog import HeaderReader
from postgrey_exporter.usual import UsualLines

SEEN: Final = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
AT: Final = datetime(2024, 6, 26, 0, 0, 7, tzinfo=UTC).timestamp()
SECRET: Final = bytes(32)
TAG: Final = rb" postgrey(?:\[[0-9]+\])?: (?:\[ID [0-9]+ [a-z0-9]+\.[a-z]+\] )?"
FIELDS: Final = (
    "client_name=mail.example.com, client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org"
)


class LongWay(Parser):
    """A parser that takes no line for a usual one."""

    def __init__(self) -> None:
        super().__init__(zone=UTC, secret=SECRET)
        self._usual.read = lambda lines, seen_at, decisions: iter(lines)  # type: ignore[method-assign]  # noqa: ARG005


class ShortWay:
    """Reads usual lines one at a time."""

    def __init__(self) -> None:
        self._usual = UsualLines(TAG, HeaderReader(UTC), KeyedHash(SECRET))

    def decision(self, line: bytes) -> Decision | None:
        decisions: list[Decision] = []
        unusual = list(self._usual.read([line], SEEN, decisions))
        assert unusual == ([] if decisions else [line])
        return decisions[0] if decisions else None


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Jun 26 00:00:07 mx1 postgrey[6346]: ", id="rfc3164"),
        pytest.param("2024-06-26T00:00:07+00:00 mx1 postgrey[6346]: ", id="rfc3339"),
        pytest.param("2024-06-26T00:00:07.000000Z mx1 postgrey[6346]: ", id="zulu-microseconds"),
        pytest.param("2024-06-26T02:00:07.000+02:00 mx1 postgrey[6346]: ", id="offset-milliseconds"),
        pytest.param("Jun 26 00:00:07 mx1 postgrey: 3F2A8C01: ", id="no-pid-queue-id"),
    ],
)
def test_usual_lines_are_read(header: str) -> None:
    usual = ShortWay()
    lines = (
        f"{header}action=greylist, reason=new, {FIELDS}",
        f"{header}action=pass, reason=triplet found, delay=7, {FIELDS}",
    )

    decisions = [usual.decision(line.encode()) for line in lines]

    client = Client("mail.example.com", "192.0.2.1")
    assert [decision and decision[:-1] for decision in decisions] == [
        (AT, GREYLIST, NEW, client, None),
        (AT, PASS, TRIPLET_FOUND, client, 7),
    ]


# A usual line in pieces; what stands in their place is nearly as usual.
STAMPS: Final = (
    *(
        "Jun 26 00:00:07",
        "Jun  6 00:00:07",
        "Jun 6 00:00:07",
        "Jun 31 00:00:07",
        "Jun 26 24:00:07",
        "Jun 26 00:00:60",
    ),
    *("Jun 26 00:60:07", "Jun 26 00:00:07.5", "Jun 26 00:00: 7", "2024-06-26T00:00:07Z", "2024-06-26T00:00:07.5Z"),
    *(
        "2024-06-26T00:00:07.123Z",
        "2024-06-26T00:00:07.124Z",
        "2024-06-26T00:00:07-0330",
        "2024-06-26T00:00:07.12-0330",
    ),
    *("2024-06-26T00:00:07.13-0330", "2024-06-26T00:00:07.123456+02:00", "2024-06-26T00:00:08.1+02:00", ""),
    *(
        "2024-06-26T00:00:07.+02:00",
        "2024-06-26T00:00:07.1_1+02:00",
        "2024-06-26T00:00:07+24:00",
        "2024-06-26T00:00:07",
    ),
    *("2024-06-26T00:00:61Z", "2024-06-26 00:00:07Z", "2024-02-30T00:00:07Z", "2024-06-26T24:00:07+02:00", "x"),
)
HOSTS: Final = (" mx1", " <mail.info> mx1", " a b", "", " ", " postgrey", " mx1, mx2", " 2001:db8::1")
TAGS: Final = (" postgrey[1]: ", " postgrey: ", " postgrey[1]: [ID 1 mail.info] ", "postgrey[1]: ", " xpostgrey: ")
ACTIONS: Final = ("action=greylist", "action=pass", "3F: action=greylist", "action=defer", "action=greylistx", "")
REASONS: Final = (
    ", reason=new",
    ", reason=early-retry (3s missing)",
    ", reason=client AWL",
    ", reason=a,b",
    ", reason=a, b",
)
DELAYS: Final = ("", ", delay=7", ", delay=", ", delay=99999999999", ", delay=-7", ", delay=7 ")
NAMES: Final = (
    ", client_name=mail.example.com",
    ", client_name=",
    ", client_name=a b",
    "",
    ", client_name=A.example.com.",
    ", xclient_name=mail.example.com",
)
ADDRESSES: Final = (
    ", client_address=192.0.2.1",
    ", client_address=192.0.2.1/32",
    ", client_address=x",
    ", client_address=192.0.2.1 x",
    ", client_address=",
    "",
)
TRAILERS: Final = (
    *(", sender=a@example.com, recipient=b@example.org", ", recipient=b@example.org", "", ", sender=", ", helo=x"),
    *(
        ", sender=a@example.com, recipient=b@example.org \r",
        ', sender="x, recipient=y"@example.com, recipient=b@example.org',
    ),
)
PIECES: Final = (STAMPS, HOSTS, TAGS, ACTIONS, REASONS, DELAYS, NAMES, ADDRESSES, TRAILERS)


def line_of(changes: dict[int, str]) -> bytes:
    """Return a usual line with some of its pieces changed."""
    return "".join(changes.get(place, pieces[0]) for place, pieces in enumerate(PIECES)).encode()


def agree(usual: ShortWay, line: bytes) -> None:
    decision = usual.decision(line)
    if decision is not None:
        parsed = LongWay().parse(line, SEEN)
        assert parsed == Parsed(parsed.decisions)
        assert [other[1:] for other in parsed.decisions] == [decision[1:]]
        assert parsed.decisions[0].time == pytest.approx(decision.time, abs=1e-6)


@pytest.mark.parametrize("place", range(len(PIECES)))
def test_the_short_way_agrees_with_the_long_one_whatever_piece_is_odd(place: int) -> None:
    usual = ShortWay()

    assert usual.decision(line_of({})) is not None
    for piece in PIECES[place]:
        agree(usual, line_of({place: piece}))


def test_a_stamp_is_read_right_whatever_stamp_was_read_before() -> None:
    for before, after in product(STAMPS, repeat=2):
        usual = ShortWay()
        usual.decision(line_of({0: before}))
        agree(usual, line_of({0: after}))


@given(
    lines=st.lists(
        st.dictionaries(
            st.integers(0, len(PIECES) - 1), st.sampled_from([p for ps in PIECES for p in ps]), max_size=3
        ),
        min_size=1,
        max_size=3,
    )
)
def test_the_short_way_agrees_with_the_long_one_on_lines_of_odd_pieces(lines: list[dict[int, str]]) -> None:
    usual = ShortWay()

    for changes in lines:
        agree(usual, line_of(changes))
