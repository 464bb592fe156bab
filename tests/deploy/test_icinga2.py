"""The shipped Icinga configuration, accepted and run by the real Icinga 2 on the article's numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click
import pytest

from deploy.article_week import CRITICAL, UNKNOWN, WARNING, environment, first_line, perfdata, write_week
from deploy.monitoring import ICINGA_COMMAND, ICINGA_SERVICE, Icinga, said
from postgrey_exporter.cli.check import command as check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ICINGA_HOSTS: Final = """\
object Host "mx1.example.com" {{
  check_command = "dummy"
  vars.postgrey = true
}}
object Host "mx2.example.com" {{
  check_command = "dummy"
  vars.postgrey = true
  vars.postgrey_warning = "~:60"
  vars.postgrey_critical = 500
  vars.postgrey_logs = [ "{logs}/mail.log.1", "{logs}/mail.log" ]
  vars.postgrey_since = "7d"
  vars.postgrey_whitelist_files = [ "{logs}/whitelist_clients", "{logs}/outlook" ]
  vars.postgrey_ignore_files = [ "{logs}/ignore" ]
  vars.postgrey_timeout = 20
}}
object Host "mx3.example.com" {{
  check_command = "dummy"
  vars.postgrey = true
  vars.postgrey_state = "{logs}/state.sqlite3"
}}
object Host "www.example.com" {{
  check_command = "dummy"
}}
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_week(folder)
    return folder


def as_icinga_writes(perfdata: str) -> str:
    """Return what is left when Icinga has parsed the performance data: quotes only where a label needs them."""
    return perfdata.replace("'", "")


def icinga_files(logs: Path) -> dict[str, str]:
    return {
        "postgrey-command.conf": ICINGA_COMMAND.read_text(),
        "postgrey-service.conf": ICINGA_SERVICE.read_text().replace("/var/log/", f"{logs}/"),
        "hosts.conf": ICINGA_HOSTS.format(logs=logs),
    }


def test_icinga_accepts_the_shipped_files() -> None:
    hosts = 'object Host "mx1.example.com" {\n check_command = "dummy"\n vars.postgrey = true\n}\n'
    shipped = {path.name: path.read_text() for path in (ICINGA_COMMAND, ICINGA_SERVICE)}
    icinga = Icinga({**shipped, "hosts.conf": hosts})
    try:
        result = icinga.verify()
    finally:
        icinga.close()
    assert (result.returncode, result.stderr) == (0, "")
    assert "warning/" not in result.stdout
    assert "critical/" not in result.stdout
    assert "Instantiated 1 Service." in result.stdout


@pytest.fixture(scope="module")
def icinga(logs: Path) -> Iterator[Icinga]:
    with Icinga(icinga_files(logs), environment(logs)) as running:
        yield running


def test_only_hosts_that_ask_for_it_get_the_service(icinga: Icinga) -> None:
    assert set(icinga.services()) == {f"mx{number}.example.com/postgrey" for number in (1, 2, 3)}


def test_the_shipped_service_warns_with_names_evidence_and_perfdata(icinga: Icinga) -> None:
    status = icinga.checked("mx1.example.com/postgrey")
    assert said(status) == (WARNING, first_line("WARNING"))
    assert status["performance_data"] == as_icinga_writes(perfdata("14;"))
    assert status["long_plugin_output"].startswith("WARNING outlook.com: 579 attempts (579 new, 0 early retries), ")


def test_a_host_sets_options_by_its_variables(icinga: Icinga) -> None:
    status = icinga.checked("mx2.example.com/postgrey")
    assert said(status) == (CRITICAL, first_line("CRITICAL", "amazonses.com facebook.com"))
    assert status["performance_data"] == as_icinga_writes(perfdata("60;499", without={"outlook.com"}))


def test_a_host_with_a_state_is_checked_without_logs(icinga: Icinga, logs: Path) -> None:
    status = icinga.checked("mx3.example.com/postgrey")
    assert status["current_state"] == UNKNOWN
    assert f"{logs}/state.sqlite3: there is no state here" in status["plugin_output"]


def test_every_option_of_the_plugin_is_a_variable_and_every_variable_an_option() -> None:
    shipped = set(re.findall(r'^    "(\S+)" = \{$', ICINGA_COMMAND.read_text(), re.MULTILINE))
    options = {"LOG" if isinstance(parameter, click.Argument) else parameter.opts[0] for parameter in check.params}
    assert shipped == options


def test_the_readme_explains_every_variable() -> None:
    variables = set(re.findall(r"\$(postgrey_\w+)\$", ICINGA_COMMAND.read_text()))
    readme = (ICINGA_COMMAND.parent / "README.md").read_text()
    assert variables == set(re.findall(r"`(?:vars\.)?(postgrey_\w+)`", readme))
