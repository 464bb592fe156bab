"""How the parts are put together for the commands that read into the state."""

from __future__ import annotations

import logging
import os
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postgrey_exporter.cli import logs
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.header import HeaderReader
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.ingest import Ingest
from postgrey_exporter.settings import default_state, list_paths
from postgrey_exporter.sources.detect.discover import Detector
from postgrey_exporter.sources.detect.source import DetectingSource
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.sources.journal.source import JournalSource
from postgrey_exporter.state.reader import StateReader
from postgrey_exporter.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path
    from typing import Any

    from postgrey_exporter.sources import Source
    from postgrey_exporter.sources.detect.discover import Finding
    from postgrey_exporter.sources.detect.source import Followed
    from postgrey_exporter.window import Window

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSettings:
    """The options of every command that reads logs into the state."""

    mail_logs: Sequence[Path]
    journal: bool
    journal_directory: Path | None
    timezone: tzinfo | None
    syslog_tag: str
    state: Path | None
    window: Window
    max_domains: int
    whitelist_files: Sequence[Path]
    ignore_files: Sequence[Path]
    log_level: str
    log_format: Any


@contextmanager
def reading(settings: ReadingSettings) -> Iterator[tuple[Ingest, StateReader]]:
    """Open the state and the logs, and close them in the end. Raises `PostgreyExporterError`."""
    logs.set_up(settings.log_level, settings.log_format)
    lists = ListFiles(*list_paths(settings.whitelist_files, settings.ignore_files))
    path = settings.state or default_state(os.environ)
    tag, zone, window = settings.syslog_tag, settings.timezone, settings.window
    with closing(Store(path, window=window, max_domains=settings.max_domains)) as store:
        sources = _named_sources(settings) or [detecting_source(tag, zone, window, store.followed())]
        with (
            closing(Ingest(store, sources, Parser(tag, zone, store.secret()), lists)) as ingest,
            closing(StateReader(path, max_domains=settings.max_domains)) as reader,
        ):
            yield ingest, reader


def _named_sources(settings: ReadingSettings) -> list[Source]:
    stamp = HeaderReader(settings.syslog_tag, settings.timezone).stamp
    sources: list[Source] = [
        FileSource(log, settings.window.seconds, stamp=stamp) for log in _distinct(settings.mail_logs)
    ]
    if settings.journal or settings.journal_directory:
        if sources:
            _log.warning("a log and the journal are read; a line that is in both counts twice")
        sources.append(
            JournalSource(settings.window.seconds, tag=settings.syslog_tag, directory=settings.journal_directory)
        )
    return sources


def detecting_source(tag: str, zone: tzinfo | None, window: Window, followed: Followed) -> DetectingSource:
    """Return the source that finds out where postgrey logs."""

    def open_source(found: Finding) -> Source:
        if found.path is None:
            return JournalSource(window.seconds, tag=tag)
        return FileSource(found.path, window.seconds, stamp=HeaderReader(tag, zone).stamp)

    return DetectingSource(Detector(tag, zone), open_source, followed, zone)


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Return the paths without those that name the same file again, in their order."""
    seen: set[object] = set()
    kept: list[Path] = []
    for path in paths:
        absolute = path.absolute()
        real = os.path.realpath(absolute)  # pathlib's resolve() raises on a loop of links
        if real not in seen:
            seen.add(real)
            kept.append(absolute)
    return kept
