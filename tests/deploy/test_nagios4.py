"""The shipped Nagios configuration, accepted and run by the real Nagios 4 on the article's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.article_week import (
    COUNTS,
    CRITICAL,
    OK,
    UNKNOWN,
    WARNING,
    environment,
    first_line,
    perfdata,
    write_week,
)
from deploy.monitoring import NAGIOS_SERVICE, Nagios, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_week(folder)
    return folder


def nagios_files(logs: Path) -> dict[str, str]:
    shipped = NAGIOS_SERVICE.read_text()
    further = {
        "Critical": f"check_postgrey!15!100!{logs}/week.log",
        "Ranges": f"check_postgrey!~:1000!@600:!--whitelist-file {logs}/outlook {logs}/week.log",
        "Glob": f"check_postgrey!15!~:!--since 7d {logs}/mail.log*",
        "Missing": f"check_postgrey!15!~:!{logs}/mail.log {logs}/mail.log.9",
        "Typo": f"check_postgrey!15x!~:!{logs}/week.log",
    }
    services = "".join(
        f"define service {{\n use generic-service\n host_name localhost\n service_description {name}\n"
        f" check_command {command}\n}}\n"
        for name, command in further.items()
    )
    return {"postgrey.cfg": shipped.replace("/var/log/", f"{logs}/"), "further.cfg": services}


def test_nagios_accepts_the_shipped_file() -> None:
    nagios = Nagios({"postgrey.cfg": NAGIOS_SERVICE.read_text()})
    try:
        result = nagios.verify()
    finally:
        nagios.close()
    assert (result.returncode, result.stderr) == (0, "")
    assert "Total Warnings: 0\nTotal Errors:   0\n" in result.stdout
    assert "Checked 1 services." in result.stdout


@pytest.fixture(scope="module")
def nagios(logs: Path) -> Iterator[Nagios]:
    with Nagios(nagios_files(logs), environment(logs)) as running:
        yield running


def test_the_shipped_service_warns_with_names_evidence_and_perfdata(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Postgrey")
    assert said(status) == (WARNING, first_line("WARNING"))
    assert status["performance_data"] == perfdata("14;~:")
    assert status["long_plugin_output"].startswith("WARNING outlook.com: 579 attempts (579 new, 0 early retries), ")
    assert status["long_plugin_output"].count("\\nWARNING ") == len(COUNTS) - 1


def test_the_critical_argument_is_a_threshold_too(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Critical")
    assert said(status) == (CRITICAL, first_line("CRITICAL"))
    assert status["performance_data"] == perfdata("14;99")


def test_ranges_reach_the_plugin_as_they_are_written(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Ranges")
    assert said(status) == (OK, "POSTGREY OK - Okay, the top domains are whitelisted or ignored")
    assert status["performance_data"] == perfdata("1000;599", without={"outlook.com"})


def test_a_shell_pattern_names_the_logs(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Glob")
    assert said(status) == (WARNING, first_line("WARNING"))


def test_a_missing_log_does_not_hide_a_certain_warning(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Missing")
    assert status["current_state"] == WARNING
    assert status["plugin_output"].endswith(" (incomplete: 1 problem)")
    assert "mail.log.9" in status["long_plugin_output"].split("\\n")[0]


def test_a_typo_is_unknown_with_its_reason(nagios: Nagios) -> None:
    status = nagios.checked("localhost/Typo")
    assert status["current_state"] == UNKNOWN
    assert status["plugin_output"].startswith("POSTGREY UNKNOWN - ")
    assert "'15x' is no threshold" in status["plugin_output"]
