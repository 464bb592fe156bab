"""Where torture takes place: in memory if there is such a place, for nothing here is about a disk's speed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name of its own


def fresh_folder(prefix: str) -> Path:
    """Return a new, empty folder."""
    in_memory = "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=_MEMORY if in_memory else None))
