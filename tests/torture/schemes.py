"""How logs are rotated: the real logrotate, in each of its schemes."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from support.parts.requirement import find_program

if TYPE_CHECKING:
    from pathlib import Path

    from torture.writer import Writer

_FIRST_DAY: Final = date(2000, 1, 1)
KEPT: Final = 40
"""Rotated files that logrotate keeps; more than there are rotations between two complete readings."""
_ZSTD: Final = ("compresscmd /usr/bin/zstd", "compressoptions --rm -q", "compressext .zst")


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way of rotating, in logrotate's words."""

    name: str
    directives: tuple[str, ...]
    copies: bool = False
    """Whether the log is copied and emptied, so that the writer has to pause and needs no telling."""
    at_once: str = ""
    """Where the rotated file is compressed at once: what it is called until then, in the shell's words."""


SCHEMES: Final = {
    scheme.name: scheme
    for scheme in (
        Scheme("rename and create", ("create 0644",)),
        Scheme("copytruncate", ("copytruncate",), copies=True),
        Scheme("copytruncate, compressed", ("copytruncate", "compress"), copies=True),
        Scheme("compress at once", ("create 0644", "compress"), at_once="$1.1"),
        Scheme("delaycompress", ("create 0644", "compress", "delaycompress")),
        Scheme("dateext", ("create 0644", "dateext")),
        Scheme("dateext, compressed", ("create 0644", "dateext", "compress"), at_once="$1-$(date +%Y%m%d)"),
        Scheme("dateext with seconds", ("create 0644", "dateext", "dateformat -%Y%m%d-%s")),
        Scheme("olddir", ("create 0644", "olddir old")),
        Scheme("olddir, compressed", ("create 0644", "olddir old", "compress", "delaycompress")),
        Scheme("xz", ("create 0644", "compress", "delaycompress", "compresscmd /usr/bin/xz", "compressext .xz")),
        Scheme("bzip2", ("create 0644", "compress", "compresscmd /bin/bzip2", "compressext .bz2"), at_once="$1.1"),
        Scheme("zstd", ("create 0644", "compress", "delaycompress", *_ZSTD)),
        Scheme("nocreate", ("nocreate",)),
    )
}

PROGRAMS: Final = {"xz": [("xz", "xz-utils")], "bzip2": [("bzip2", "bzip2")], "zstd": [("zstd", "zstd")]}
"""What a scheme needs besides logrotate: the program and its Debian package."""


class Rotation:
    """Rotates one log by one scheme. The log lies in a folder of its own, logrotate's files beside that."""

    leaves_gaps = False

    def __init__(self, log: Path, scheme: Scheme) -> None:
        self._log = log
        self.scheme = scheme
        self._logrotate = find_program("logrotate") or "logrotate"
        self._settings = log.parent.with_name("logrotate.conf")
        self._state = log.parent.with_name("logrotate.state")
        self._days = 0
        (log.parent / "old").mkdir(exist_ok=True)
        self._late = log.parent.with_name("late")
        directives = "\n".join((*scheme.directives, f"rotate {KEPT}", "missingok"))
        if scheme.at_once:
            # As rsyslog does until its HUP, which logrotate sends before it compresses.
            directives += f"\npostrotate\n[ ! -e {self._late} ] || cat {self._late} >> {scheme.at_once}\nendscript"
        self._settings.write_text(f"{log} {{\n{directives}\n}}\n")
        self._settings.chmod(0o644)

    def rotate(self) -> None:
        """Run logrotate."""
        subprocess.run(
            [self._logrotate, "--force", "--state", self._state, self._settings], check=True, capture_output=True
        )
        if "dateext" in self.scheme.directives:
            self._let_a_day_pass()

    def rotate_under(self, writer: Writer, late_lines: int) -> None:
        """Rotate under a writer, who has some lines for the old file yet before it hears of the rename.

        For copytruncate the writer pauses: what is written between logrotate's copy and its truncation is lost to
        everybody. It may have left a line unfinished, and does not come back to it.
        """
        if self.scheme.copies or not late_lines:
            writer.abandon_line()
        if self.scheme.at_once:
            writer.write_elsewhere(self._late, late_lines)
            self.rotate()
            self._late.unlink(missing_ok=True)
        else:
            self.rotate()
            if not self.scheme.copies and late_lines:
                writer.write(late_lines)
        if not self.scheme.copies:
            writer.reopen()

    def let_minutes_pass(self) -> None:
        """Make the rotated files so old that nobody can be writing them still."""
        for path in self._rotated_files():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 120))

    def let_go(self) -> None:
        """Do nothing: how many rotated files stay is logrotate's business."""

    def _rotated_files(self) -> list[Path]:
        files = [*self._log.parent.iterdir(), *(self._log.parent / "old").iterdir()]
        return [path for path in files if path.is_file() and path != self._log]

    def _let_a_day_pass(self) -> None:
        """Give the newest file an older date: logrotate makes one file a day, or a second."""
        pattern = re.compile(rf"{re.escape(self._log.name)}-20[2-9]\d{{5}}(-\d+)?(\.\w+)?")
        for path in self._rotated_files():
            found = pattern.fullmatch(path.name)
            if found:
                self._days += 1
                day = (_FIRST_DAY + timedelta(self._days)).strftime("%Y%m%d")
                second = f"-{946684800 + 86400 * self._days}" if found[1] else ""
                path.rename(path.with_name(f"{self._log.name}-{day}{second}{found[2] or ''}"))
