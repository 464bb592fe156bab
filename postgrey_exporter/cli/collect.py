"""``collect``: one reading, for cron and node_exporter's textfile collector."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from prometheus_client import generate_latest

from postgrey_exporter.cli import options
from postgrey_exporter.cli.composition import ReadingSettings, reading
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.evidence_cache import judged_at
from postgrey_exporter.exposition import exposition
from postgrey_exporter.metrics import families, make_view


@click.command("collect")
@options.reading_options
@click.option("--output", type=options.FILE, help="File to replace, in one rename.  [default: print]")
def command(output: Path | None, **reading_options: Any) -> None:
    """Read what is new, once, and print the metrics in the text format.

    With --output the file is replaced in one rename, for node_exporter's textfile collector.
    """
    with reading(ReadingSettings(**reading_options)) as (ingest, reader):
        now = time.time()
        ingest.advance(now)
        failed = [status.error for status in ingest.statuses.values() if status.error]
        snapshot = reader.snapshot()
        view = make_view(ingest, snapshot, reader.evidence(snapshot.unreviewed, judged_at(now)), state_up=True)
        text = exposition(families(view), generate_latest)
    if output is None:
        if not failed:
            click.echo(text, nl=False)
    else:
        _replace(output, text)
    if failed:
        raise PostgreyExporterError("; ".join(failed))


def _replace(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old content or the new, whole. Raises `PostgreyExporterError`."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise PostgreyExporterError(f"{path}: can't be written: {error.strerror or error}") from error
