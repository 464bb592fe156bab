"""Whatever stands in a log: the compiled way and the parser tell the same of it, and nothing is read out of place.

In every run for some seconds; at full length for five minutes, under gcc's sanitizers.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from support import sanitized
from support.running import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_lines_that_were_tampered_with_are_told_alike(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path
) -> None:
    seconds = at_length(3, 300)
    if at_length(False, True):
        sanitized.library()
        done = sanitized.run(sanitized.build(tmp_path), "-m", "attacks.fuzz", str(seconds), limit=2 * seconds)
    else:
        tests = str(sanitized.ROOT / "tests")
        done = subprocess.run(
            [sys.executable, "-m", "attacks.fuzz", str(seconds)],
            env=environment(PYTHONPATH=tests),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 0, done.stderr[-6000:]
    assert int(done.stdout) > 0
    figure(f"fuzzing: {int(done.stdout):,} lines tried in {seconds} s, told alike by both ways")
