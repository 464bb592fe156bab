"""``python -m postgrey_exporter.sample``: print the bundled week as if it ended now."""

from __future__ import annotations

import sys
import time

from postgrey_exporter.sample import week


def main() -> None:
    """Write the log to standard output; end quietly when nobody reads on."""
    try:
        sys.stdout.writelines(week(time.time()))
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain then.
        sys.stderr.close()


if __name__ == "__main__":
    main()
