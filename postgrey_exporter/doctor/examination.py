"""All checks in their order: postgrey, its log, the lists, the exporter, Prometheus."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from postgrey_exporter.doctor import lines, lists, postgrey, rsyslog, scrape, state
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.sources.detect.discover import JOURNAL, Detector, Finding
from postgrey_exporter.sources.detect.examine import FileExaminer, examine_journal, newest_reload
from postgrey_exporter.sources.detect.signs import Examiner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from postgrey_exporter.doctor.check import Check
    from postgrey_exporter.doctor.machine import Machine, Process
    from postgrey_exporter.lists import ListFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the exporter is, or would be, started with."""

    mail_logs: Sequence[Path]
    journal: bool
    journal_directory: Path | None
    tag: str
    zone: tzinfo | None
    lists: ListFiles
    state: Path
    listen_addresses: Sequence[tuple[str, int]]
    """Host and port."""
    prometheus_url: str
    exporter: Process | None
    """The exporter that runs."""

    def checks(self, machine: Machine) -> list[Check]:
        """Look at everything."""
        named = [process for process in machine.processes() if postgrey.is_postgrey(process)]
        processes = [process for process in named if postgrey.is_trusted(process)]
        detection = Detector(self.tag, self.zone, machine.root).detect(machine.now)
        reading = lines.Reading(detection, tuple(self._named(machine)))
        logs_here = reading.is_fresh(machine.now)
        self.lists.refresh(machine.now)
        statuses = self.lists.statuses()
        whitelists = [status.path for status in statuses if status.list == "whitelist"]
        made = [
            postgrey.installed(machine, logs_here=logs_here),
            postgrey.running(machine, processes, logs_here=logs_here),
            *postgrey.disowned([process for process in named if process not in processes]),
            *postgrey.options(machine, processes, whitelists),
            *lines.checks(machine, reading, self.exporter),
            *rsyslog.checks(machine, [found.path for found in reading.read if found.path is not None]),
            *lists.checks(machine, statuses, processes, lambda moment: self._reloaded(machine, reading, moment)),
            state.check(machine, self.state),
            *(scrape.port(machine, host, number) for host, number in self.listen_addresses),
        ]
        if self.listen_addresses:
            made.append(scrape.prometheus(machine, self.prometheus_url, self.listen_addresses[0][1]))
        return made

    def _named(self, machine: Machine) -> list[Finding]:
        examiner = Examiner(self.tag, self.zone)
        found = []
        for path in self.mail_logs:
            try:
                found.append(Finding(str(path), path, FileExaminer(examiner).examine(path, machine.now)))
            except (OSError, PostgreyExporterError) as error:
                found.append(Finding(str(path), path, None, str(error)))
        if self.journal or self.journal_directory:
            name = f"{JOURNAL}:{self.journal_directory}" if self.journal_directory else JOURNAL
            try:
                signs = examine_journal(examiner, self.tag, self.journal_directory, machine.now)
                found.append(Finding(name, None, signs))
            except PostgreyExporterError as error:
                found.append(Finding(name, None, None, str(error)))
        return found

    def _reloaded(self, machine: Machine, reading: lines.Reading, moment: float) -> bool:
        """Tell whether the log that is read has a reload of postgrey's after a moment."""
        examiner = Examiner(self.tag, self.zone)
        directory = self.journal_directory
        if directory is None and machine.root != Path("/"):
            directory = machine.path("/var/log/journal")
        for found in reading.read:
            with suppress(PostgreyExporterError):
                last = newest_reload(examiner, self.tag, found.path, directory, machine.now)
                if last is not None and last >= moment:
                    return True
        return False


def is_exporter(process: Process) -> bool:
    """Tell whether a process is this program as a service, by arguments, account or unit, and interpreter."""
    return bool(arguments_of(process)) and process.is_of("postgrey-exporter") and process.runs("python")


def arguments_of(process: Process) -> tuple[str, ...]:
    """Return what follows the program's name in a command line, of a service; empty for all else."""
    for index, word in enumerate(process.command):
        if PurePath(word).name in {"postgrey-exporter", "postgrey_exporter"}:
            rest = process.command[index + 1 :]
            return rest if rest[:1] == ("serve",) else ()
    return ()
