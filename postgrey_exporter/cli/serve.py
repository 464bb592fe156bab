"""``serve``: the exporter."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.composition import ReadingSettings, reading
from postgrey_exporter.exporter.http.app import Application
from postgrey_exporter.exporter.http.server import ListenAddress, Server
from postgrey_exporter.exporter.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

_SWITCH_SECONDS: Final = 0.001
"""How long a thread that counts lines may keep the interpreter from one that answers: a fifth of Python's default."""


@click.command("serve")
@options.reading_options
@options.web_options
@options.threshold
def command(
    listen_addresses: Sequence[ListenAddress], telemetry_path: str, threshold: int, **reading_options: Any
) -> None:
    """Read the log as it grows, and serve the metrics.

    Without --mail-log and --journal the exporter finds out where postgrey logs. Each option is also an environment
    variable: --mail-log is POSTGREY_EXPORTER_MAIL_LOG.
    """
    settings = ReadingSettings(**reading_options)
    with reading(settings) as (ingest, reader):
        for source in ingest.sources:
            source.check()
        sys.setswitchinterval(_SWITCH_SECONDS)
        service = Service(ingest, reader, time.time)
        server = Server(listen_addresses, Application(service, telemetry_path, threshold).answer)
        _on_signals({signal.SIGTERM: service.stop, signal.SIGINT: service.stop, signal.SIGHUP: service.reload})
        server.start()
        for address in listen_addresses:
            _log.info("listening on http://%s/", address)
        try:
            service.run()
        finally:
            server.stop()
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # it ends already
        _log.info("stopped; everything that was read is committed")


def _on_signals(actions: Mapping[int, Callable[[], None]]) -> None:
    """Have a function called as soon as its signal comes.

    A handler in Python would wait until the main thread, which may just have begun to sleep, wakes up by itself.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in actions:
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        while True:
            # The same signal again, before it was heard, says nothing new.
            for number in dict.fromkeys(os.read(heard, 4096)):
                if number in actions:
                    actions[number]()

    threading.Thread(target=wait, name="signals", daemon=True).start()
