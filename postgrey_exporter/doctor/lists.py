"""Whether the lists can be read, each line does what it seems to, and postgrey has read them since they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.doctor.check import Check, mend, well
from postgrey_exporter.wording import command, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from postgrey_exporter.doctor.machine import Machine, Process
    from postgrey_exporter.lists import ListFileStatus

_MOST_WARNINGS: Final = 5
_START_TIME_ERROR_SECONDS: Final = 1.0
"""The kernel tells the moment of its own start in full seconds."""


def checks(
    machine: Machine,
    statuses: Sequence[ListFileStatus],
    processes: Sequence[Process],
    reloaded_since: Callable[[float], bool],
) -> list[Check]:
    """Return the checks of all list files, by postgrey's processes and whether it reloaded after a moment."""
    made = [check for status in statuses for check in _file(machine, status)]
    return [*made, *_in_force(machine, statuses, processes, reloaded_since)]


def _file(machine: Machine, status: ListFileStatus) -> Iterator[Check]:
    if status.error is not None:
        yield mend(status.list, status.error, command("ls", "-l", status.path))
        return
    if status.last_change is None:
        yield well(status.list, f"{status.path}: not there, which is no fault")
        return
    text = f"{status.path}: {status.entries} entries, changed {duration(machine.now - status.last_change)} ago"
    if not status.warnings:
        yield well(status.list, text)
        return
    shown = [f"line {warning.line}: {warning.message}" for warning in status.warnings[:_MOST_WARNINGS]]
    if len(status.warnings) > _MOST_WARNINGS:
        shown.append(f"and {len(status.warnings) - _MOST_WARNINGS} more")
    remedy = command("editor", f"+{status.warnings[0].line}", status.path)
    yield mend(status.list, f"{text}; {'; '.join(shown)}", remedy)


def _in_force(
    machine: Machine,
    statuses: Sequence[ListFileStatus],
    processes: Sequence[Process],
    reloaded_since: Callable[[float], bool],
) -> Iterator[Check]:
    """Check that postgrey was started, or reloaded its whitelists, after they changed."""
    changes = [s.last_change for s in statuses if s.list == "whitelist" and s.last_change is not None]
    started = [process.started for process in processes if process.started is not None]
    if not changes or not started:
        return
    changed, since = max(changes), min(started)
    if since + _START_TIME_ERROR_SECONDS >= changed:
        yield well("reload", "postgrey was started after the whitelists' last change")
    elif reloaded_since(changed):
        yield well("reload", "postgrey reloaded the whitelists after their last change")
    else:
        pid, unit = processes[0].pid, processes[0].unit
        ago = duration(machine.now - changed)
        yield mend(
            "reload",
            f"the whitelists changed {ago} ago, after postgrey's start, and its log has no reload since: "
            "it goes by the old ones",
            command("systemctl", "kill", "--signal=HUP", unit) if unit else f"kill -HUP {pid}",
        )
