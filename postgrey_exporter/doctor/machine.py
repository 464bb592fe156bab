"""What the doctor looks at: files below a root, processes, and what answers on the network. Nothing is changed."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_START_TIME_FIELD: Final = 19
"""Where ``starttime`` stands behind the name of the program in ``/proc/PID/stat`` (proc(5), field 22)."""
_UNIT: Final = re.compile(r"^(?:0:|[0-9]+:name=systemd):(?:/[^/\n]+)*?/([^/\n]+\.service)(?:/|$)", re.MULTILINE)
"""The system's unit is the first on the way to a process; what is below a user's manager the user names."""


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
    """The account whose rights it has."""
    groups: frozenset[int]
    environment: dict[str, str]
    """Empty where it is closed to us."""
    uids: frozenset[int]
    """All its accounts: a program that took another one's rights has two, and its arguments from the first."""
    program: str | None
    """The program that it runs, which no argument changes; ``None`` where that is closed to us."""

    def is_of(self, account: str) -> bool:
        """Tell whether it is root's, this user's, an account's, or of the system's unit of the account's name."""
        trusted = {0, os.geteuid()}
        with suppress(KeyError):
            trusted.add(pwd.getpwnam(account).pw_uid)
        unit = re.fullmatch(rf"{re.escape(account)}(?:@[^/]*)?\.service", self.unit or "")
        return unit is not None or self.uids <= trusted

    def runs(self, interpreter: str) -> bool:
        """Tell whether it runs an interpreter, as far as can be seen; sudo runs as root with anybody's arguments."""
        return self.program is None or PurePath(self.program).name.startswith(interpreter)


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

    def shows_all(self) -> bool:
        """Tell whether other accounts' processes are shown: not with ``hidepid`` (proc(5))."""
        return os.access(self.path("/proc/1/stat"), os.R_OK)

    def _boot_time(self) -> float | None:
        try:
            found = re.search(r"^btime (\d+)$", self.path("/proc/stat").read_text(), re.MULTILINE)
        except OSError:
            return None
        return float(found[1]) if found else None


def _process(path: Path, boot: float | None) -> Process:
    # The open folder is this process's for good, whoever gets its number next.
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        before = _who(folder)
        fields = _read(folder, "stat").rpartition(")")[2].split()
        unit = _UNIT.search(_readable(folder, "cgroup"))
        environment = _readable(folder, "environ").split("\0")
        found = Process(
            pid=int(path.name),
            command=_arguments(_read(folder, "cmdline")),
            started=None if boot is None else boot + int(fields[_START_TIME_FIELD]) / os.sysconf("SC_CLK_TCK"),
            unit=unit[1] if unit else None,
            uid=before.uids[1],
            uids=frozenset(before.uids),
            program=before.program,
            groups=frozenset(before.groups),
            environment=dict(entry.partition("=")[::2] for entry in environment if "=" in entry),
        )
        if _who(folder) != before:
            raise ValueError("another program has begun meanwhile")
    finally:
        os.close(folder)
    return found


class _Who(NamedTuple):
    """Whose process it is, and what it runs."""

    uids: list[int]
    """Real, effective, saved, and for files."""
    groups: list[int]
    program: str | None


def _who(folder: int) -> _Who:
    status = dict(line.partition(":\t")[::2] for line in _read(folder, "status").splitlines())
    try:
        program: str | None = os.readlink("exe", dir_fd=folder).removesuffix(" (deleted)")
    except OSError:
        program = None
    uids, groups = ([int(number) for number in status[name].split()] for name in ("Uid", "Gid"))
    return _Who(uids, [groups[1], *map(int, status.get("Groups", "").split())], program)


def _read(folder: int, name: str) -> str:
    with open(name, errors="surrogateescape", newline="", opener=lambda n, f: os.open(n, f, dir_fd=folder)) as file:
        return file.read()


def _readable(folder: int, name: str) -> str:
    try:
        return _read(folder, name)
    except OSError:
        return ""


def _arguments(command: str) -> tuple[str, ...]:
    """Split a command line; postgrey writes its own, as one text with blanks, when it starts (``$0`` in Perl)."""
    arguments = command.rstrip("\0").split("\0")
    return tuple(arguments[0].split()) if len(arguments) == 1 else tuple(arguments)
