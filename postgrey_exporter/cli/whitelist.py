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

    NAME is written as it is: a domain or host name, which stands for itself and all names under it; a /pattern/ of
    Perl's such as '/\.protection\.outlook\.com$/'; an address, or a network such as 192.0.2.0/24. What postgrey
    could not read, or would never match, is refused, and what the whitelists cover already is not added again.

    Of several --whitelist-file the last one is changed.
    """
    entries = [entry_of(name, reason or "whitelisted") for name in names]
    edit_lists("whitelist", entries, EditingSettings(whitelist_files, ignore_files), dry_run=dry_run)
