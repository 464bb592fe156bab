"""Moments are rendered in one way, and none is too far for it."""

from __future__ import annotations

from math import inf

import pytest

from postgrey_exporter.moments import readable, rfc3339


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
