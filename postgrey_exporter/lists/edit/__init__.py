"""Changes list files: an entry is checked, added with its reason, and taken back, and nothing else in the file moves.

`ListEditor` is the whole: `entries` refuses what can't mean what its author means, `coverage` finds what the lists
say already, `text` puts the lines together, and `listfile` replaces the file in one step.
"""

from __future__ import annotations

from postgrey_exporter.lists.edit.editor import Edit, ListEditor, NewEntry
from postgrey_exporter.lists.edit.entries import EntryError, checked_entry
from postgrey_exporter.lists.edit.errors import ListChangedError, ListEditError, ListPermissionError
from postgrey_exporter.lists.edit.listfile import may_edit

__all__ = [
    "Edit",
    "EntryError",
    "ListChangedError",
    "ListEditError",
    "ListEditor",
    "ListPermissionError",
    "NewEntry",
    "checked_entry",
    "may_edit",
]
