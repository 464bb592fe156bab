"""How text, moments, durations and counts are written for people.

Text that strangers may have written is shown so that a terminal obeys none of it and a shell runs none of it.
A moment beyond the calendar, from a broken clock or file system, is written as the calendar's first or last second.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Final

_FIRST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


def count(number: int, thing: str, things: str | None = None) -> str:
    """Return a number of things: ``1 domain``, ``2 domains``; ``things`` is a plural that does not end in s alone."""
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"


def duration(seconds: float) -> str:
    """Return a duration: ``45 s``, ``12 min``, ``3 h 10 min``, ``2 d 5 h``; ``0 s`` for a negative one."""
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 90:  # noqa: PLR2004 - more is said in minutes
        return f"{round(max(0.0, seconds))} s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    if hours < 48:  # noqa: PLR2004
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def rfc3339(moment: float) -> str:
    """Return a moment as RFC 3339 has it, in UTC, to the second: ``2026-06-30T14:00:00Z``."""
    return f"{_in_utc(moment)}Z"


def readable(moment: float) -> str:
    """Return a moment for people, in UTC, to the second: ``2026-06-30 14:00:00 UTC``."""
    return f"{_in_utc(moment).replace('T', ' ')} UTC"


def _in_utc(moment: float) -> str:
    inside = min(max(moment, _FIRST), _LAST)
    return datetime.fromtimestamp(inside, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def printable(text: str) -> str:
    r"""Return text in which whatever does not print is escaped as Python does: ``\x1b``, ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def as_json_text(value: object, *, indent: int | None = None) -> str:
    r"""Return a value in JSON, in which whatever does not print is escaped (``\u009b``)."""
    import json  # noqa: PLC0415 - a table for people should not wait for it

    return json.dumps(value, indent=indent).replace("\x7f", r"\u007f")  # the one of ASCII that json leaves as it is


def command(*words: object) -> str:
    """Return a command line that a shell takes for these words, whatever they hold, printable as it is."""
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # $'…' is POSIX since 2024. Quotes and backslashes are escaped by number, so that it is one word, if another one,
    # for a shell that does not know it.
    octets = word.encode("utf-8", "surrogateescape")
    kept = (chr(o) if chr(o).isprintable() and o < 0x7F and chr(o) not in "'\\" else f"\\x{o:02x}" for o in octets)  # noqa: PLR2004
    return f"$'{''.join(kept)}'"
