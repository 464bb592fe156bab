"""Memory that runs out makes steps smaller; it ends nothing, and nothing is counted twice or lost."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from support.parts import wait_until
from support.running import Files, Serve, run, seconds

from attacks.limited import least, limited, names, repeats

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY: Final = 86400.0
TIGHT_MIB: Final = 32
"""What there is beside a single line's needs: too little for a step of the usual size."""
TIGHT_FOR_MILLIONS_MIB: Final = 48
"""The same where the state outgrows SQLite's cache."""
SMALLER: Final = "memory runs out; reading by smaller steps from now on"


def hostile(files: Files, count: int) -> int:
    """Write a log with what takes most memory; return how many decisions it has."""
    begin = time.time() - 5 * DAY
    with files.log.open("w") as log:
        log.writelines(names(count, begin, 2 * DAY))
        log.writelines(repeats(100, 99_999, begin + 2 * DAY))
        log.writelines(names(count // 10, begin + 2 * DAY, DAY, padding=8))
        log.write("x" * (4 << 20) + "\n")
    return count + count // 10 + 100 * 99_999


def test_a_hog_dies_of_the_limit() -> None:
    size = (least() + TIGHT_MIB) << 20
    hog = [*limited(least() + TIGHT_MIB), sys.executable, "-c", f"bytearray({size})"]
    done = subprocess.run(hog, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "MemoryError" in done.stderr


def test_collect_counts_all_by_smaller_steps(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path
) -> None:
    files = Files(tmp_path)
    count = hostile(files, at_length(60_000, 1_000_000))
    room = least() + at_length(TIGHT_MIB, TIGHT_FOR_MILLIONS_MIB)
    done = run("collect", *files.options, before=limited(room), limit=at_length(120, 3600))

    assert done.returncode == 0, done.stderr
    assert done.stderr.count(SMALLER) == 1
    assert files.counted() == count
    figure(f"collect with {room} MiB: {count:,} decisions, exact, by smaller steps")


def test_serve_counts_all_by_smaller_steps(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path
) -> None:
    files = Files(tmp_path)
    count = hostile(files, at_length(60_000, 1_000_000))
    room = least() + at_length(TIGHT_MIB, TIGHT_FOR_MILLIONS_MIB) + 16
    with Serve(files, before=limited(room), ready="/-/healthy") as serve:
        wait_until(lambda: serve.ask("/-/ready").status == 200, seconds(at_length(120, 3600)))
        files.append(*names(50, time.time() - 60, 1))
        assert serve.value('postgrey_decisions_total{action="greylist",reason="new"}') == count + 50
        said = serve.words()
    figure(f"serve with {room} MiB: {count:,} decisions, exact; steps {'smaller' if SMALLER in said else 'as usual'}")


def test_where_memory_suffices_for_nothing_one_line_says_so(tmp_path: Path) -> None:
    files = Files(tmp_path)
    hostile(files, 60_000)
    for command in (("collect", *files.options), ("report", files.log)):
        done = run(*command, before=limited(least() - 4))
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "memory does not suffice" in done.stderr
        assert "Traceback" not in done.stderr
