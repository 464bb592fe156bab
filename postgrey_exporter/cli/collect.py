"""``collect``: one reading, for cron and node_exporter's textfile collector."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from prometheus_client import generate_latest

from postgrey_exporter.cli import options
from postgrey_exporter.cli.composition import ReadingSettings, reading
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.exporter.evidence_cache import judged_at
from postgrey_exporter.exporter.metrics import families
from postgrey_exporter.exporter.text_format import exposition
from postgrey_exporter.exporter.view import make_view
from postgrey_exporter.openfolder import UNSURPRISED, opened_folder

if TYPE_CHECKING:
    from pathlib import Path


@click.command("collect")
@options.reading_options
@click.option("--output", type=options.FILE, help="Replace this file, in place of printing.")
def command(output: Path | None, **reading_options: Any) -> None:
    """Read what is new once, and print the metrics in the text format.

    With --output the command replaces a file by one rename, as node_exporter's textfile collector needs it.
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
        with opened_folder(path, follows_last=False) as (folder, name):
            new = f".{name}.{os.getpid()}.{time.monotonic_ns()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | UNSURPRISED
            try:
                with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fchmod(file.fileno(), 0o644)
                    os.fsync(file.fileno())
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(new, dir_fd=folder)
                raise
    except OSError as error:
        raise PostgreyExporterError(f"{path}: can't be written: {error.strerror or error}") from error
