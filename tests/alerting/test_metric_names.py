"""Every metric that a rule, the dashboard or a README names is one that the exporter has."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.parts.prometheus import fetch

from alerting.exporter import Exporter, decision_line

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).parents[2]
TEXTS: Final = (
    "alerting/README.md",
    "alerting/alertmanager.yml",
    "alerting/postgrey.rules.yml",
    "alerting/prometheusrule.yml",
    "grafana/README.md",
    "grafana/postgrey.json",
)
METRIC: Final = r"\bpostgrey_\w+"


class Exposition(NamedTuple):
    """What the exporter answers: its metrics, also those that have no series now, and their series."""

    families: set[str]
    series: list[tuple[str, dict[str, str]]]

    @property
    def names(self) -> set[str]:
        return self.families | {name for name, _ in self.series}


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> Exposition:
    folder = tmp_path_factory.mktemp("exposition")
    log, whitelist, ignore = folder / "mail.log", folder / "whitelist_clients", folder / "ignore"
    now = time.time()
    log.write_text(
        decision_line(now - 60, "action=greylist, reason=new", 1, "example.com")
        + decision_line(now - 60, "action=greylist, reason=new", 2, "example.net")
    )
    # Whitelisted long before its attempt, so that the attempt counts as one that postgrey should have passed.
    whitelist.write_text("example.net\n")
    os.utime(whitelist, (now - 86400, now - 86400))
    ignore.touch()
    with Exporter([log], whitelist, ignore) as exporter:
        text = fetch(f"{exporter.url}/metrics").decode()
    families = list(text_string_to_metric_families(text))
    series = [(sample.name, sample.labels) for family in families for sample in family.samples]
    return Exposition({family.name for family in families}, series)


def selectors(expression: str) -> Iterator[tuple[str, str]]:
    """Yield the exporter's metrics in a query, each with what stands in braces behind it."""
    yield from re.findall(r"(?<!:)\b(postgrey_\w+)(?:\{([^}]*)\})?", expression)


@pytest.mark.parametrize("path", TEXTS)
def test_every_metric_that_is_named_exists(path: str, exposition: Exposition) -> None:
    named = set(re.findall(METRIC, (REPOSITORY / path).read_text()))

    assert named - exposition.names == set()


def test_every_selector_of_a_rule_finds_a_series(exposition: Exposition) -> None:
    rules = yaml.safe_load((REPOSITORY / "alerting/postgrey.rules.yml").read_text())["groups"][0]["rules"]
    asked = [selector for rule in rules for selector in selectors(rule["expr"])]
    assert asked

    for name, braces in asked:
        labels = dict(re.findall(r'(\w+)="([^"]*)"', braces))
        assert any(name == one and labels.items() <= have.items() for one, have in exposition.series), (name, labels)


def test_every_metric_of_the_exporter_is_on_the_dashboard(exposition: Exposition) -> None:
    shown = set(re.findall(METRIC, (REPOSITORY / "grafana/postgrey.json").read_text()))

    ours = {family for family in exposition.families if family.startswith("postgrey_")}
    assert {family for family in ours if not any(name.startswith(family) for name in shown)} == set()
