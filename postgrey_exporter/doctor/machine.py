"""What the doctor looks at: files below a root, processes, and what answers on the network. Nothing is changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_START_TIME_FIELD: Final = 19
"""Where ``starttime`` stands behind the name of the program in ``/proc/PID/stat`` (proc(5), field 22)."""
_UNIT: Final = re.compile(r"([^/\s]+\.service)(?:/|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Process:
    """A running program."""

    pid: int
    command: tuple[str, ...]
    """Its arguments; those of a program that writes its own command line are split at blanks."""
    started: float | None
    """Seconds since the epoch."""
    unit: str | None
    """The systemd unit that it belongs to."""
    uid: int
    groups: frozenset[int]
    environment: dict[str, str]
    """Empty where it is closed to us."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at one moment."""

    root: Path
    """The folder that stands for ``/``."""
    now: float
    """Seconds since the epoch."""
    fetch: Callable[[str], tuple[int, str]]
    """Asks a URL: HTTP status and text. Raises `OSError` where nothing answers, or nothing that speaks HTTP."""

    def path(self, name: str) -> Path:
        """Return where an absolute path is below the root."""
        return self.root / name.lstrip("/")

    def processes(self) -> Iterator[Process]:
        """Yield the running programs."""
        boot = self._boot_time()
        try:
            folders = [entry for entry in self.path("/proc").iterdir() if entry.name.isdecimal()]
        except OSError:
            return
        for folder in sorted(folders, key=lambda entry: int(entry.name)):
            try:
                yield _process(folder, boot)
            except (OSError, ValueError, IndexError):
                continue  # it has ended, or is closed to us

    def _boot_time(self) -> float | None:
        try:
            found = re.search(r"^btime (\d+)$", self.path("/proc/stat").read_text(), re.MULTILINE)
        except OSError:
            return None
        return float(found[1]) if found else None


def _process(folder: Path, boot: float | None) -> Process:
    status = dict(line.partition(":\t")[::2] for line in (folder / "status").read_text().splitlines())
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[_START_TIME_FIELD])
    started = None if boot is None else boot + ticks / os.sysconf("SC_CLK_TCK")
    unit = _UNIT.findall(_text(folder / "cgroup"))
    environment = dict(entry.partition("=")[::2] for entry in _text(folder / "environ").split("\0") if "=" in entry)
    return Process(
        pid=int(folder.name),
        command=_arguments((folder / "cmdline").read_bytes()),
        started=started,
        unit=unit[-1] if unit else None,
        uid=int(status["Uid"].split()[1]),
        groups=frozenset(map(int, [status["Gid"].split()[1], *status.get("Groups", "").split()])),
        environment=environment,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def _arguments(command: bytes) -> tuple[str, ...]:
    """Split a command line; postgrey writes its own, as one text with blanks, when it starts (``$0`` in Perl)."""
    arguments = command.decode(errors="surrogateescape").rstrip("\0").split("\0")
    return tuple(arguments[0].split()) if len(arguments) == 1 else tuple(arguments)
