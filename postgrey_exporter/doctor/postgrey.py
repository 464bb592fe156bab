"""Whether postgrey is installed and running, and whether its options let it say what is needed."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from postgrey_exporter.doctor.check import Check, mend, unknown, well
from postgrey_exporter.wording import command, duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from postgrey_exporter.doctor.machine import Machine, Process

PROGRAMS: Final = ("/usr/sbin/postgrey", "/usr/local/sbin/postgrey", "/usr/bin/postgrey", "/sbin/postgrey")
UNIT_FOLDERS: Final = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
OPTION_FILES: Final = ("/etc/default/postgrey", "/etc/sysconfig/postgrey", "/etc/rc.conf")
FIRST_TO_NAME_DECISIONS: Final = (1, 28)

_VERSION: Final = re.compile(rb"\$VERSION\s*=\s*['\"]([0-9]+)\.([0-9]+)[0-9.]*['\"]")
_LONGEST_PROGRAM: Final = 1 << 20


def is_postgrey(process: Process) -> bool:
    """Tell whether a process calls itself postgrey, started by its name or by Perl's."""
    names = [PurePath(word).name for word in process.command if not word.startswith("-")][:2]
    return bool(names) and (names[0] == "postgrey" or (names[0].startswith("perl") and names[1:] == ["postgrey"]))


def is_trusted(process: Process) -> bool:
    """Tell whether a process that calls itself postgrey is: every package's account is the one of that name."""
    return process.is_of("postgrey") and process.runs("perl")


def disowned(strangers: Sequence[Process]) -> list[Check]:
    """Return a check for each process that calls itself postgrey and is not believed."""
    text = "pid {0.pid} of account {0.uid} calls itself postgrey and is not counted"
    return [unknown("process", text.format(process)) for process in strangers]


def installed(machine: Machine, *, logs_here: bool) -> Check:
    """Check that the program is there. ``logs_here``: its fresh decisions are, so it may run in another container."""
    for name in PROGRAMS:
        path = machine.path(name)
        if path.is_file():
            return _version(path, name)
    if logs_here:
        return unknown("postgrey", "the program is not on this machine, its log is")
    return mend("postgrey", "is not installed on this machine", "apt-get install postgrey")


def _version(path: Path, name: str) -> Check:
    try:
        with path.open("rb") as file:
            found = _VERSION.search(file.read(_LONGEST_PROGRAM))
    except OSError as error:
        return unknown("postgrey", f"{name}: its version can't be read: {error.strerror}")
    if found is None:
        return unknown("postgrey", f"{name}: of an unknown version")
    version = (int(found[1]), int(found[2]))
    text = f"{name}, version {version[0]}.{version[1]}"
    if version < FIRST_TO_NAME_DECISIONS:
        return mend("postgrey", f"{text}: too old, it logs deliveries only", "apt-get install postgrey")
    return well("postgrey", text)


def running(machine: Machine, found: Sequence[Process], *, logs_here: bool) -> Check:
    """Check that it runs."""
    if not found:
        if logs_here:
            return unknown("process", "no postgrey runs here that can be seen, its log is fresh")
        if not machine.shows_all():
            hidden = "other accounts' processes are hidden from this one"
            return unknown("process", hidden, "sudo postgrey-exporter doctor")
        has_unit = any(machine.path(f"{folder}/postgrey.service").is_file() for folder in UNIT_FOLDERS)
        start = "systemctl start postgrey" if has_unit else "service postgrey start"
        return mend("process", "postgrey does not run", start)
    said = []
    for process in found:
        since = "" if process.started is None else f", running for {duration(machine.now - process.started)}"
        said.append(f"pid {process.pid}{f' ({process.unit})' if process.unit else ''}{since}")
    return well("process", "; ".join(said))


def options(machine: Machine, found: Sequence[Process], whitelists: Sequence[Path]) -> list[Check]:
    """Check its options. ``whitelists`` are the whitelist files that the exporter reads."""
    checks = []
    for process in found:
        given = _options(process.command)
        where = next((name for name in OPTION_FILES if machine.path(name).is_file()), "its unit")
        restart = command("systemctl", "restart", process.unit or "postgrey")
        if given.keys() & {"quiet", "q"}:
            text = f"postgrey (pid {process.pid}) runs with --quiet and logs no decision"
            checks.append(mend("--quiet", text, f"remove --quiet in {where}, then: {restart}"))
        if "privacy" in given:
            checks.append(well("--privacy", "postgrey hashes what it stores; its log is not changed by that"))
        read = given.get("whitelist-clients")
        if read is not None and {PurePath(name) for name in read} != {PurePath(path) for path in whitelists}:
            named = command(*(f"--whitelist-file={name}" for name in read))
            text = f"postgrey reads {', '.join(read)}; the exporter reads {', '.join(map(str, whitelists))}"
            checks.append(mend("--whitelist-clients", text, f"start the exporter with {named}"))
    if found and not checks:
        return [well("options", "none of postgrey's options stands in the way")]
    return checks


def _options(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return the options with their values, as Getopt::Long takes them: ``--name=value`` and ``--name value``."""
    given: dict[str, list[str]] = {}
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word.startswith("-") and word.strip("-"):
            name, equals, value = word.lstrip("-").partition("=")
            given.setdefault(name, []).append(value if equals else following)
    return given
