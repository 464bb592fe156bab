"""Finds the place where postgrey logs on this machine: the known place with the newest decisions.

Only one place is chosen, because rsyslog writes the lines of the journal to files too. If several places hold the
same lines, the one that the state follows already is kept; otherwise the one that reaches back farthest is chosen,
and of equal ones a file, because reading it costs less.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.sources.compression import reading_errors
from postgrey_exporter.sources.detect.examine import FileExaminer, examine_journal
from postgrey_exporter.sources.detect.signs import Examiner, Signs
from postgrey_exporter.sources.journal import files as journal_files
from postgrey_exporter.sources.journal.entry import MICROSECOND
from postgrey_exporter.window import hour_of
from postgrey_exporter.wording import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import tzinfo

JOURNAL: Final = "journal"
LOG_FILES: Final = (
    "var/log/mail.log",  # Debian up to 11, Ubuntu up to 22.04, Mail-in-a-Box
    "var/log/maillog",  # RHEL, Fedora, FreeBSD
    "var/log/mail",  # openSUSE
    "var/log/supervisor/postgrey.log",  # docker-mailserver
    "var/log/mail/mail.log",  # docker-mailserver, its volume
    "var/log/syslog",  # Debian from 12 on and Ubuntu from 24.04 on, with rsyslog
    "var/log/mail.info",  # Debian's second copy of mail.log, up to 11
    "var/log/daemon.log",
    "var/log/messages",
    "var/log/postgrey.log",
)
"""The known log files, relative to the root. Of those with the same lines, the first one is chosen."""

SAME_LINES_SECONDS: Final = 5.0
"""Two places hold the same lines if their newest decisions are no farther apart than this."""
SILENT_SECONDS: Final = 3600.0
"""How far the place that the state follows may lag behind another place before the other is chosen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one place."""

    name: str
    """`JOURNAL`, or the path of the file."""
    path: Path | None
    """The file; ``None`` for the journal."""
    signs: Signs | None
    """What its lines show; ``None`` if it can't be read."""
    error: str | None = None
    """Why it can't be read."""

    @classmethod
    def of(cls, name: str, path: Path | None, examine: Callable[[], Signs | None]) -> Finding | None:
        """Return what ``examine`` finds, or why it fails; ``None`` if it returns ``None``: there is no such place."""
        try:
            signs = examine()
        except PostgreyExporterError as error:
            return cls(name, path, None, str(error))
        return None if signs is None else cls(name, path, signs)

    @property
    def newest_decision(self) -> float | None:
        """The time of its latest decision."""
        return None if self.signs is None else self.signs.newest_decision


@dataclass(frozen=True, slots=True)
class Detection:
    """The places that exist on this machine, and the one that was chosen."""

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    """The names of the known places that are not on this machine."""
    chosen: Finding | None
    reason: str
    """Why that one was chosen. Holds nothing that changes between two detections of the same place."""

    def explanation(self) -> str:
        """Return one line with all places and what was found in them."""
        tried = [f"{finding.name}: {_in_words(finding)}" for finding in self.findings]
        if self.missing:
            tried.append(f"not on this machine: {', '.join(self.missing)}")
        return "; ".join(tried)


class Detector:
    """Examines the known places. Remembers what it has read, so that the next detection is cheap."""

    def __init__(
        self,
        tag: str,
        zone: tzinfo | None = None,
        root: Path = Path("/"),
        journal: Callable[[float], Signs | None] | None = None,
    ) -> None:
        """Create a detector of lines with postgrey's syslog tag. ``zone`` is for times without a zone.

        ``root`` is the folder that is used as ``/``. ``journal`` returns the signs in the journal at a moment, or
        ``None`` without a journal, and raises `PostgreyExporterError`; by default it examines this machine's journal.
        """
        self._root = root
        examiner = Examiner(tag, zone)
        self._files = FileExaminer(examiner)
        self._journal = journal or journal_below(root, examiner, tag)

    def detect(self, now: float, followed: Collection[str] = ()) -> Detection:
        """Examine all places. ``followed`` are the names of those that the state has a position for."""
        logs = [self._root / name for name in LOG_FILES]
        places = {str(log): Finding.of(str(log), log, partial(self._examine, log, now)) for log in logs}
        places[f"the {JOURNAL}"] = Finding.of(JOURNAL, None, partial(self._journal, now))
        findings = tuple(found for found in places.values() if found is not None)
        missing = tuple(name for name, found in places.items() if found is None)
        return Detection(findings, missing, *choose(findings, followed, self._oldest_hour))

    def _oldest_hour(self, finding: Finding) -> float:
        """Return the hour of the oldest line in a place; infinity if that can't be found out."""
        oldest: float | None = None
        if finding.path is not None:
            with suppress(OSError):
                oldest = self._files.oldest_stamp(finding.path)
        else:
            entry = journal_files.oldest_entry(journal_files.scan(journal_files.folders(self._root)))
            oldest = None if entry is None else entry / MICROSECOND
        return inf if oldest is None else hour_of(oldest)

    def _examine(self, path: Path, now: float) -> Signs | None:
        with reading_errors(path):
            return None if path.is_dir() or not path.exists() else self._files.examine(path, now)


def choose(
    findings: Sequence[Finding],
    followed: Collection[str],
    oldest_hour: Callable[[Finding], float] = lambda _: inf,
) -> tuple[Finding | None, str]:
    """Return the place to read and why.

    Of places with the same lines it is the one that reaches back farthest, by ``oldest_hour``, or the first of these.
    """
    dated = [(found.newest_decision, found) for found in findings if found.newest_decision is not None]
    if not dated:
        return None, "no decision of postgrey's was found"
    newest = max(moment for moment, _ in dated)
    for moment, found in dated:
        if found.name in followed and newest - moment <= SILENT_SECONDS:
            return found, "detected: read before, and not behind the others"
    same = [found for moment, found in dated if newest - moment <= SAME_LINES_SECONDS]
    if len(dated) == 1:
        return same[0], "detected: the only place with decisions of postgrey's"
    if len(same) == 1:
        return same[0], "detected: has the newest decisions of postgrey's"
    farthest = min(same, key=oldest_hour)
    return farthest, f"detected: of {len(same)} places with the newest decisions, the one that reaches back farthest"


def journal_below(root: Path, examiner: Examiner, tag: str) -> Callable[[float], Signs | None]:
    """Return a function that examines the journal below a root."""
    is_system = root == Path("/")
    folders = journal_files.folders(root)

    def examine(now: float) -> Signs | None:
        present = [folder for folder in folders if folder.is_dir()]
        files = journal_files.scan(present)
        if not files.marks and not files.forbidden:
            return None
        directories = [None] if is_system else present
        signs = Signs()
        for directory in directories:
            signs |= examine_journal(examiner, tag, directory, now)
        return signs

    return examine


def _in_words(finding: Finding) -> str:
    if finding.signs is None:
        return (finding.error or "can't be read").removeprefix(f"{finding.name}: ")
    words = [str(remark) for remark in finding.signs.remarks()]
    moment = finding.signs.newest_decision
    if moment is not None:
        words.insert(0, f"newest decision {readable(moment)}")
    elif not words:
        words.append("lines of postgrey's, no decision" if finding.signs.ours else "no line of postgrey's")
    return ", ".join(words)
