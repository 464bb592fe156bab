"""Text that strangers may have written, as it can be shown: a terminal obeys none of it, a shell runs none of it."""

from __future__ import annotations

import shlex


def printable(text: str) -> str:
    r"""Return text in which whatever does not print is escaped as Python does: ``\x1b``, ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def printable_json(text: str) -> str:
    r"""Return JSON that means the same, in which whatever does not print is escaped (``\u009b``), line ends aside.

    Between strings JSON has nothing to escape.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _units(char) for char in text)


def _units(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


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
