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
    """Note sender domains that were reviewed and stay greylisted.

    NAME is a domain; it stands for itself and all names under it. What the ignore files or the whitelists cover
    already is not added again.

    Of several --ignore-file the last one is changed.
    """
    entries = [entry_of(name, reason or "stays greylisted") for name in names]
    edit_lists("ignore", entries, EditingSettings(whitelist_files, ignore_files), dry_run=dry_run)
