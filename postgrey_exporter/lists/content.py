"""What a list file says, once read: its entries in order, and what is wrong with its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from postgrey_exporter.lists.netaddr import Network
    from postgrey_exporter.lists.patterns import ClientPattern

ListKind: TypeAlias = Literal["whitelist", "ignore"]

MOST_WARNINGS: Final = 1000
"""Warnings kept for one file: a mail log given as a list by mistake has a million."""


class ListWarning(NamedTuple):
    """A line that can't do what its author meant."""

    file: str
    line: int
    """Counted from 1."""
    message: str

    def __str__(self) -> str:
        """Return the form that editors and compilers use."""
        return f"{self.file}:{self.line}: {self.message}"


class Name(NamedTuple):
    """A host or domain name, lower case; it stands for itself and everything under it."""

    labels: bytes


class Entry(NamedTuple):
    """One line that is in force. Kept small: a list can have hundreds of thousands."""

    line: int
    raw: bytes
    """As it stands in the file, without comment and surrounding blanks."""
    covers: Name | Network | ClientPattern

    @property
    def text(self) -> str:
        """The line for people."""
        return decoded(self.raw)


class ListContent(NamedTuple):
    """Everything one file says."""

    file: str
    entries: tuple[Entry, ...] = ()
    warnings: tuple[ListWarning, ...] = ()


class ContentBuilder:
    """Collects what the lines of one file say."""

    def __init__(self, file: str) -> None:
        """Take the name that warnings give the file."""
        self._file = file
        self._entries: list[Entry] = []
        self._warnings: list[ListWarning] = []
        self._left_out = 0
        self._first_lines: dict[bytes | Name | Network, int] = {}

    def warn(self, line: int, message: str) -> None:
        """Record what is wrong with a line."""
        if len(self._warnings) < MOST_WARNINGS:
            self._warnings.append(ListWarning(self._file, line, message))
        else:
            self._left_out += 1

    def add(self, line: int, raw: bytes, covers: Name | Network | ClientPattern) -> None:
        """Add an entry; one that the file already has is a warning as well."""
        key = covers if isinstance(covers, tuple) else raw
        first = self._first_lines.setdefault(key, line)
        if first != line:
            self.warn(line, f"{shown(raw)} stands in line {first} already")
        self._entries.append(Entry(line, raw, covers))

    def add_name(self, line: int, raw: bytes) -> None:
        """Add a name."""
        self.add(line, raw, Name(raw if raw.islower() else raw.lower()))

    def content(self) -> ListContent:
        """Return what has been collected."""
        warnings = self._warnings
        if self._left_out:
            last = warnings[-1].line
            warnings = [*warnings, ListWarning(self._file, last, f"and {self._left_out} more after this line")]
        return ListContent(self._file, tuple(self._entries), tuple(warnings))


def decoded(text: bytes) -> str:
    """Return bytes of a file as text: UTF-8, or else ISO-8859-1, which fits any byte."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def shown(text: bytes) -> str:
    """Return a piece of a file for a message: short, on one line, without control characters."""
    readable = decoded(text[:80])
    if not readable.isprintable():
        readable = "".join(char if char.isprintable() else "\ufffd" for char in readable)
    return readable if len(text) <= 60 else readable[:57] + "..."  # noqa: PLR2004 - a message fits a line
