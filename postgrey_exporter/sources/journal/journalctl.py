"""journalctl as a child process: how it is called, read without waiting for ever, and what its complaints mean.

Its output is the export format: whole fields whatever their bytes, and 100,000 entries in 1.3 s where JSON takes
3.1 s (systemd 252). The fields are those that `journal_entry` needs.
"""

from __future__ import annotations

import io
import os
import select
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, Self

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.sources.journal.text import export_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from postgrey_exporter.sources.journal.entry import Entry

PATIENCE_SECONDS: Final = 10.0
"""How long journalctl may be silent before it is ended: a disk that hangs must not hold a scrape for ever."""

_FIELDS: Final = "MESSAGE,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,_UID"
_PIPE_BYTES: Final = 1 << 20
_LONGEST_COMPLAINT: Final = 16 << 10
_NO_PERMISSION: Final = ("insufficient permissions", "not seeing messages from other users")
_IGNORED_FILE: Final = "ignoring file"


class JournalError(PostgreyExporterError):
    """The journal can't be read."""


class NoJournalctlError(JournalError):
    """There is no journalctl on this machine."""


def find_journalctl() -> str:
    """Return the path of journalctl. Raises `NoJournalctlError`."""
    program = shutil.which("journalctl")
    if program is None:
        raise NoJournalctlError(
            "the journal can't be read: there is no journalctl on this machine; "
            "name the log that postgrey writes to with --mail-log"
        )
    return program


def postgreys(tag: str) -> list[str]:
    """Return the arguments that choose the entries that may be postgrey's; `journal_entry` says which of them are."""
    return [f"SYSLOG_IDENTIFIER={tag}", "+", f"_SYSTEMD_UNIT={tag}.service"]


class Journalctl:
    """One run of journalctl; a context manager that ends the child."""

    def __init__(self, directory: Path | None, arguments: Sequence[str]) -> None:
        """Start it. Raises `NoJournalctlError`, or `JournalError` when it can't be started.

        ``arguments`` say which entries, where to begin and in which order; ``directory`` is another journal than the
        system's.
        """
        program = find_journalctl()
        # Complaints go to memory: nothing has to read them while the entries are read.
        self._complaints = os.memfd_create("journalctl", os.MFD_CLOEXEC)
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our arguments, no shell
                [
                    program,
                    "--no-pager",
                    "--output=export",
                    f"--output-fields={_FIELDS}",
                    *([f"--directory={directory}"] if directory else []),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
                stderr=self._complaints,
                env=_environment(),
                process_group=0,  # Ctrl-C is ours to handle
            )
        except OSError as error:
            os.close(self._complaints)
            raise JournalError(f"the journal can't be read: {program}: {error.strerror}") from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child, whether it has come to its end or not."""
        self._child.kill()
        self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()
        os.close(self._complaints)

    def wait_until_open(self) -> None:
        """Return when it has opened the journal's files: it prints, or it has ended. Gives up with its patience."""
        poll = select.poll()
        if self._child.stdout is not None:
            poll.register(self._child.stdout, select.POLLIN)
        poll.poll(PATIENCE_SECONDS * 1000)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries. Raises `JournalError` when journalctl ended with an error, was ended, or hangs."""
        if self._child.stdout is None:
            return
        try:
            yield from export_entries(io.BufferedReader(_Pipe(self._child.stdout.fileno()), 1 << 18), ended=False)
        except TimeoutError as error:
            raise JournalError(
                f"the journal can't be read: journalctl has been silent for {PATIENCE_SECONDS:g} s"
            ) from error
        status = self._child.wait()
        said = self.complaints()
        if any(words in line for line in said for words in _NO_PERMISSION):
            raise JournalError(NO_PERMISSION)
        if status < 0:
            raise JournalError(f"the journal was not read to its end: journalctl was ended by signal {-status}")
        if status > 0:
            raise JournalError(f"the journal can't be read: journalctl says: {'; '.join(said[:3]) or 'nothing'}")

    def complaints(self) -> list[str]:
        """Return the lines of its standard error."""
        text = os.pread(self._complaints, _LONGEST_COMPLAINT, 0).decode(errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def ignored_files(self) -> tuple[str, ...]:
        """Return its complaints about files that it passes over, such as damaged ones."""
        return tuple(line for line in self.complaints() if _IGNORED_FILE in line)


NO_PERMISSION: Final = (
    "the journal can't be read: permission denied; members of the group 'systemd-journal' may: "
    "add the exporter's user to it (usermod -aG systemd-journal USER) and start the exporter again"
)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYSTEMD_")}
    return kept | {"LC_ALL": "C"}


class _Pipe(io.RawIOBase):
    """The child's output, read with patience. Raises `TimeoutError` when that is at its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's WriteableBuffer is wider
        if not self._poll.poll(PATIENCE_SECONDS * 1000):
            raise TimeoutError
        return os.readv(self._descriptor, [buffer])
