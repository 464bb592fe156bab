"""The shipped dashboard as data: its panels, and its queries as Grafana would send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GRAFANA: Final = Path(__file__).parents[2] / "grafana"
DASHBOARD: Final[dict[str, Any]] = json.loads((GRAFANA / "postgrey.json").read_text())

EVERY_SERVER: Final = {"instance": ".*"}


class Query(NamedTuple):
    """One query of a panel, or that of an annotation."""

    panel: str
    ref: str
    expression: str
    instant: bool


def panels() -> list[dict[str, Any]]:
    """Return the panels without the rows that head them."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Yield every query, with its variables still in it."""
    for panel in panels():
        for target in panel["targets"]:
            yield Query(panel["title"], target["refId"], target["expr"], target["instant"])
    for annotation in DASHBOARD["annotations"]["list"]:
        if "expr" in annotation:
            yield Query(annotation["name"], "annotation", annotation["expr"], instant=False)


def filled_in(expression: str, variables: Mapping[str, str] = EVERY_SERVER) -> str:
    """Return the query with its variables replaced, and the threshold and intervals that Grafana fills in."""
    values = {"threshold": "15", "__rate_interval": "2s", "__range": "7d"} | dict(variables)
    for name in sorted(values, key=len, reverse=True):
        expression = expression.replace(f"${name}", values[name])
    return expression
