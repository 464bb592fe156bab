"""The shipped alert rules: valid, complete, tested for silence and for firing, and each with a runbook."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from support.parts import require

ALERTING: Final = Path(__file__).parents[2] / "alerting"
RULES: Final = ALERTING / "postgrey.rules.yml"
RESOURCE: Final = ALERTING / "prometheusrule.yml"
RUNBOOK: Final = "alerting/README.md"
SUM: Final = "domain:postgrey_unreviewed_domain:sum"
RULE_TESTS: Final = sorted(Path(__file__).parent.glob("*.test.yml"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


GROUP: Final[dict[str, Any]] = load(RULES)["groups"][0]
ALERTS: Final[list[dict[str, Any]]] = [rule for rule in GROUP["rules"] if "alert" in rule]
NAMES: Final[list[str]] = [rule["alert"] for rule in ALERTS]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    result = run(require("promtool", "prometheus"), "check", "rules", "--lint=all", "--lint-fatal", RULES)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"{len(ALERTS) + 1} rules found" in result.stdout


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name.split(".")[0]) for path in RULE_TESTS])
def test_promtool_sees_the_alerts_fire_and_stay_silent(path: Path) -> None:
    result = run(require("promtool", "prometheus"), "test", "rules", path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "SUCCESS" in result.stdout


@pytest.mark.parametrize("fires", [pytest.param(True, id="firing"), pytest.param(False, id="silent")])
def test_every_alert_is_tested(fires: bool) -> None:
    tested = {
        case["alertname"]
        for path in RULE_TESTS
        for test in load(path)["tests"]
        for case in test["alert_rule_test"]
        if bool(case.get("exp_alerts")) is fires
    }

    assert tested == set(NAMES)


def test_recording_rule_and_its_alert_stand_in_one_group() -> None:
    assert len(load(RULES)["groups"]) == 1
    assert [rule["record"] for rule in GROUP["rules"] if "record" in rule] == [
        "domain:postgrey_unreviewed_domain:sum"
    ]


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in ALERTS])
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Postgrey")
    assert rule["labels"]["severity"] in {"warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"
    assert rule["annotations"]["description"].endswith(".")


def test_every_alert_has_a_runbook_heading_with_its_severity_and_no_heading_is_left_over() -> None:
    runbook = (ALERTING / "README.md").read_text().split("## Runbook\n")[1]
    headings = re.findall(r"^### (\w+)\n\n(\w+)\.", runbook, re.MULTILINE)

    assert sorted(headings) == sorted((rule["alert"], rule["labels"]["severity"].capitalize()) for rule in ALERTS)


def test_the_resource_for_the_operator_holds_the_same_rules() -> None:
    resource = load(RESOURCE)

    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"] == load(RULES)


def test_the_resource_is_what_the_generator_writes() -> None:
    result = run(sys.executable, ALERTING / "generate.py", "--check")

    assert (result.returncode, result.stderr) == (0, "")


def test_the_generator_tells_that_the_resource_is_out_of_date(tmp_path: Path) -> None:
    for name in ("generate.py", "prometheusrule.yml"):
        (tmp_path / name).write_text((ALERTING / name).read_text())
    (tmp_path / "postgrey.rules.yml").write_text(RULES.read_text().replace(">= 15", ">= 30"))

    assert run(sys.executable, tmp_path / "generate.py", "--check").returncode == 1
    assert run(sys.executable, tmp_path / "generate.py").returncode == 0
    assert run(sys.executable, tmp_path / "generate.py", "--check").returncode == 0
    assert ">= 30" in (tmp_path / "prometheusrule.yml").read_text()


def test_the_readme_changes_the_threshold_of_the_rule_that_is_shipped(tmp_path: Path) -> None:
    found = re.search(r"^sed -i .*:sum >= .*$", (ALERTING / "README.md").read_text(), re.MULTILINE)
    assert found
    (tmp_path / "postgrey.rules.yml").write_text(RULES.read_text())

    subprocess.run(["sh", "-c", found[0]], cwd=tmp_path, check=True)

    changed = load(tmp_path / "postgrey.rules.yml")["groups"][0]["rules"]
    different = [(old["expr"], new["expr"]) for old, new in zip(GROUP["rules"], changed, strict=True) if old != new]
    assert different == [
        ("domain:postgrey_unreviewed_domain:sum >= 15", "domain:postgrey_unreviewed_domain:sum >= 30")
    ]


def test_the_readme_puts_the_operators_address_before_each_runbook(tmp_path: Path) -> None:
    found = re.search(r"^sed -i .*runbook_url.*$", (ALERTING / "README.md").read_text(), re.MULTILINE)
    assert found
    (tmp_path / "postgrey.rules.yml").write_text(RULES.read_text())

    subprocess.run(["sh", "-c", found[0]], cwd=tmp_path, check=True)

    rules = load(tmp_path / "postgrey.rules.yml")["groups"][0]["rules"]
    addresses = [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule]
    assert addresses == [
        f"https://wiki.example.org/postgrey-exporter/{rule['annotations']['runbook_url']}" for rule in ALERTS
    ]


def test_prometheus_takes_the_configuration_of_the_readme(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (ALERTING / "README.md").read_text(), re.DOTALL)
    assert found
    (tmp_path / "postgrey.rules.yml").write_text(RULES.read_text())
    (tmp_path / "prometheus.yml").write_text(found[1])

    result = run(require("promtool", "prometheus"), "check", "config", tmp_path / "prometheus.yml")

    assert (result.returncode, result.stderr) == (0, "")
