"""What the operator chose, and the defaults for what was not chosen."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

DEFAULT_THRESHOLD: Final = 15
"""Attempts a week from which on a domain needs a decision: the article's."""
LOG_LEVELS: Final = ("debug", "info", "warn", "error")
LOG_FORMATS: Final = ("logfmt", "json")

WHITELIST_FOLDERS: Final = (
    ("/etc/postgrey", "whitelist_clients"),  # Debian, Ubuntu
    ("/etc/postfix", "postgrey_whitelist_clients"),  # Fedora, upstream
    ("/usr/local/etc/postgrey", "postgrey_whitelist_clients"),  # FreeBSD
)
IGNORE_FILES: Final = (
    "/etc/postgrey-exporter/ignore",
    "/etc/nagios-plugins/postgrey_no_whitelist",  # the article's
)

_UNITS: Final = {"s": 1, "m": 60, "h": HOUR, "d": 24 * HOUR, "w": 7 * 24 * HOUR}
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}[smhdw])+")
_LONGEST_SECONDS: Final = 100 * 366 * 24 * HOUR


class ListPaths(NamedTuple):
    """The list files to watch. Those of the defaults may be missing."""

    whitelist: tuple[Path, ...]
    ignore: tuple[Path, ...]
    optional: frozenset[Path]

    @property
    def edited_whitelist(self) -> Path:
        """The file that new entries go to: the last, which is the ``.local`` one of the defaults."""
        return self.whitelist[-1]

    @property
    def edited_ignore(self) -> Path:
        """The same for the ignore file: the last that was named, or this program's own before the article's."""
        return self.ignore[0] if self.ignore[0] in self.optional else self.ignore[-1]


def list_paths(whitelist: Sequence[Path], ignore: Sequence[Path]) -> ListPaths:
    """Return the list files that were named, or where none was, those of the system."""
    optional: set[Path] = set()
    if not whitelist:
        folder, name = next(
            (place for place in WHITELIST_FOLDERS if (Path(place[0]) / place[1]).exists()), WHITELIST_FOLDERS[0]
        )
        whitelist = [Path(folder) / name, Path(folder) / f"{name}.local"]
        optional.update(whitelist)
    if not ignore:
        ignore = [path for path in map(Path, IGNORE_FILES) if path.exists()] or [Path(IGNORE_FILES[0])]
        optional.update(ignore)
    return ListPaths(tuple(whitelist), tuple(ignore), frozenset(optional))


def default_state(environ: Mapping[str, str]) -> Path:
    """Return where the state lies: in systemd's ``$STATE_DIRECTORY``, else in the XDG state folder."""
    folder = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not folder:
        base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/root")) / ".local" / "state")
        folder = str(Path(base) / "postgrey-exporter")
    return Path(folder) / "state.sqlite3"


def parse_duration(text: str) -> int:
    """Return the seconds of a duration as Prometheus writes it: ``7d``, ``36h``, ``1d12h``.

    Raises `ValueError` with what is wrong.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like 7d, 36h or 90m")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text))
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"{text!r} is too long: more than a hundred years")
    return seconds


def parse_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises `ValueError` with what is wrong."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - few name one

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{name!r} is no known time zone; name one like Europe/Berlin") from error


def parse_moment(text: str, now: float, zone: tzinfo | None) -> float:
    """Return seconds since the epoch for a date, a date and time (RFC 3339), or a duration ago (``7d``).

    What names no zone is in ``zone``; ``None`` is the system's. Raises `ValueError` with what is wrong.
    """
    if _DURATION.fullmatch(text):
        return now - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError) as error:  # the latter at the calendar's ends
        raise ValueError(
            f"{text!r} is no time; write it like 2026-06-30, 2026-06-30T14:00:00+02:00, or 7d for seven days ago"
        ) from error
