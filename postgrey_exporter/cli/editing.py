"""What `whitelist`, `ignore` and `review` share: the list to change, what to say of it, and what is to do next."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.cli.output import say
from postgrey_exporter.lists.edit import ListEditor, ListPermissionError, NewEntry
from postgrey_exporter.settings import list_paths
from postgrey_exporter.wording import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postgrey_exporter.lists import Cover, ListKind
    from postgrey_exporter.lists.edit import Edit

_SYSTEMD: Final = Path("/run/systemd/system")
_PID_FILES: Final = (Path("/run/postgrey.pid"), Path("/run/postgrey/postgrey.pid"))
# postgrey sets its title to its name and options, so it has no process name that pkill -x would find.
_RELOAD_ANYWHERE: Final = "pkill -HUP -f '^postgrey '"


class EditingSettings(NamedTuple):
    """The list files that were named."""

    whitelist_files: Sequence[Path]
    ignore_files: Sequence[Path]

    def editor(self, kind: ListKind) -> ListEditor:
        """Return what changes a list."""
        paths = list_paths(*self)
        return ListEditor(
            kind,
            paths.edited_whitelist if kind == "whitelist" else paths.edited_ignore,
            whitelist=paths.whitelist,
            ignore=paths.ignore,
            pause=time.sleep,
            makes_folder=kind == "ignore" and not self.ignore_files,
        )

    def command(self, kind: ListKind, names: Sequence[str]) -> str:
        """Return the command by which root adds entries to the same file."""
        files = [("--whitelist-file", file) for file in self.whitelist_files]
        files += [("--ignore-file", file) for file in self.ignore_files]
        options = [text for option, file in files for text in (option, str(file.absolute()))]
        return command("sudo", "postgrey-exporter", kind, *options, *names)


def entry_of(text: str, reason: str) -> NewEntry:
    """Return an entry with today's date in its reason."""
    return NewEntry(text, f"{time.strftime('%Y-%m-%d')} postgrey-exporter: {reason}")


def edit_lists(kind: ListKind, names: Sequence[str], reason: str, *, dry_run: bool, **files: Sequence[Path]) -> None:
    """Add entries and say what was done; or with ``dry_run`` print the diff. Raises `PostgreyExporterError`.

    ``files`` are the fields of `EditingSettings`.
    """
    settings = EditingSettings(**files)
    editor = settings.editor(kind)
    entries = [entry_of(name, reason) for name in names]
    if dry_run:
        edit = editor.plan(entries)
        for text, cover in edit.known:
            say(_known(text, cover), err=True)
        _show(edit.diff())
        return
    try:
        edit = editor.add(entries)
    except ListPermissionError as error:
        raise with_remedy(error, settings.command(kind, names)) from None
    for line in said(edit):
        say(line)
    if edit.added and kind == "whitelist":
        say(f"postgrey obeys once it has read it: {reload_command()}")


def _show(diff: bytes) -> None:
    """Print a diff as ``patch`` takes it; on a terminal, what is no text in the list is escaped."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(diff)
        return
    for line in diff.decode(errors="surrogateescape").removesuffix("\n").split("\n") if diff else ():
        say(line)


def with_remedy(error: ListPermissionError, command: str) -> ListPermissionError:
    """Return an error about permissions with the command by which root does it; root itself is told no such thing."""
    return error if os.geteuid() == 0 else ListPermissionError(f"{error}; run: {command}")


def said(edit: Edit) -> Iterator[str]:
    """Yield what an edit has done, a line an entry."""
    for text in edit.added:
        yield f"{text}: added to {edit.path}"
    for text, cover in edit.known:
        yield _known(text, cover)


def _known(text: str, cover: Cover) -> str:
    by = "" if cover.entry == text else f" by {cover.entry}"
    return f"{text}: covered already{by} in {cover.file}, line {cover.line}; nothing to add"


def reload_command() -> str:
    """Return the command that has postgrey read its whitelists again.

    It does so on SIGHUP. Debian 12's unit has no ``ExecReload``, so ``systemctl reload`` refuses there.
    """
    if _SYSTEMD.is_dir():
        done_by = "systemctl kill --signal=HUP postgrey"
    else:
        pid_file = next((path for path in _PID_FILES if path.exists()), None)
        done_by = f"kill -HUP $(cat {pid_file})" if pid_file else _RELOAD_ANYWHERE
    return done_by if os.geteuid() == 0 else f"sudo {done_by}"
