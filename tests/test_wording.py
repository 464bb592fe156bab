"""Moments, durations and counts are written in one way, and no moment is too far for it."""

from __future__ import annotations

from math import inf

import pytest

from postgrey_exporter.wording import count, duration, readable, rfc3339


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00Z", id="epoch"),
        pytest.param(1_719_360_007.9, "2024-06-26T00:00:07Z", id="usual"),
        pytest.param(-62135596800.0, "0001-01-01T00:00:00Z", id="first"),
        pytest.param(-62135596801.0, "0001-01-01T00:00:00Z", id="before-the-first"),
        pytest.param(253402300799.0, "9999-12-31T23:59:59Z", id="last"),
        pytest.param(253402300800.0, "9999-12-31T23:59:59Z", id="behind-the-last"),
        pytest.param(1e300, "9999-12-31T23:59:59Z", id="never"),
        pytest.param(-inf, "0001-01-01T00:00:00Z", id="infinity"),
    ],
)
def test_a_moment_however_far_is_rendered(moment: float, text: str) -> None:
    assert rfc3339(moment) == text
    assert readable(moment) == text.replace("T", " ").replace("Z", " UTC")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3569, "59 min"),
        (3570, "1 h 0 min"),
        (3 * 3600 + 10 * 60, "3 h 10 min"),
        (7199, "2 h 0 min"),
        (48 * 3600 - 31, "47 h 59 min"),
        (48 * 3600 - 1, "48 h 0 min"),
        (53 * 3600, "2 d 5 h"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_thing_is_no_plural() -> None:
    assert [count(number, "domain") for number in (0, 1, 2)] == ["0 domains", "1 domain", "2 domains"]
    assert [count(number, "retry", "retries") for number in (0, 1, 2)] == ["0 retries", "1 retry", "2 retries"]
