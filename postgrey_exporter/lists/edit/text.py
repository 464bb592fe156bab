"""Lines of a list file, put in and taken out again: from bytes to bytes, all other bytes untouched.

A line ends in a line feed and nothing else, as for postgrey; a carriage return before it is the file's habit.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LONGEST_COMMENT: Final = 300
_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")


def appended(before: bytes, lines: Sequence[str]) -> bytes:
    """Return a file with lines at its end, which end as its last line does: in CRLF or not, or without a newline."""
    if not lines:
        return before
    end = _line_end(before)
    encoding = _encoding(before)
    added = end.join(line.encode(encoding, "replace") for line in lines)
    if not before or before.endswith(b"\n"):
        return before + added + end
    return before + end + added


def without(text: bytes, lines: Sequence[str]) -> bytes | None:
    """Return a file without the last occurrence of some lines one after the other; ``None`` where there is none."""
    encoding = _encoding(text)
    wanted = [line.encode(encoding, "replace") for line in lines]
    present = text.split(b"\n")
    for start in range(len(present) - len(wanted), -1, -1):
        stretch = present[start : start + len(wanted)]
        if [line.removesuffix(b"\r") for line in stretch] == wanted:
            before, behind = present[:start], present[start + len(wanted) :]
            if before and not behind and stretch[0].endswith(b"\r"):
                # The file ends without a newline: the one before the lines came with them.
                before[-1] = before[-1].removesuffix(b"\r")
            return b"\n".join(before + behind)
    return None


def comment(text: str) -> str:
    """Return a comment of one line that holds a text."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"# {line if len(line) <= _LONGEST_COMMENT else line[: _LONGEST_COMMENT - 3] + '...'}"


def diff(path: Path, before: bytes | None, after: bytes | None) -> bytes:
    """Return the change as a unified diff, which ``patch`` takes; ``None`` stands for no file."""
    name = str(path).encode("utf-8", "surrogateescape")
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        _LINE.findall(before or b""),
        _LINE.findall(after or b""),
        b"/dev/null" if before is None else name,
        b"/dev/null" if after is None else name,
    )
    return b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)


def _line_end(text: bytes) -> bytes:
    last = text.rfind(b"\n")
    return b"\r\n" if last > 0 and text[last - 1 : last] == b"\r" else b"\n"


def _encoding(text: bytes) -> str:
    try:
        text.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
