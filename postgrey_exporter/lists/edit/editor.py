"""Entries added to a list file and taken back, each with a line above that says when and why.

The comment has a line of its own because postgrey cuts a line at ``#`` even inside a pattern; nobody has to think
about what else stands on the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists import READERS, ListContent
from postgrey_exporter.lists.edit import listfile, text
from postgrey_exporter.lists.edit.coverage import Coverage
from postgrey_exporter.lists.edit.entries import checked_entry
from postgrey_exporter.lists.edit.errors import ListEditError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from postgrey_exporter.lists import Cover, ListKind
    from postgrey_exporter.lists.content import Entry

_HEADERS: Final = {
    "whitelist": (
        "# Clients that postgrey does not greylist, besides those of its own list: a line each with a name (and all",
        "# names under it), a /pattern/, an address or a network. postgrey reads this file when it is reloaded.",
    ),
    "ignore": (
        "# Sender domains that were reviewed and stay greylisted: a line each with a domain, which stands for all",
        "# names under it. Only postgrey-exporter reads this file.",
    ),
}


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to add."""

    text: str
    reason: str
    """What the comment above it says, with the date."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What adding entries does to a file, or has done."""

    path: Path
    before: bytes | None
    """Content of the file; ``None`` where there was none."""
    after: bytes
    """Its content then; the same where nothing was to be added."""
    lines: tuple[str, ...]
    """What was added: comments and entries."""
    added: tuple[str, ...]
    """The entries that were added."""
    known: tuple[tuple[str, Cover], ...]
    """The entries that are superfluous, and what covers them already."""

    def diff(self) -> bytes:
        """Return it as a unified diff; empty where nothing is added."""
        return text.diff(self.path, self.before, self.after) if self.added else b""


class ListEditor:
    """Changes one list file, with an eye on the other lists."""

    def __init__(
        self,
        kind: ListKind,
        path: Path,
        *,
        whitelist: Sequence[Path],
        ignore: Sequence[Path],
        pause: Callable[[float], object],
        makes_folder: bool = False,
    ) -> None:
        """Take the file to change, and all list files in their order; a missing file is an empty list.

        ``pause`` waits for some seconds. With ``makes_folder`` a missing folder of the file is created.
        """
        self.kind = kind
        self.path = path
        self._pause = pause
        self._makes_folder = makes_folder
        self._files: dict[ListKind, Sequence[Path]] = {"whitelist": whitelist, "ignore": ignore}

    def plan(self, entries: Sequence[NewEntry]) -> Edit:
        """Return what `add` would do. Raises `EntryError`, `ListEditError`."""
        old = listfile.read(self.path)
        edit = self._edit(old, entries)
        if edit.added:
            old.check_editable()
        return edit

    def add(self, entries: Sequence[NewEntry]) -> Edit:
        """Add entries at the file's end, all or none; create a missing file. Raises `EntryError`, `ListEditError`."""
        edit = self.plan(entries)
        if not edit.added:
            return edit
        with listfile.locked(self.path, self._pause, makes_folder=self._makes_folder) as file:
            old = file.read()
            edit = self._edit(old, entries)
            if edit.added:
                file.replace(old, edit.after)
        return edit

    def undo(self, edit: Edit) -> None:
        """Take back what an edit added, keeping changes since. Raises `ListEditError`, also if it is not there."""
        if not edit.added:
            return
        with listfile.locked(self.path, self._pause) as file:
            old = file.read()
            restored = edit.before if old.data == edit.after else text.without(old.data or b"", edit.lines)
            if restored is not None:
                file.replace(old, restored)
            elif old.data == edit.after:
                file.remove(old)
            else:
                raise ListEditError(f"{self.path}: what was added is not there any more as it was written")

    def _edit(self, old: listfile.ListFile, entries: Sequence[NewEntry]) -> Edit:
        checked = [(new, checked_entry(self.kind, new.text)) for new in entries]
        header = _HEADERS[self.kind] if old.data is None else ()
        before = text.appended(old.data or b"", header)
        line = before.count(b"\n") + (not before.endswith(b"\n")) + 1
        coverage = self._coverage(old)
        fresh: list[Entry] = []
        lines: list[str] = []
        known: list[tuple[str, Cover]] = []
        for new, entry in checked:
            cover = coverage.of(entry) or Coverage({self.kind: [ListContent(str(self.path), tuple(fresh))]}).of(entry)
            if cover:
                known.append((entry.text, cover))
            else:
                lines += [text.comment(new.reason), entry.text]
                fresh.append(entry._replace(line=line + len(lines) - 1))
        after = text.appended(before, lines) if lines else old.data or b""
        edit = Edit(self.path, old.data, after, tuple(lines), tuple(entry.text for entry in fresh), tuple(known))
        self._check(edit)
        return edit

    def _coverage(self, old: listfile.ListFile) -> Coverage:
        # A domain that the whitelist covers is not greylisted: there is nothing to ignore.
        kinds: tuple[ListKind, ...] = ("whitelist",) if self.kind == "whitelist" else ("whitelist", "ignore")
        contents: dict[ListKind, list[ListContent]] = {}
        for kind in kinds:
            files = [old if path == self.path else listfile.read(path) for path in self._files[kind]]
            contents[kind] = [READERS[kind](file.data or b"", str(file.path)) for file in files]
        return Coverage(contents)

    def _check(self, edit: Edit) -> None:
        """Make sure that the new content says what the old one said, and the new entries."""
        read = READERS[self.kind]
        before, after = ([e.text for e in read(data, "").entries] for data in (edit.before or b"", edit.after))
        if after != before + list(edit.added):
            raise ListEditError(f"{self.path}: other lines would no longer say what they said; nothing was changed")
