"""``ignore``: notes sender domains that were reviewed and stay greylisted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.editing import EditingSettings, edit_lists, entry_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command("ignore")
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
    """Add domains that stay greylisted to the ignore file.

    The exporter then no longer reports them as unreviewed. NAME is a domain; it covers itself and all names below it.
    Entries that the ignore files or the whitelists cover already are reported and not added.

    With several --ignore-file the command changes the last one.
    """
    entries = [entry_of(name, reason or "stays greylisted") for name in names]
    edit_lists("ignore", entries, EditingSettings(whitelist_files, ignore_files), dry_run=dry_run)
