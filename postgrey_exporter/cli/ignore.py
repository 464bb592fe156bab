"""``ignore``: notes sender domains that were reviewed and stay greylisted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.editing import edit_lists

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("ignore")
@options.editing_options
def command(names: Sequence[str], reason: str | None, **editing_options: Any) -> None:
    """Add domains that stay greylisted to the ignore file.

    The exporter then no longer reports them as unreviewed. NAME is a domain; it covers itself and all names below it.
    Entries that the ignore files or the whitelists cover already are reported and not added.

    With several --ignore-file the command changes the last one.
    """
    edit_lists("ignore", names, reason or "stays greylisted", **editing_options)
