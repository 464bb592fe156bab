"""Where postgrey's lines are on this machine: the known places are tried, the newest decisions decide.

One place is chosen, never two: rsyslog writes the same line to the journal's neighbour files. Of places that hold the
same lines, that one is kept which the state follows already; else a file rather than the journal, because its rotated
parts reach back further and looking at it costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.sources.compression import LogFileError, explain_os_error
from postgrey_exporter.sources.detect.evidence import Evidence, Examiner
from postgrey_exporter.sources.detect.examine import FileExaminer, examine_journal
from postgrey_exporter.sources.journal import files as journal_files
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
"""The known files below the root; of those with the same lines the first is taken."""

SAME_LINES_SECONDS: Final = 5.0
"""Two places whose newest decisions are no farther apart hold the same lines."""
SILENT_SECONDS: Final = 3600.0
"""How far the place that the state follows may lag behind another one before that is taken instead."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a place shows."""

    name: str
    """`JOURNAL`, or the path of the file."""
    path: Path | None
    """The file; ``None`` for the journal."""
    evidence: Evidence | None
    """What was found in it; ``None`` when it could not be read."""
    error: str | None = None
    """Why it could not be read."""

    @property
    def newest_decision(self) -> float | None:
        """The time of the latest decision in it."""
        return None if self.evidence is None else self.evidence.newest_decision


@dataclass(frozen=True, slots=True)
class Detection:
    """The places that are there, and the one that was chosen."""

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    """The names of the known places that are not on this machine."""
    chosen: Finding | None
    reason: str
    """Why that one; says nothing that changes from look to look."""

    def explanation(self) -> str:
        """Say in one line what was tried, and with what result."""
        tried = [f"{finding.name}: {_in_words(finding)}" for finding in self.findings]
        if self.missing:
            tried.append(f"not on this machine: {', '.join(self.missing)}")
        return "; ".join(tried)


class Detector:
    """Looks for postgrey's lines; remembers what it has seen, so that looking again is cheap."""

    def __init__(
        self,
        tag: str,
        zone: tzinfo | None = None,
        root: Path = Path("/"),
        journal: Callable[[float], Evidence | None] | None = None,
    ) -> None:
        """Take postgrey's syslog tag and the zone of stamps without one.

        ``root`` is the folder that stands for ``/``. ``journal`` returns the journal's evidence at a moment, ``None``
        where there is no journal, and raises `PostgreyExporterError`; it is this machine's own by default.
        """
        self._root = root
        examiner = Examiner(tag, zone)
        self._files = FileExaminer(examiner)
        self._journal = journal or journal_below(root, examiner, tag)

    def detect(self, now: float, followed: Collection[str] = ()) -> Detection:
        """Look at all places. ``followed`` are the names of those that the state has a position for."""
        findings: list[Finding] = []
        missing: list[str] = []
        for path in (self._root / name for name in LOG_FILES):
            found = self._examine(path, now)
            if found is None:
                missing.append(str(path))
            else:
                findings.append(found)
        try:
            evidence = self._journal(now)
        except PostgreyExporterError as error:
            findings.append(Finding(JOURNAL, None, None, str(error)))
        else:
            if evidence is None:
                missing.append(f"the {JOURNAL}")
            else:
                findings.append(Finding(JOURNAL, None, evidence))
        chosen, reason = choose(findings, followed)
        return Detection(tuple(findings), tuple(missing), chosen, reason)

    def _examine(self, path: Path, now: float) -> Finding | None:
        try:
            if path.is_dir() or not path.exists():
                return None
            return Finding(str(path), path, self._files.examine(path, now))
        except LogFileError as error:
            return Finding(str(path), path, None, str(error))
        except OSError as error:
            return Finding(str(path), path, None, explain_os_error(path, error))


def choose(findings: Sequence[Finding], followed: Collection[str]) -> tuple[Finding | None, str]:
    """Return the place to read and why; of equals the first."""
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
    return same[0], f"detected: the first of {len(same)} places with the newest decisions of postgrey's"


def journal_below(root: Path, examiner: Examiner, tag: str) -> Callable[[float], Evidence | None]:
    """Return what looks into the journal below a root."""
    system = root == Path("/")
    places = journal_files.folders(root)

    def look(now: float) -> Evidence | None:
        there = [place for place in places if place.is_dir()]
        files = journal_files.look(there)
        if not files.marks and not files.closed:
            return None
        evidence = Evidence()
        for directory in [None] if system else there:
            evidence = evidence.merged(examine_journal(examiner, tag, directory, now))
        return evidence

    return look


def _in_words(finding: Finding) -> str:
    if finding.evidence is None:
        return (finding.error or "can't be read").removeprefix(f"{finding.name}: ")
    said = [str(remark) for remark in finding.evidence.remarks()]
    moment = finding.evidence.newest_decision
    if moment is not None:
        said.insert(0, f"newest decision {readable(moment)}")
    elif not said:
        said.append("lines of postgrey's, no decision" if finding.evidence.ours else "no line of postgrey's")
    return ", ".join(said)
