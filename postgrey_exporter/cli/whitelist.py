"""``whitelist``: adds entries to postgrey's client whitelist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.editing import edit_lists

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("whitelist")
@options.editing_options
def command(names: Sequence[str], reason: str | None, **editing_options: Any) -> None:
    r"""Add entries to postgrey's client whitelist.

    NAME is one of: a domain or host name, which covers itself and all names below it; a Perl pattern such as
    '/\.protection\.outlook\.com$/'; an address; a network such as 192.0.2.0/24. The command writes NAME without a
    change. It refuses an entry that postgrey would ignore or die of, that can never match, or that is too broad.
    Entries that are covered already are reported and not added.

    With several --whitelist-file the command changes the last one.
    """
    edit_lists("whitelist", names, reason or "whitelisted", **editing_options)
