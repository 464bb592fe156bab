"""The list files that a command goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgrey_exporter.lists import ListFiles
from postgrey_exporter.settings import list_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def open_lists(whitelist_files: Sequence[Path], ignore_files: Sequence[Path]) -> ListFiles:
    """Return the lists that were named, or those of the system."""
    paths = list_paths(whitelist_files, ignore_files)
    return ListFiles(paths.whitelist, paths.ignore, optional=paths.optional)
