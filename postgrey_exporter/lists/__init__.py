"""The client whitelists as postgrey reads them, and the ignore file: what covers a client, and which line of what.

`ListFiles` watches the files and keeps `Lists` up to date, which answers for one client or many. Everything else of
the package is how: `whitelist` and `ignore` read lines, `netaddr` networks, `patterns` patterns, by `pcre2`;
`index` looks up, in `names` and `networks`.
"""

from __future__ import annotations

from postgrey_exporter.lists.content import ListContent, ListKind, ListWarning
from postgrey_exporter.lists.files import READERS, ListFiles, ListFileStatus
from postgrey_exporter.lists.ignore import read_ignore
from postgrey_exporter.lists.index import Cover, Lists
from postgrey_exporter.lists.whitelist import read_whitelist

__all__ = [
    "READERS",
    "Cover",
    "ListContent",
    "ListFileStatus",
    "ListFiles",
    "ListKind",
    "ListWarning",
    "Lists",
    "read_ignore",
    "read_whitelist",
]
