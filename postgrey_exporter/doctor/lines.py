"""Where postgrey's lines are, how old the last one is, and whether the exporter reads that place, and may."""

from __future__ import annotations

import pwd
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postgrey_exporter.doctor.access import group_name, may_read
from postgrey_exporter.doctor.check import Check, mend, unknown, well
from postgrey_exporter.sources.detect.discover import SAME_LINES_SECONDS
from postgrey_exporter.sources.journal import files as journal_files
from postgrey_exporter.wording import command, duration

if TYPE_CHECKING:
    from postgrey_exporter.doctor.machine import Machine, Process
    from postgrey_exporter.sources.detect.discover import Detection, Finding

FRESH_SECONDS: Final = 86_400.0
"""A mail server that is asked for nothing a whole day is worth a look."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is to read, and what of it the exporter was told to read."""

    detection: Detection
    named: tuple[Finding, ...]
    """The places that the options name; empty when the exporter finds one by itself."""

    @property
    def read(self) -> tuple[Finding, ...]:
        """The places that the exporter reads."""
        if self.named:
            return self.named
        return (self.detection.chosen,) if self.detection.chosen else ()

    @property
    def newest(self) -> Finding | None:
        """The place that is read with the newest decision."""
        dated = [found for found in self.read if found.newest_decision is not None]
        return max(dated, key=lambda found: found.newest_decision or 0.0, default=None)

    def is_fresh(self, now: float) -> bool:
        """Whether postgrey decided something lately."""
        newest = self.newest
        return newest is not None and now - (newest.newest_decision or 0.0) < FRESH_SECONDS


def checks(machine: Machine, reading: Reading, exporter: Process | None) -> list[Check]:
    """Return the checks of all places."""
    made = [_place(machine, reading)]
    made += [check for found in reading.read for check in _remarks(found)]
    if not reading.read:
        made += [check for found in reading.detection.findings for check in _remarks(found)]
    made += _same_lines(reading)
    made += _closed(reading)
    made += [
        check for found in reading.read if found.error is None and (check := _permission(machine, found, exporter))
    ]
    return made


def _place(machine: Machine, reading: Reading) -> Check:
    detection, newest = reading.detection, reading.newest
    elsewhere = detection.chosen
    if newest is None:
        if elsewhere is None or not reading.named:
            return mend("log", f"{detection.reason}: {detection.explanation()}", "name the log with --mail-log PATH")
        names = ", ".join(found.name for found in reading.named)
        return mend("log", f"no decision of postgrey's in {names}; they are in {elsewhere.name}", _option(elsewhere))
    last = newest.newest_decision or 0.0
    text = f"{newest.name}: last decision {duration(machine.now - last)} ago"
    if not reading.named:
        text += f" ({detection.reason})"
    if elsewhere is not None and (elsewhere.newest_decision or 0.0) - last > FRESH_SECONDS:
        return mend("log", f"{text}; newer ones are in {elsewhere.name}", _option(elsewhere))
    if machine.now - last >= FRESH_SECONDS:
        return mend(
            "log",
            f"{text}: does Postfix still ask postgrey?",
            "postconf smtpd_recipient_restrictions | grep check_policy_service",
        )
    return well("log", text)


def _option(found: Finding) -> str:
    option = "--journal" if found.path is None else command("--mail-log", found.path)
    return f"start the exporter with {option}"


def _remarks(found: Finding) -> list[Check]:
    remarks = found.signs.remarks() if found.signs else []
    return [
        mend("log lines", f"{found.name}: {remark.text}", remark.remedy)
        if remark.remedy
        else unknown("log lines", f"{found.name}: {remark.text}")
        for remark in remarks
    ]


def _same_lines(reading: Reading) -> list[Check]:
    """Check that no two places that are read hold the same lines."""
    dated = sorted(
        ((found.newest_decision, found.name) for found in reading.named if found.newest_decision is not None),
        reverse=True,
    )
    return [
        mend("log twice", f"{one} and {other} seem to hold the same lines; all is counted twice", "name one of them")
        for (newer, one), (older, other) in pairwise(dated)
        if newer - older <= SAME_LINES_SECONDS
    ]


def _closed(reading: Reading) -> list[Check]:
    """Check that every place could be looked into; one that is closed may hold the newest decisions."""
    places = {found.name: found for found in (*reading.detection.findings, *reading.named)}
    urgent = reading.newest is None or any(found.error for found in reading.read)
    return [
        mend("permission", found.error, _remedy(found))
        if urgent
        else unknown("permission", found.error, _remedy(found))
        for found in places.values()
        if found.error
    ]


def _remedy(found: Finding) -> str:
    if found.path is None:
        return "usermod -aG systemd-journal USER" if "permission" in str(found.error) else "journalctl --verify"
    try:
        group = group_name(found.path)
    except OSError:
        group = None
    if group and "permission" in str(found.error):
        return command("usermod", "-aG", group, "USER")
    return command("ls", "-ld", found.path)


def _permission(machine: Machine, found: Finding, exporter: Process | None) -> Check | None:
    """Check that the exporter's account may read a place, or say which group may."""
    path = found.path or _journal_file(machine)
    if path is None:
        return None
    try:
        group = group_name(path)
        if exporter is None:
            text = (
                f"members of the group {group!r} may read it"
                if group
                else "everybody, or its owner only, may read it"
            )
            return well("permission", f"{found.name}: {text}")
        allowed = may_read(path, exporter.uid, exporter.groups)
    except OSError as error:
        return unknown("permission", f"{path}: {error.strerror}")
    if allowed:
        return well("permission", f"{found.name}: the exporter (pid {exporter.pid}) may read it")
    account = _account(exporter.uid)
    remedy = command("usermod", "-aG", group, account) if group else command("chmod", "g+r", path)
    return mend("permission", f"{found.name}: the exporter (pid {exporter.pid}) may not read it", remedy)


def _journal_file(machine: Machine) -> Path | None:
    """Return a file of the system's journal that is being written."""
    files = sorted(
        Path(name)
        for name, *_ in journal_files.scan(journal_files.folders(machine.root)).marks
        if not Path(name).name.startswith(journal_files.USER_JOURNAL)
    )
    return next((path for path in files if path.name == "system.journal"), files[0] if files else None)


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
