"""The picture of the page in the README: the sample week, served and shown in Chromium.

    PYTHONPATH=tests python -m exporter.picture

writes docs/page.png anew.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from support.parts import require
from support.running import Files, Serve

from postgrey_exporter import sample

PICTURE: Final = Path(__file__).parents[2] / "docs" / "page.png"
CHROMIUM: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1100,900"),
)


def draw(picture: Path) -> None:
    """Write a picture of the page, as far as a window shows it."""
    with tempfile.TemporaryDirectory() as name:
        files = Files(Path(name))
        files.log.write_text("".join(sample.week(time.time())))
        files.whitelist.write_bytes(sample.WHITELIST.read_bytes())
        files.ignore.write_bytes(sample.IGNORE.read_bytes())
        with Serve(files) as serve:
            browser = [require("chromium"), *CHROMIUM, f"--user-data-dir={name}/browser", f"--screenshot={picture}"]
            subprocess.run([*browser, f"http://{serve.address}/"], check=True, stderr=subprocess.DEVNULL, timeout=120)


if __name__ == "__main__":
    draw(PICTURE)
    sys.exit(PICTURE.stat().st_size > 200_000)
