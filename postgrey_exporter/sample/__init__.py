"""A bundled week of one mail server's log, to see the exporter at work without a mail server.

The decisions are a real postgrey's, about simulated senders: large providers that retry from other networks, single
servers, newsletters, and dial-up machines that never come back. `WHITELIST` and `IGNORE` are that server's lists;
the largest provider is on neither. Names are those of well-known providers or examples, addresses those set aside
for documentation and benchmarks.

`tests/sample/make.py` makes the week anew.
"""

from __future__ import annotations

import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER: Final = Path(__file__).parent

WHITELIST: Final = _FOLDER / "whitelist_clients"
"""The client whitelist that postgrey obeyed in that week."""
IGNORE: Final = _FOLDER / "ignore"
"""The domains that its operator has reviewed and left greylisted."""

_LOG: Final = _FOLDER / "week.log.xz"


def week(now: float) -> Iterator[str]:
    """Yield the week's log lines with their ends, all moved by the same time so that the last is said at ``now``.

    ``now`` is in seconds since the epoch, UTC. The first line is a little less than seven days before it. Stamps are
    RFC 3339 with microseconds and the offset ``+00:00``, whatever the zone of the system.
    """
    with lzma.open(_LOG, "rt", encoding="utf-8", newline="\n") as log:
        lines = log.readlines()
    shift = datetime.fromtimestamp(now, UTC) - _moment(lines[-1])
    for line in lines:
        yield f"{(_moment(line) + shift).isoformat(timespec='microseconds')} {line.partition(' ')[2]}"


def _moment(line: str) -> datetime:
    return datetime.fromisoformat(line.partition(" ")[0])
