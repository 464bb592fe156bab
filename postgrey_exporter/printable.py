"""Text that strangers may have written, as it can be shown: a terminal obeys none of it, a shell runs none of it."""

from __future__ import annotations

import shlex


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
