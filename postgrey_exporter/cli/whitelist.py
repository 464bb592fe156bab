"""``whitelist``: adds entries to postgrey's client whitelist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.editing import EditingSettings, edit_lists, entry_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command("whitelist")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@options.reason
@options.dry_run
@options.list_options
def command(
    names: Sequence[str],
    reason: str | None,
    *,
    dry_run: bool,
    whitelist_files: Sequence[Path],
    ignore_files: Sequence[Path],
) -> None:
    r"""Add entries to postgrey's client whitelist.

    NAME is one of: a domain or host name, which covers itself and all names below it; a Perl pattern such as
    '/\.protection\.outlook\.com$/'; an address; a network such as 192.0.2.0/24. The command writes NAME without a
    change. It refuses an entry that postgrey would ignore or die of, that can never match, or that is too broad.
    Entries that are covered already are reported and not added.

    With several --whitelist-file the command changes the last one.
    """
    entries = [entry_of(name, reason or "whitelisted") for name in names]
    edit_lists("whitelist", entries, EditingSettings(whitelist_files, ignore_files), dry_run=dry_run)
