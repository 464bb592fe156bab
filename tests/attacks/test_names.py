"""A log with a client, a domain and a message of its own in each line: memory stays, and all is counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.parts import wait_until
from support.running import Files, Serve, seconds

from attacks.limited import least, limited, names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY: Final = 86400.0
ROOM_MIB: Final = 48
"""What `serve` gets beside what Python takes: less than a quarter of the unit's MemoryMax."""


@pytest.mark.parametrize("padding", [pytest.param(0, id="short"), pytest.param(4, id="long")])
def test_names_without_end_are_counted_in_little_memory(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path, padding: int
) -> None:
    count = at_length(20_000, 1_000_000 if padding == 0 else 200_000)
    files = Files(tmp_path)
    begin = time.time() - 5 * DAY
    with files.log.open("w") as log:
        log.writelines(names(count, begin, 4 * DAY, padding=padding))
    before = limited(least() + ROOM_MIB)
    with Serve(files, before=before, ready="/-/healthy") as serve:
        started = time.monotonic()
        wait_until(lambda: serve.ask("/-/ready").status == 200, seconds(at_length(60, 3600)))
        took = time.monotonic() - started
        files.append(*names(100, time.time() - 60, 1))
        assert serve.value('postgrey_decisions_total{action="greylist",reason="new"}') == count + 100
        assert serve.value("postgrey_exporter_domain_labels") == 1000
        assert serve.value("postgrey_exporter_state_up") == 1
    figure(
        f"{count:,} names of {files.log.stat().st_size // count} bytes a line: "
        f"read in {took:.0f} s by a serve limited to {least() + ROOM_MIB} MiB"
    )
