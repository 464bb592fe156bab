"""Every query of the dashboard, asked of a real Prometheus that scrapes the real exporter, returns data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest
from alerting.exporter import Exporter, decision_line
from alerting.shipped import ALERTING
from parts import Prometheus, wait_until

from grafana.dashboard import Query, filled_in, panels, queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRAPE: Final = "200ms"
CONFIG: Final = f"""\
global: {{scrape_interval: {SCRAPE}, evaluation_interval: {SCRAPE}}}
rule_files: [postgrey.rules.yml]
scrape_configs:
- job_name: postgrey
  static_configs: [{{targets: ["%s"]}}]
"""
ATTEMPTS: Final = {"example.com": 20, "example.net": 16, "example.org": 3}


def week(now: float) -> Iterator[str]:
    """Yield a log: attempts from three domains by two reasons, and a pass of every kind."""
    for domain, attempts in ATTEMPTS.items():
        for number in range(attempts):
            reason = "early-retry (173s missing)" if number % 3 else "new"
            yield decision_line(now - 60, f"action=greylist, reason={reason}", number, domain)
    for reason in ("triplet found, delay=400", "client whitelist", "recipient whitelist", "client AWL", "odd"):
        yield decision_line(now - 60, f"action=pass, reason={reason}", 1, "example.com")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder: Path = tmp_path_factory.mktemp("dashboard")
    log, whitelist, ignore = folder / "mail.log", folder / "whitelist_clients", folder / "ignore"
    log.write_text("".join(week(time.time())))
    whitelist.write_text("whitelisted.example\n")
    ignore.write_text("")
    rules = {"postgrey.rules.yml": (ALERTING / "postgrey.rules.yml").read_text()}
    with Exporter([log], whitelist, ignore) as exporter, Prometheus(CONFIG % exporter.address, rules) as server:
        # A rate needs two scrapes, and the mark of a threshold one evaluation after the first.
        wait_until(lambda: server.query("rate(postgrey_decisions_total[2s])"), what="a rate")
        wait_until(lambda: server.query("ALERTS"), what="the alerts")
        yield server


@pytest.mark.parametrize("query", [pytest.param(query, id=f"{query.panel}-{query.ref}") for query in queries()])
def test_a_query_returns_data(prometheus: Prometheus, query: Query) -> None:
    assert prometheus.query(filled_in(query.expression))


def test_one_mail_server_is_chosen_by_its_instance(prometheus: Prometheus) -> None:
    (table, *_) = [query for query in queries() if query.panel == "Domains to review"]

    assert prometheus.query(filled_in(table.expression, {"instance": r"127\\.0\\.0\\.1:\\d+"}))
    assert not prometheus.query(filled_in(table.expression, {"instance": r"192\\.0\\.2\\.1:10123"}))


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        pytest.param("A", {"example.com": 20, "example.net": 16, "example.org": 3}, id="attempts"),
        pytest.param("B", {"example.com": 1, "example.net": 1, "example.org": 1}, id="mail servers"),
        pytest.param("C", {"example.com": 1, "example.net": 1, "example.org": 0}, id="at or above the threshold"),
    ],
)
def test_the_table_tells_of_each_domain(prometheus: Prometheus, ref: str, wanted: dict[str, float]) -> None:
    (query,) = [query for query in queries() if (query.panel, query.ref) == ("Domains to review", ref)]

    samples = prometheus.query(filled_in(query.expression))

    assert {sample.labels["domain"]: sample.value for sample in samples} == wanted


@pytest.mark.parametrize(
    ("panel", "wanted"),
    [
        pytest.param("To decide", 2, id="domains at or above the threshold"),
        pytest.param("Unreviewed attempts", 39, id="attempts"),
        pytest.param("Not shown", 0, id="domains not shown"),
        pytest.param("Whitelist not obeyed", 0, id="attempts despite the whitelist"),
    ],
)
def test_a_number_is_right(prometheus: Prometheus, panel: str, wanted: float) -> None:
    (query,) = [query for query in queries() if query.panel == panel]

    assert prometheus.value(filled_in(query.expression)) == wanted


def test_the_top_domains_count_attempts_that_a_domain_was_born_with(prometheus: Prometheus) -> None:
    (query,) = [query for query in queries() if query.panel == "Top domains greylisted"]

    samples = prometheus.query(filled_in(query.expression))

    assert {sample.labels["domain"]: sample.value for sample in samples} == ATTEMPTS


def test_a_legend_names_only_labels_that_the_query_returns(prometheus: Prometheus) -> None:
    for panel in panels():
        for target in panel["targets"]:
            legend = target.get("legendFormat", "")
            names = [part.split("}}")[0] for part in legend.split("{{")[1:]]
            for sample in prometheus.query(filled_in(target["expr"])):
                assert set(names) <= set(sample.labels), (panel["title"], legend)
