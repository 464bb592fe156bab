"""The shipped dashboard as Grafana would read it: nothing overlaps, nothing is left to defaults by oversight."""

from __future__ import annotations

import importlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grafana.dashboard import DASHBOARD, GRAFANA, panels, queries

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 24

PANELS = [pytest.param(panel, id=panel["title"]) for panel in panels()]


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    return {
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    }


def test_no_panel_lies_over_another_or_beyond_the_edge() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        for cell in cells(panel):
            assert cell not in taken, f"{panel['title']} lies over {taken.get(cell)}"
            assert cell[0] < COLUMNS
            taken[cell] = panel["title"]


def test_no_gap_between_the_panels() -> None:
    taken = set[tuple[int, int]]().union(*map(cells, DASHBOARD["panels"]))

    height = max(y for _, y in taken) + 1
    assert len(taken) == COLUMNS * height


@pytest.mark.parametrize("key", ["id", "title"])
def test_panels_are_told_apart_by(key: str) -> None:
    values = [panel[key] for panel in DASHBOARD["panels"]]

    assert sorted(set(values)) == sorted(values)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_unit_and_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {json.dumps(part["datasource"]) for part in (panel, *panel["targets"])} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }


@pytest.mark.parametrize("query", [pytest.param(query, id=f"{query.panel}-{query.ref}") for query in queries()])
def test_a_query_is_limited_to_the_chosen_mail_servers(query: Any) -> None:
    assert 'instance=~"$instance"' in query.expression or "ALERTS" in query.expression


def test_one_chooses_data_source_mail_servers_and_threshold() -> None:
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}

    assert list(variables) == ["datasource", "instance", "threshold"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert (variables["instance"]["multi"], variables["instance"]["allValue"]) == (True, ".*")
    assert variables["threshold"]["current"]["value"] == "15"


def test_the_table_of_domains_begins_with_the_most_attempts() -> None:
    (table,) = [panel for panel in panels() if panel["type"] == "table" and panel["title"] == "Domains to review"]
    (renamed,) = [one["options"]["renameByName"] for one in table["transformations"] if one["id"] == "organize"]
    attempts = renamed["Value #A"]

    assert table["targets"][0]["expr"].startswith("sum by (domain) (postgrey_unreviewed_domain")
    assert table["options"]["sortBy"] == [{"displayName": attempts, "desc": True}]


def test_provisioning_points_to_the_folder_that_the_readme_fills() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/postgrey.yml").read_text())["providers"]
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]

    assert provider["type"] == "file"
    assert f"postgrey.json {provider['options']['path']}/postgrey.json" in (GRAFANA / "README.md").read_text()
    assert source["type"] == "prometheus"


def changed(given: Any, understood: Any, path: str = "") -> Iterator[str]:
    """Yield where ``understood`` lacks something of ``given`` or has another value; defaults added to it are fine."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key in understood:
                yield from changed(value, understood[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(given, list):
        for number, (one, other) in enumerate(itertools.zip_longest(given, understood)):
            yield from changed(one, other, f"{path}[{number}]")
    elif given != understood:
        yield path


@pytest.mark.filterwarnings("ignore::DeprecationWarning:grafana_foundation_sdk")
def test_grafana_knows_every_key() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="needs pip install grafana-foundation-sdk==0.0.21")
    importlib.import_module("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    encoder: Any = importlib.import_module("grafana_foundation_sdk.cog.encoder").JSONEncoder
    model: Any = importlib.import_module("grafana_foundation_sdk.models.dashboard").Dashboard

    understood = json.loads(encoder().encode(model.from_json(DASHBOARD)))

    # The id is null so that Grafana gives one.
    assert list(changed(DASHBOARD, understood)) == [".id"]


def test_every_unit_is_one_of_grafanas() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="needs pip install grafana-foundation-sdk==0.0.21")
    units: Any = importlib.import_module("grafana_foundation_sdk.models.units")
    known = {value for value in vars(units).values() if isinstance(value, str)}

    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in panels()} | {
        one["value"]
        for panel in panels()
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "unit"
    }
    assert used <= known
