"""Every query of the dashboard, asked of a real Prometheus that scrapes the real exporter, returns data.

One exporter reads the bundled sample week, the other a small log whose counts are known.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from alerting.exporter import Exporter, decision_line
from alerting.shipped import ALERTING
from support.parts import Prometheus, wait_until

import postgrey_exporter.sample
from grafana.dashboard import EVERY_SERVER, Query, filled_in, panels, queries
from postgrey_exporter.decision import DECISION_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRAPE: Final = "200ms"
CONFIG: Final = f"""\
global: {{scrape_interval: {SCRAPE}, evaluation_interval: {SCRAPE}}}
rule_files: [postgrey.rules.yml]
scrape_configs:
- job_name: postgrey
  static_configs: [{{targets: ["%s", "%s"]}}]
"""
SAMPLE: Final = Path(postgrey_exporter.sample.__file__).parent
REASONS: Final = len(DECISION_LABELS)
ATTEMPTS: Final = {"example.com": 20, "example.net": 16, "example.org": 3}


def chosen(exporter: Exporter) -> dict[str, str]:
    """Return the dashboard's variables where one mail server is chosen, as Grafana escapes it."""
    return {"instance": re.escape(exporter.address).replace("\\", "\\\\")}


def week(now: float) -> Iterator[str]:
    """Yield a log: attempts from three domains by two reasons, and a pass of every kind."""
    for domain, attempts in ATTEMPTS.items():
        for number in range(attempts):
            reason = "early-retry (173s missing)" if number % 3 else "new"
            yield decision_line(now - 60, f"action=greylist, reason={reason}", number, domain)
    for reason in ("triplet found, delay=400", "client whitelist", "recipient whitelist", "client AWL", "odd"):
        yield decision_line(now - 60, f"action=pass, reason={reason}", 1, "example.com")


class Scraped(NamedTuple):
    """Prometheus, and the value of the variable ``instance`` that chooses each exporter."""

    server: Prometheus
    sample: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder: Path = tmp_path_factory.mktemp("dashboard")
    log, whitelist, ignore = folder / "mail.log", folder / "whitelist_clients", folder / "ignore"
    log.write_text("".join(week(time.time())))
    whitelist.write_text("whitelisted.example\n")
    ignore.write_text("")
    rules = {"postgrey.rules.yml": (ALERTING / "postgrey.rules.yml").read_text()}
    sample_log = folder / "sample.log"
    with sample_log.open("wb") as file:
        subprocess.run([sys.executable, "-m", "postgrey_exporter.sample"], stdout=file, check=True, timeout=60)
    with (
        Exporter([log], whitelist, ignore) as known,
        Exporter([sample_log], SAMPLE / "whitelist_clients", SAMPLE / "ignore") as sample,
        Prometheus(CONFIG % (known.address, sample.address), rules) as server,
    ):
        # A rate needs two scrapes, and the mark of a threshold one evaluation after the first.
        wait_until(lambda: len(server.query("rate(postgrey_decisions_total[2s])")) == 2 * REASONS, what="the rates")
        wait_until(lambda: server.query("ALERTS"), what="the alerts")
        yield Scraped(server, chosen(sample), chosen(known))


@pytest.mark.parametrize("query", [pytest.param(query, id=f"{query.panel}-{query.ref}") for query in queries()])
def test_a_query_returns_data_of_the_sample_week(scraped: Scraped, query: Query) -> None:
    assert scraped.server.query(filled_in(query.expression, scraped.sample))


def test_the_variable_chooses_one_mail_server_or_all(scraped: Scraped) -> None:
    (query,) = [query for query in queries() if query.panel == "Unreviewed attempts"]

    known, sample, both = (
        scraped.server.value(filled_in(query.expression, instance)) or 0
        for instance in (scraped.known, scraped.sample, EVERY_SERVER)
    )

    assert known == sum(ATTEMPTS.values())
    assert sample > 0
    assert both == known + sample


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        pytest.param("A", {"example.com": 20, "example.net": 16, "example.org": 3}, id="attempts"),
        pytest.param("B", {"example.com": 1, "example.net": 1, "example.org": 1}, id="mail servers"),
        pytest.param("C", {"example.com": 1, "example.net": 1, "example.org": 0}, id="at or above the threshold"),
    ],
)
def test_the_table_tells_of_each_domain(scraped: Scraped, ref: str, wanted: dict[str, float]) -> None:
    (query,) = [query for query in queries() if (query.panel, query.ref) == ("Domains to review", ref)]

    samples = scraped.server.query(filled_in(query.expression, scraped.known))

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
def test_a_number_is_right(scraped: Scraped, panel: str, wanted: float) -> None:
    (query,) = [query for query in queries() if query.panel == panel]

    assert scraped.server.value(filled_in(query.expression, scraped.known)) == wanted


def test_the_top_domains_count_attempts_that_a_domain_was_born_with(scraped: Scraped) -> None:
    (query,) = [query for query in queries() if query.panel == "Top domains greylisted"]

    samples = scraped.server.query(filled_in(query.expression, scraped.known))

    assert {sample.labels["domain"]: sample.value for sample in samples} == ATTEMPTS


def test_a_legend_names_only_labels_that_the_query_returns(scraped: Scraped) -> None:
    for panel in panels():
        for target in panel["targets"]:
            legend = target.get("legendFormat", "")
            names = [part.split("}}")[0] for part in legend.split("{{")[1:]]
            for sample in scraped.server.query(filled_in(target["expr"])):
                assert set(names) <= set(sample.labels), (panel["title"], legend)
