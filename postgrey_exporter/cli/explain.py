"""``explain``: which entry of which list covers a client."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.output import complain
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.lists.explain import NoClientError, client, explain, read_client
from postgrey_exporter.settings import list_paths
from postgrey_exporter.wording import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from postgrey_exporter.lists import Lists
    from postgrey_exporter.lists.explain import Explanation

_STREAM: Final = "-"
_MOST_WARNINGS: Final = 20


@click.command("explain")
@click.argument("client_name")
@click.argument("client_address", required=False)
@options.list_options
@options.output_format("text", "json", help="Print a sentence, or a line with a JSON object, for each client.")
def command(client_name: str, client_address: str | None, form: str, **list_files: Sequence[Path]) -> int:
    """Show which entry of which list covers a client.

    With - as CLIENT_NAME the command reads lines "name address" from standard input. It prints warnings about the
    lists' lines on standard error.

    Exit status: 0 if a list covers every client, 1 if not, 2 if a client or a list is not readable.
    """
    if client_name == _STREAM and client_address is not None:
        raise click.UsageError("with - the addresses stand beside the names on standard input")
    files = ListFiles(*list_paths(list_files["whitelist_files"], list_files["ignore_files"]))
    files.refresh(time.time())
    for file in files.statuses():
        if file.error is not None:
            raise PostgreyExporterError(file.error)
    if client_name == _STREAM:
        status = _explain_stream(files.lists, form)
    else:
        explanation = explain(files.lists, client(client_name, client_address or ""))
        _write(explanation, form)
        status = 0 if explanation.covered_by else 1
    _warn(files)
    return status


def _explain_stream(lists: Lists, form: str) -> int:
    status = 0
    for number, raw in enumerate(sys.stdin.buffer, start=1):
        line = raw.decode("utf-8", "surrogateescape")
        if not line.strip():
            continue
        try:
            explanation = explain(lists, read_client(line))
        except NoClientError as error:
            complain(f"standard input, line {number}: {error}")
            status = 2
            continue
        _write(explanation, form)
        if explanation.covered_by is None:
            status = max(status, 1)
    return status


def _write(explanation: Explanation, form: str) -> None:
    # Hundreds of thousands of them are written faster so than said one by one.
    text = json.dumps(explanation._asdict()) if form == "json" else printable(explanation.sentence())
    sys.stdout.write(text + "\n")


def _warn(files: ListFiles) -> None:
    warnings = [warning for status in files.statuses() for warning in status.warnings]
    for warning in warnings[:_MOST_WARNINGS]:
        complain(str(warning))
    if len(warnings) > _MOST_WARNINGS:
        complain(f"and {len(warnings) - _MOST_WARNINGS} more warnings")
