"""Where postgrey's lines are in a run of torture, and how they are rotated: a log by one scheme, or the journal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sources.journal.journals import BEGIN, SERVICE, Journal, entry

from torture.schemes import PROGRAMS, SCHEMES, Rotation
from torture.writer import Writer

if TYPE_CHECKING:
    import random
    from pathlib import Path

JOURNAL: Final = "journal"
PLACES: Final = (*SCHEMES, JOURNAL)
NEEDED: Final = {
    **PROGRAMS,
    JOURNAL: [("systemd-journal-remote", "systemd-journal-remote"), ("journalctl", "systemd")],
}
"""What a place needs besides logrotate: programs and their Debian packages."""

_TAG: Final = "postgrey[12]: "
_USER: Final = SERVICE | {"_SYSTEMD_UNIT": "session-1.scope", "_UID": "1000"}


class Rotating(Protocol):
    """Who rotates."""

    leaves_gaps: bool
    """Whether something was removed without which nobody can tell whether lines are missing."""

    def rotate_under(self, writer: Writer, late_lines: int) -> None:
        """Rotate under a writer, who may have some lines for the old file yet."""

    def let_minutes_pass(self) -> None:
        """Make all that was rotated some minutes old."""

    def let_go(self) -> None:
        """Remove, now and then, what was read for certain."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place where lines are written, rotated and read."""

    source: str
    """What the exporter calls it."""
    options: tuple[str, ...]
    """By which the exporter is told to read it."""
    writer: Writer
    rotation: Rotating


def place(name: str, folder: Path, chance: random.Random) -> Place:
    """Return one of `PLACES`, with a new folder for it."""
    if name == JOURNAL:
        journal = Journal(folder / "journal")
        options = (f"--journal-directory={journal.directory}",)
        writer = JournalWriter(journal, chance)
        return Place(f"journal:{journal.directory}", options, writer, JournalRotation(journal, chance))
    log = folder / "log" / "mail.log"
    log.parent.mkdir()
    return Place(str(log), (f"--mail-log={log}",), Writer(log, chance), Rotation(log, SCHEMES[name]))


class JournalWriter(Writer):
    """Has systemd-journal-remote write journal files; an entry is there as a whole or not at all."""

    def __init__(self, journal: Journal, chance: random.Random) -> None:
        super().__init__(journal.live, chance)
        self._journal = journal

    def write(self, count: int) -> None:
        """Append entries, all by one process: starting it is what takes the time."""
        self._append(b"".join(self._line() for _ in range(count)))

    def begin_line(self) -> None:
        """Do nothing: there is no half of an entry."""

    def _append(self, content: bytes) -> None:
        if content:
            self._journal.append(content)

    def _formatted(self, message: str) -> bytes:
        """Return an entry of postgrey's unit; what is not postgrey's is a user's, who claims to be postgrey."""
        at = time.time() - BEGIN
        return entry(message.removeprefix(_TAG), at, SERVICE if message.startswith(_TAG) else _USER)


class JournalRotation:
    """Rotates and vacuums as journald does."""

    def __init__(self, journal: Journal, chance: random.Random) -> None:
        self._journal = journal
        self._chance = chance
        self.leaves_gaps = False

    def rotate_under(self, writer: Writer, late_lines: int) -> None:
        """Archive the live file; late lines go to the next one, for it is journald itself that rotates."""
        if self._journal.live.exists():
            self._journal.rotate()
        writer.write(late_lines)

    def let_minutes_pass(self) -> None:
        """Do nothing: entries have their own times."""

    def let_go(self) -> None:
        """Vacuum down to one archived file or none; the entry that was read last may go with the others."""
        if self._chance.random() < 0.5:
            keep = self._chance.choice((0, 1))
            self.leaves_gaps |= keep == 0 and not self._journal.live.exists()
            self._journal.vacuum(keep)
