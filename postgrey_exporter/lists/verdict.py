"""What the lists say of a client, as the one number that is kept of it in the state."""

from __future__ import annotations

from typing import Final

UNCOVERED: Final = 0
"""No entry of any list covers it."""
WHITELISTED: Final = 1
IGNORED: Final = 2
"""An ignore file covers it, and no whitelist does."""
