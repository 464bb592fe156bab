"""The picture in the README: a real review of the sample week in tmux, drawn as SVG.

    PYTHONPATH=tests python -m review.picture

writes docs/review.svg anew. A test tells when that is due.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from postgrey_exporter import sample
from review.tmux import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE: Final = Path(__file__).parents[2] / "docs" / "review.svg"

_COLUMNS: Final = 92
_KEYS: Final = "? help >"
_EM: Final = 14.0
_CELL: Final = 8.4
_LINE: Final = 19.0
_MARGIN: Final = 16.0
_STYLES: Final = {"1": 'font-weight="bold" fill="#ffffff"', "2": 'fill="#8b949e"'}
_SGR: Final = re.compile(r"\x1b\[([0-9;]*)m")


def session() -> str:
    """Review the sample week as far as the second domain; return what the terminal shows, styles included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "mail.log").open("w") as log:
            subprocess.run([sys.executable, "-m", "postgrey_exporter.sample"], stdout=log, check=True)
        for list_file in ("whitelist_clients", "ignore"):
            shutil.copy(Path(sample.__file__).parent / list_file, folder)
        # The log, and not the machine's state; the lists by relative names, since the folder's differs each time.
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PS1": "# ",
            "POSTGREY_EXPORTER_WHITELIST_FILE": "whitelist_clients",
            "POSTGREY_EXPORTER_IGNORE_FILE": "ignore",
        }
        shell = ["env", f"--chdir={folder}", *(f"{key}={value}" for key, value in variables.items()), "sh"]
        with Terminal(shell, _COLUMNS) as terminal:
            terminal.expect("#")
            terminal.type("postgrey-exporter review mail.log")
            terminal.press("Enter")
            terminal.expect(_KEYS)
            terminal.press("w")
            terminal.expect("Entry: ")
            terminal.press("Enter")
            terminal.expect(_KEYS)
            return terminal.styled.rstrip()


def drawn(shown: str) -> str:
    """Return a terminal's text with its styles (bold, dim) as SVG."""
    lines = shown.split("\n")
    width, height = 2 * _MARGIN + _COLUMNS * _CELL, 2 * _MARGIN + len(lines) * _LINE
    texts = "\n".join(_text(line, _MARGIN + (row + 0.75) * _LINE) for row, line in enumerate(lines) if line)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="{_EM:g}" '
        f'fill="#d0d7de">\n<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n{texts}\n</svg>\n'
    )


def _text(line: str, y: float) -> str:
    spans = "".join(
        f"<tspan {style}>{escape(text)}</tspan>" if style else escape(text) for text, style in _runs(line)
    )
    length = len(_SGR.sub("", line)) * _CELL
    # The length keeps columns in line with whatever font there is.
    return f'<text x="{_MARGIN:g}" y="{y:g}" textLength="{length:g}" xml:space="preserve">{spans}</text>'


def _runs(line: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a line that have one style."""
    style = ""
    marks = [(0, 0, ""), *((one.start(), one.end(), one[1]) for one in _SGR.finditer(line)), (len(line), 0, "")]
    for (_, end, code), (start, _, _) in pairwise(marks):
        style = _STYLES.get(code, style if code in {"", "39", "49"} else "")
        if start > end:
            yield line[end:start], style


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(session()))
