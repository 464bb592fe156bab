"""The year and the zone of a time stamp, which headers lack; and what is no header at all."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.stamp import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN: Final = ZoneInfo("Europe/Berlin")
NEW_YORK: Final = ZoneInfo("America/New_York")
KOLKATA: Final = ZoneInfo("Asia/Kolkata")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def at(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read(
    header: str, seen_at: str | float = "2024-07-01T12:00:00", zone: ZoneInfo | timezone | None = UTC
) -> float | None:
    """Return the moment of a line with this before postgrey's tag; ``None`` where it is none of postgrey's."""
    seen = at(seen_at).timestamp() if isinstance(seen_at, str) else seen_at
    found = HeaderReader("postgrey", zone).read(f"{header} postgrey[1]: x".encode(), seen)
    return None if found is None else found.moment


def written(moment: datetime) -> str:
    """Return a moment as RFC 3164 has it, in its own zone."""
    return f"{MONTHS[moment.month - 1]} {moment.day:2} {moment:%H:%M:%S}"


@pytest.fixture
def system_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("stamp", "seen_at", "expected"),
    [
        pytest.param("Jul  1 11:59:59", "2024-07-01T12:00:00", "2024-07-01T11:59:59", id="a-second-ago"),
        pytest.param("Jan  1 00:00:00", "2024-07-01T12:00:00", "2024-01-01T00:00:00", id="this-year"),
        pytest.param(
            "Dec 31 23:59:59", "2024-01-01T00:00:05", "2023-12-31T23:59:59", id="last-year-seen-at-new-year"
        ),
        pytest.param("Jan  1 00:00:00", "2024-01-01T00:00:05", "2024-01-01T00:00:00", id="new-year-seen-at-new-year"),
        pytest.param("Jan  1 00:00:00", "2023-12-31T23:59:58", "2024-01-01T00:00:00", id="clock-ahead-at-new-year"),
        pytest.param(
            "Jul  2 11:59:59", "2024-07-01T12:00:00", "2024-07-02T11:59:59", id="ahead-by-less-than-the-skew"
        ),
        pytest.param(
            "Jul  2 13:00:00", "2024-07-01T12:00:00", "2023-07-02T13:00:00", id="ahead-by-more-than-the-skew"
        ),
        pytest.param("Jul  3 00:00:00", "2024-07-01T12:00:00", "2023-07-03T00:00:00", id="nearly-a-year-ago"),
        pytest.param("Feb 29 12:00:00", "2024-07-01T12:00:00", "2024-02-29T12:00:00", id="leap-day-of-this-year"),
        pytest.param("Feb 29 12:00:00", "2024-02-29T12:00:01", "2024-02-29T12:00:00", id="leap-day-today"),
        pytest.param("Feb 29 12:00:00", "2024-02-28T12:00:01", "2024-02-29T12:00:00", id="leap-day-tomorrow"),
        pytest.param("Feb 29 12:00:00", "2024-02-20T12:00:00", "2020-02-29T12:00:00", id="leap-day-to-come"),
        pytest.param("Feb 29 12:00:00", "2027-12-31T12:00:00", "2024-02-29T12:00:00", id="leap-day-of-years-ago"),
        pytest.param(
            "Feb 29 12:00:00", "2104-02-20T12:00:00", "2096-02-29T12:00:00", id="leap-day-of-eight-years-ago"
        ),
        pytest.param("Feb 28 23:59:59", "2024-02-29T00:00:01", "2024-02-28T23:59:59", id="day-before-leap-day"),
        pytest.param("Mar  1 00:00:00", "2023-03-01T00:00:01", "2023-03-01T00:00:00", id="no-leap-day-this-year"),
    ],
)
def test_a_stamp_without_a_year_is_of_the_latest_year_that_puts_it_in_no_future(
    stamp: str, seen_at: str, expected: str
) -> None:
    assert read(f"{stamp} mx1", seen_at) == at(expected).timestamp()


def test_one_log_is_right_on_both_sides_of_new_year() -> None:
    reader = HeaderReader("postgrey", UTC)
    seen = at("2024-01-01T00:00:10").timestamp()

    moments = [reader.stamp(line, seen) for line in (b"Dec 31 23:59:59 mx1", b"Jan  1 00:00:01 mx1")]

    assert moments == [at("2023-12-31T23:59:59").timestamp(), at("2024-01-01T00:00:01").timestamp()]


def test_a_reader_that_lives_through_the_year_moves_on_with_it() -> None:
    reader = HeaderReader("postgrey", UTC)

    moments = [
        reader.stamp(b"Jun 15 12:00:00 mx1", at(seen).timestamp())
        for seen in ("2023-06-15T12:00:01", "2024-06-15T12:00:01")
    ]

    assert moments == [at("2023-06-15T12:00:00").timestamp(), at("2024-06-15T12:00:00").timestamp()]


@pytest.mark.parametrize(
    ("stamp", "zone", "expected"),
    [
        pytest.param("Jan 15 12:00:00", BERLIN, "2024-01-15T11:00:00", id="winter"),
        pytest.param("Jun 15 12:00:00", BERLIN, "2024-06-15T10:00:00", id="summer"),
        pytest.param("Mar 31 01:59:59", BERLIN, "2024-03-31T00:59:59", id="before-the-hour-that-is-left-out"),
        pytest.param("Mar 31 03:00:00", BERLIN, "2024-03-31T01:00:00", id="after-the-hour-that-is-left-out"),
        pytest.param("Oct 29 01:59:59", BERLIN, "2023-10-28T23:59:59", id="before-the-hour-that-comes-twice"),
        pytest.param("Oct 29 03:00:00", BERLIN, "2023-10-29T02:00:00", id="after-the-hour-that-comes-twice"),
        pytest.param("Jun 15 12:00:00", KOLKATA, "2024-06-15T06:30:00", id="half-an-hour"),
        pytest.param("Jun 15 12:00:00", NEW_YORK, "2024-06-15T16:00:00", id="new-york"),
    ],
)
def test_a_stamp_without_a_zone_is_of_the_zone_given(stamp: str, zone: ZoneInfo, expected: str) -> None:
    assert read(f"{stamp} mx1", zone=zone) == at(expected).timestamp()


def test_in_the_hour_that_comes_twice_a_stamp_is_one_of_the_two() -> None:
    moment = read("Oct 29 02:30:00 mx1", zone=BERLIN)

    assert moment in {at("2023-10-29T00:30:00").timestamp(), at("2023-10-29T01:30:00").timestamp()}


def test_the_year_turns_in_the_zone_of_the_log() -> None:
    seen = "2023-12-31T23:30:00"

    assert read("Jan  1 00:30:00 mx1", seen, BERLIN) == at(seen).timestamp()
    assert read("Dec 31 18:30:00 mx1", seen, NEW_YORK) == at(seen).timestamp()


def test_what_lies_ahead_is_measured_in_the_zone_of_the_log() -> None:
    assert read("Jul  2 07:30:00 mx1", "2024-07-01T12:00:00", NEW_YORK) == at("2024-07-02T11:30:00").timestamp()
    assert read("Jul  2 09:30:00 mx1", "2024-07-01T12:00:00", NEW_YORK) == at("2023-07-02T13:30:00").timestamp()


@pytest.mark.usefixtures("system_zone")
@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        pytest.param("Jan 15 12:00:00", "2024-01-15T17:00:00", id="winter"),
        pytest.param("Jun 15 12:00:00", "2024-06-15T16:00:00", id="summer"),
    ],
)
def test_without_a_zone_given_it_is_the_systems(stamp: str, expected: str) -> None:
    assert read(f"{stamp} mx1", zone=None) == at(expected).timestamp()


def test_a_stamp_with_a_zone_needs_no_other() -> None:
    assert read("2024-06-26T00:00:07.5+02:00 mx1", zone=NEW_YORK) == at("2024-06-25T22:00:07.5").timestamp()


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    later=st.timedeltas(-CLOCK_SKEW + timedelta(hours=1), timedelta(days=363)),
)
def test_whatever_was_written_within_a_year_is_read_again(moment: datetime, later: timedelta) -> None:
    moment = moment.replace(microsecond=0)

    assert read(f"{written(moment)} mx1", (moment + later).timestamp()) == moment.timestamp()


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - the zone is drawn apart
    offset=st.integers(-24 * 60 + 1, 24 * 60 - 1),
)
def test_rfc_3339_is_read_as_python_reads_it(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    assert read(f"{zoned.isoformat()} mx1") == pytest.approx(zoned.timestamp(), abs=1e-5)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="nothing"),
        pytest.param("Jun 26 00:00:07 ", id="empty-host"),
        pytest.param("Jun 26 00:00:07 mx1 mx2", id="two-hosts"),
        pytest.param("Jun 26 00:00:07 app:", id="a-tag-for-a-host"),
        pytest.param("Jun 26 00:00:07 mx1 app.x", id="no-facility"),
        pytest.param("Jun 26 00:00:07 CET mx1", id="rfc3164-with-the-name-of-a-zone"),
        pytest.param("2024-06-26 00:00:07 CET mx1", id="the-name-of-a-zone-without-a-weekday"),
        pytest.param("Jun 26 00:00 mx1", id="no-second"),
        pytest.param("jun 26 00:00:07 mx1", id="month-in-small-letters"),
        pytest.param("Jun 26 00:00:07Z mx1", id="rfc3164-with-a-zone"),
        pytest.param("\u0661\u0662 mx1", id="other-digits"),
    ],
)
def test_what_is_no_header_has_no_moment(header: str) -> None:
    assert read(header) is None


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Jun 31 00:00:07 mx1", id="no-such-day"),
        pytest.param("Feb 30 00:00:07 mx1", id="no-such-day-in-february"),
        pytest.param("Xyz 26 00:00:07 mx1", id="no-such-month"),
        pytest.param("Jun 26 24:00:00 mx1", id="no-such-hour"),
        pytest.param("2024-06-31T00:00:07Z mx1", id="no-such-iso-day"),
    ],
)
def test_a_header_with_an_impossible_date_has_a_moment_that_is_no_number(header: str) -> None:
    moment = read(header)

    assert moment is not None
    assert math.isnan(moment)


@pytest.mark.parametrize("seen_at", [1e20, -1e20, float("inf"), float("nan")])
def test_a_stamp_without_a_year_has_none_where_the_lines_were_seen_beyond_all_years(seen_at: float) -> None:
    stamp = b"Jun 26 00:00:07"
    reader = HeaderReader("postgrey", UTC)
    found = reader.read(stamp + b" mx1 postgrey: x", seen_at)

    assert found is not None
    assert found.moment is not None
    assert math.isnan(found.moment)
    assert reader.hour(stamp, seen_at) is None
