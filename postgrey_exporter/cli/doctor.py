"""``doctor``: a checklist with remedies."""

from __future__ import annotations

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from postgrey_exporter.cli import options
from postgrey_exporter.cli.output import say, styled
from postgrey_exporter.doctor import Check, Examination, Machine, Process, Verdict
from postgrey_exporter.doctor.examination import arguments_of, is_exporter
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.settings import default_state, list_paths
from postgrey_exporter.wording import as_json_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SYMBOLS: Final = {Verdict.WELL: "✔", Verdict.MEND: "✘", Verdict.UNKNOWN: "?"}
_PLAIN_SYMBOLS: Final = {Verdict.WELL: "ok", Verdict.MEND: "!!", Verdict.UNKNOWN: "??"}
_COLOURS: Final = {Verdict.WELL: "green", Verdict.MEND: "red", Verdict.UNKNOWN: "yellow"}
_PATIENCE_SECONDS: Final = 3.0
_LONGEST_ANSWER: Final = 16 << 20


@click.command("doctor")
@options.source_options
@options.state
@options.list_options
@options.listen_address
@options.option(
    "--prometheus-url",
    metavar="URL",
    default="http://127.0.0.1:9090",
    help="Ask this Prometheus whether it scrapes the exporter.",
)
@options.output_format("text", "json")
def command(form: str, prometheus_url: str, **chosen: Any) -> int:
    """Check the setup, and print the command that fixes each fault.

    The command checks postgrey, where it logs, the lists, the state, the exporter and Prometheus. It changes nothing.
    Without options it takes those of the exporter that runs.

    Exit status: 0 if there is nothing to fix, 1 if there is.
    """
    context = click.get_current_context()
    machine = Machine(Path("/"), time.time(), _fetch)
    exporter = next((p for p in machine.processes() if is_exporter(p) and p.pid != os.getpid()), None)
    given = {name for name in chosen if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT}
    if exporter is not None and not given:
        chosen |= {name: value for name, value in _options_of(exporter).items() if name in chosen}
    examination = Examination(
        mail_logs=chosen["mail_logs"],
        journal=chosen["journal"],
        journal_directory=chosen["journal_directory"],
        tag=chosen["syslog_tag"],
        zone=chosen["timezone"],
        lists=ListFiles(*list_paths(chosen["whitelist_files"], chosen["ignore_files"])),
        state=chosen["state"] or default_state(exporter.environment if exporter and not given else os.environ),
        listen_addresses=[(address.host, address.port) for address in chosen["listen_addresses"]],
        prometheus_url=prometheus_url,
        exporter=exporter,
    )
    checks = examination.checks(machine)
    if form == "json":
        sys.stdout.write(as_json(checks) + "\n")
    else:
        _show(checks)
    return int(any(check.verdict is Verdict.MEND for check in checks))


def as_json(checks: Sequence[Check]) -> str:
    """Return the checklist for programs."""
    return as_json_text(
        {
            "ok": all(check.verdict is not Verdict.MEND for check in checks),
            "checks": [
                {"check": check.name, "verdict": check.verdict.value, "text": check.text, "remedy": check.remedy}
                for check in checks
            ],
        },
        indent=2,
    )


def _show(checks: Sequence[Check]) -> None:
    try:
        "✔✘→".encode(sys.stdout.encoding or "ascii")
        symbols, arrow = _SYMBOLS, "→"
    except UnicodeEncodeError:
        symbols, arrow = _PLAIN_SYMBOLS, "->"
    width = max(len(check.name) for check in checks)
    for check in checks:
        symbol = styled(symbols[check.verdict], fg=_COLOURS[check.verdict], bold=True)
        say(symbol, f" {check.name:<{width}}  {check.text}")
        if check.remedy:
            say(f"{'':<{width + len(symbols[check.verdict])}}   {arrow} ", styled(check.remedy, bold=True))


def _options_of(exporter: Process) -> Mapping[str, Any]:
    """Return what a running exporter was started with, from its arguments and its environment."""
    from postgrey_exporter.cli.serve import command as serve  # noqa: PLC0415 - a web server is not always needed

    arguments = list(arguments_of(exporter)[1:])
    given = {word.partition("=")[0] for word in arguments}
    for option in serve.params:
        value = exporter.environment.get(str(option.envvar))
        if value is None or not given.isdisjoint(option.opts):
            continue
        if isinstance(option, click.Option) and option.is_flag:
            arguments += [option.opts[0]] if value.lower() in {"1", "true", "yes", "on", "t", "y"} else []
        else:
            values = option.type.split_envvar_value(value) if option.multiple else [value]
            arguments += [f"{option.opts[0]}={part}" for part in values]
    try:
        return serve.make_context("serve", arguments).params
    except click.ClickException:
        return {}


def _fetch(url: str) -> tuple[int, str]:
    """Ask a URL, whatever proxies the environment names. Raises `OSError`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_PATIENCE_SECONDS) as answer:
            return answer.status, answer.read(_LONGEST_ANSWER).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_LONGEST_ANSWER).decode(errors="replace")
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError):
            raise error.reason from error
        raise OSError(str(error.reason)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer in HTTP ({error})") from error
