"""What the present is while the clock is wrong, and after."""

from __future__ import annotations

from typing import Final

import pytest

from postgrey_exporter.state.clock import Looks

DAY: Final = 86400.0
NOW: Final = 1_800_000_000.0
YEAR: Final = 365 * DAY


def after(*looks: float) -> Looks:
    found = Looks(NOW)
    for now in looks:
        found = found.after(now)
    return found


@pytest.mark.parametrize(
    ("looks", "latest"),
    [
        pytest.param([NOW + 60], NOW + 60, id="goes-on"),
        pytest.param([NOW - DAY], NOW, id="a-day-back-is-no-fault"),
        pytest.param([NOW - YEAR], NOW, id="behind"),
        pytest.param([NOW - YEAR, NOW - YEAR + DAY - 1], NOW, id="behind-for-less-than-a-day"),
        pytest.param([NOW - YEAR, NOW - YEAR + DAY], NOW - YEAR + DAY, id="behind-for-a-day"),
        pytest.param([NOW - YEAR, NOW + 60, NOW - YEAR + 3 * DAY], NOW + 60, id="behind-again"),
        pytest.param([NOW + YEAR, NOW + 60], NOW + YEAR, id="was-ahead"),
        pytest.param([NOW + YEAR, NOW + 60, NOW + DAY + 60], NOW + DAY + 60, id="was-ahead-and-is-right-for-a-day"),
        pytest.param([NOW - YEAR, NOW - 2 * YEAR, NOW - YEAR], NOW - YEAR, id="went-back-further"),
    ],
)
def test_the_latest_look_is_believed_until_the_clock_has_run_a_day_behind_it(
    looks: list[float], latest: float
) -> None:
    assert after(*looks).latest == latest
