"""The process: ``python -m postgrey_exporter`` is the same as ``postgrey-exporter``."""

from __future__ import annotations

import gc

# Modules and counts are many small objects and no cycles. To look for those after every 700 takes a fifth of the
# time.
gc.set_threshold(100_000)


def run() -> None:
    """Run the command line, and end the process."""
    # Imported once the above holds.
    from postgrey_exporter.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    run()
