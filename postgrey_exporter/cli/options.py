"""Every option, written once. Each is an environment variable too: ``POSTGREY_EXPORTER_`` and its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postgrey_exporter.parsing.parser import DEFAULT_TAG
from postgrey_exporter.settings import DEFAULT_THRESHOLD, LOG_FORMATS, LOG_LEVELS, parse_duration, parse_zone
from postgrey_exporter.window import HOUR, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.decorators import FC

    from postgrey_exporter.exporter.http.server import ListenAddress

    _AnyType = click.ParamType[Any]
else:
    _AnyType = click.ParamType  # not generic before click 8.4

_MOST_DOMAINS = 1_000_000
_PORT_DIGITS = 5
_MOST_PORT = 65535


class _File(click.Path):
    """A file's name. That it is missing or closed to us is found out, and worded, where it is opened."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Path`. A name in no known encoding is refused: metrics and pages are text."""
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail(f"{os.fsencode(value)!r} is no UTF-8; give the file another name", param, ctx)
        return super().convert(value, param, ctx)


FILE = _File(path_type=Path, readable=False)


def variable(option: str) -> str:
    """Return the environment variable of an option: ``--mail-log`` is ``POSTGREY_EXPORTER_MAIL_LOG``."""
    return "POSTGREY_EXPORTER_" + option.removeprefix("--").replace("-", "_").replace(".", "_").upper()


class Parsed(_AnyType):
    """A value that a function of ours parses; its `ValueError` is the error message."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        """Take what the value is called in the help, and the function that parses it."""
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the function makes of the text; a default may be of the final type already."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _window(text: str) -> Window:
    seconds = parse_duration(text)
    if seconds < HOUR or seconds % HOUR:
        raise ValueError(f"{text!r} is no window; it has to be full hours, at least one, like 7d or 36h")
    return Window(seconds // HOUR)


def _tag(text: str) -> str:
    if not text or not text.isascii() or any(character.isspace() or character in "[]:" for character in text):
        raise ValueError(f"{text!r} is no syslog tag; it has no blanks, colons or brackets")
    return text


def _listen_address(text: str) -> ListenAddress:
    from postgrey_exporter.exporter.http.server import ListenAddress  # noqa: PLC0415 - not needed to print a report

    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isdecimal() or len(port) > _PORT_DIGITS or int(port) > _MOST_PORT:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, [IPV6]:PORT or :PORT")
    return ListenAddress(host, int(port))


def option(name: str, *names: str, **attributes: Any) -> Callable[[FC], FC]:
    """Make an option that is an environment variable too, and whose default the help shows."""
    usual: dict[str, Any] = {"envvar": variable(name), "show_default": "default" in attributes}
    return click.option(name, *names, **usual | attributes)


def output_format(*choices: str, help: str = "Output format.") -> Callable[[FC], FC]:  # noqa: A002 - as in click
    """Make the option ``--format``; the first choice is the default."""
    return click.option(
        "--format", "form", type=click.Choice(choices), default=choices[0], show_default=True, help=help
    )


def _together(*decorators: Callable[[FC], FC]) -> Callable[[FC], FC]:
    def decorate(function: FC) -> FC:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


mail_log = option(
    "--mail-log", "mail_logs", type=FILE, multiple=True, help="Log file to read. Repeat the option for more files."
)
journal = option("--journal", is_flag=True, help="Read the systemd journal.")
journal_directory = option(
    "--journal-directory",
    type=FILE,
    help="Read the journal files in this folder, not those of this system. Implies --journal.",
)
timezone = option(
    "--timezone",
    type=Parsed("name", parse_zone),
    help="Time zone of time stamps without a zone, like Europe/Berlin.  [default: the system's]",
)
syslog_tag = option(
    "--syslog-tag",
    type=Parsed("tag", _tag),
    default=DEFAULT_TAG,
    help="Syslog tag of postgrey's lines.",
)
state = option(
    "--state",
    type=FILE,
    help="File that keeps counts and reading positions.  [default: state.sqlite3 in $STATE_DIRECTORY, or in the XDG "
    "state folder]",
)
window = option(
    "--window",
    type=Parsed("duration", _window),
    default="7d",
    help="How far back greylisted attempts count, in full hours, like 7d or 36h.",
)
threshold = option(
    "--threshold",
    type=click.IntRange(min=1),
    default=DEFAULT_THRESHOLD,
    help="Number of unreviewed attempts from which on a domain needs a decision.",
)
max_domains = option(
    "--max-domains",
    type=click.IntRange(1, _MOST_DOMAINS),
    default=1000,
    help="Number of domains with a label of their own; all others count as domain 'other'.",
)
whitelist_file = option(
    "--whitelist-file",
    "whitelist_files",
    type=FILE,
    multiple=True,
    help="Client whitelist of postgrey. Repeat the option for more files.  [default: postgrey's "
    "whitelist_clients and whitelist_clients.local]",
)
ignore_file = option(
    "--ignore-file",
    "ignore_files",
    type=FILE,
    multiple=True,
    help="List of domains that stay greylisted. Repeat the option for more files.  "
    "[default: /etc/postgrey-exporter/ignore]",
)
log_level = option(
    "--log.level",
    "log_level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    help="Log messages of this level and above.",
)
log_format = option(
    "--log.format",
    "log_format",
    type=click.Choice(LOG_FORMATS),
    default="logfmt",
    help="Format of the log on standard error.",
)
listen_address = option(
    "--web.listen-address",
    "listen_addresses",
    type=Parsed("host:port", _listen_address),
    multiple=True,
    default=("127.0.0.1:10123",),
    help="Address to listen on. Repeat the option for more addresses.",
)


def _path(text: str) -> str:
    if not text.startswith("/") or text == "/" or text.startswith("/-/") or any(c in text for c in "?#% "):
        raise ValueError(f"{text!r} is no path for metrics; write one like /metrics")
    return text


telemetry_path = option(
    "--web.telemetry-path",
    "telemetry_path",
    type=Parsed("path", _path),
    default="/metrics",
    help="URL path of the metrics.",
)

list_options = _together(whitelist_file, ignore_file)
editing_options = _together(
    click.argument("names", metavar="NAME...", nargs=-1, required=True),
    option("--reason", metavar="TEXT", help="Reason to write, with the date, above each entry."),
    option("--dry-run", is_flag=True, help="Change nothing. Print the change as a unified diff."),
    list_options,
)
parser_options = _together(timezone, syslog_tag)
source_options = _together(mail_log, journal, journal_directory, parser_options)
reading_options = _together(source_options, state, window, max_domains, list_options, log_level, log_format)
web_options = _together(listen_address, telemetry_path)

logs_argument = click.argument("logs", metavar="[LOG]...", type=FILE, nargs=-1)
since = option("--since", help="Count from this time on: a date, an RFC 3339 time, or an age like 7d.")
until = option("--until", help="Count up to this time: a date, an RFC 3339 time, or an age like 1d.")
gathering_options = _together(logs_argument, since, until, parser_options, state, window, list_options)
