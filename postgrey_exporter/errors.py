"""The one family of errors that this program reports instead of a traceback."""

from __future__ import annotations


class PostgreyExporterError(Exception):
    """Something the operator can mend.

    The message is one line: it names the thing, what is wrong with it and what to do. `cli` prints it and
    exits with 2; nothing below `cli` prints.
    """
