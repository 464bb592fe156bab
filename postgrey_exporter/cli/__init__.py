"""The command line: the only place that prints, reads the environment and exits."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from typing import Any, Final

import click

from postgrey_exporter import __version__
from postgrey_exporter.cli.output import complain, one_line
from postgrey_exporter.errors import PostgreyExporterError

_COMMANDS: Final = {
    "serve": "Read the log as it grows, and serve the metrics.",
    "collect": "Read what is new once, and print the metrics.",
    "report": "Show which sender domains are greylisted, most attempts first.",
    "check": "Warn about unreviewed sender domains, as a Nagios or Icinga plugin.",
    "review": "Decide on each unreviewed domain, with the evidence on the screen.",
    "whitelist": "Add entries to postgrey's client whitelist.",
    "ignore": "Add domains that stay greylisted to the ignore file.",
    "explain": "Show which entry of which list covers a client.",
    "doctor": "Check the setup, and print the command that fixes each fault.",
}


class _Commands(click.Group):
    """Loads a command's module when it is called: a report should not wait for a web server's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"postgrey_exporter.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader of standard output that has seen enough, like ``head``, ends it well.

        Raises `PostgreyExporterError` where standard output is a file on a full disk.
        """
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
            return 0
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _drop_output()
            raise PostgreyExporterError("standard output: can't be written: no space is left; make some") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _drop_output() -> None:
    """Let what is still buffered go somewhere when the interpreter closes standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="postgrey-exporter")
def root() -> None:
    """Show from postgrey's log which senders greylisting delays for no gain."""


def main() -> None:
    """Run the command line; errors that the operator can mend are one line, and exit with 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error: no character ends the program
    try:
        status = root.main(prog_name="postgrey-exporter", standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        complain(one_line(error.format_message()))
        status = 2
    except PostgreyExporterError as error:
        complain(str(error))
        status = 2
    except MemoryError:
        click.echo("postgrey-exporter: memory does not suffice; allow more, or name fewer or smaller logs", err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort):
        status = 130
    # At its end the interpreter would look for cycles among all that is left, which the system takes back anyway.
    gc.freeze()
    sys.exit(status if isinstance(status, int) else 0)
