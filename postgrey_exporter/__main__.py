"""The process: ``python -m postgrey_exporter`` is the same as ``postgrey-exporter``."""

from __future__ import annotations

import gc
import signal
import sys

# Modules and counts are many small objects and no cycles. To look for those after every 700 takes a fifth of the
# time.
gc.set_threshold(100_000)


def run() -> None:
    """Run the command line, and end the process."""
    if "serve" in sys.argv[1:2]:
        # It reads lists again at this signal, once it runs; until then they have not been read.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Imported once the above holds.
    from postgrey_exporter.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    run()
