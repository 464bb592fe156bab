"""The exposition as Prometheus gets it: whole, well-formed in both formats, and the same as the golden file."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from support.loglines import FOREIGN, decision
from support.parts import require
from support.running import NOW, WINDOW, Files

from postgrey_exporter.decision import DECISION_LABELS
from postgrey_exporter.exporter.evidence_cache import judged_at
from postgrey_exporter.exporter.metrics import families
from postgrey_exporter.exporter.text_format import exposition, label
from postgrey_exporter.exporter.view import View, make_view
from postgrey_exporter.parsing.line import OUTCOMES
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client import Metric

    from postgrey_exporter.pipeline.ingest import Ingest

MAX_DOMAINS: Final = 2
LISTS_CHANGED: Final = NOW - 3600


def message(moment: float, name: str, address: str, reason: str = "new", action: str = "greylist") -> str:
    return decision(moment, name, address, action=action, reason=reason)


def lines() -> Iterator[str]:
    """Yield lines in which everything occurs that the exposition can show."""
    pool = "out.mail.example.com"
    yield message(NOW - 9 * 86400, pool, "192.0.2.1")
    for number in range(5):
        yield message(NOW - 7200 + number, pool, f"198.18.{number}.1")
    yield message(NOW - 7100, pool, "198.18.4.1", "early-retry (200s missing)")
    yield message(NOW - 6000, pool, "198.18.4.1", "triplet found, delay=1196", "pass")
    yield message(NOW - 5000, pool, "198.18.4.1", "triplet found", "pass")
    yield message(NOW - 4000, "mx.example.net", "203.0.113.1")
    yield message(NOW - 60, "mx.example.net", "203.0.113.1", "early-retry (10s missing)")
    yield message(NOW - 50, "mail.example.org", "203.0.113.2")
    yield message(NOW - 40, "mx.google.com", "203.0.113.3")
    yield message(NOW - 30, "mx.outlook.com", "203.0.113.4")
    yield message(NOW - 20, "unknown", "198.51.100.1")
    for reason in ("client whitelist", "recipient whitelist", "client AWL", "client whitelisted by dnswl.org (3/x)"):
        yield message(NOW - 10, "mx.example.net", "203.0.113.1", reason, "pass")
    yield "Jul  3 09:46:40 mx1 postgrey[12]: whitelisted: mx.example.net[203.0.113.1]\n"
    yield "Jul  3 09:46:40 mx1 postgrey[12]: action=greylist\n"
    yield FOREIGN


@pytest.fixture
def view(tmp_path: Path) -> View:
    """Return what is shown of logs that have been read to their ends."""
    files = Files(tmp_path)
    files.append(*lines())
    files.whitelist.write_text("mx.example.net\n.google.com\n")
    files.ignore.write_text("# reviewed\nexample.org\n")
    for path in (files.whitelist, files.ignore):
        os.utime(path, (LISTS_CHANGED, LISTS_CHANGED))
    sources = [FileSource(log, WINDOW.seconds) for log in (files.log, tmp_path / "missing.log")]
    with files.ingest(*sources, max_domains=MAX_DOMAINS) as ingest:
        ingest.advance(NOW)
        with closing(StateReader(files.state, max_domains=MAX_DOMAINS)) as reader:
            return view_of(ingest, reader)


def view_of(ingest: Ingest, reader: StateReader) -> View:
    snapshot = reader.snapshot()
    return make_view(ingest, snapshot, reader.evidence(snapshot.unreviewed, judged_at(NOW)), state_up=True)


Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def values(families: Iterable[Metric]) -> Values:
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def text_of(view: View, *others: Collector) -> bytes:
    return exposition(families(view), generate_latest, *others)


def text_values(view: View, *others: Collector) -> Values:
    return values(text_string_to_metric_families(text_of(view, *others).decode()))


def openmetrics_values(view: View, *others: Collector) -> Values:
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    text = exposition(families(view), encode, *others).decode()
    return values(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def test_the_exposition_is_the_golden_one(view: View, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    text = text_of(view).decode().replace(str(tmp_path), "/var/log")
    text = re.sub(r'python_version="[^"]+"', 'python_version="3"', text)
    text = re.sub(r"(?m)^(postgrey_exporter_state_size_bytes) .*", r"\1 4096.0", text)

    golden("metrics.prom", text)


def test_promtool_has_nothing_to_say_about_the_metrics(view: View) -> None:
    promtool = require("promtool", "prometheus")

    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=text_of(view),
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_both_formats_are_well_formed_and_say_the_same(view: View) -> None:
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    text = text_values(view)

    assert text == openmetrics_values(view)
    assert len(text) > 60
    assert openmetrics_values(view, process).keys() > text.keys()
    assert text_values(view, process).keys() > text.keys()


def test_every_metric_begins_with_the_projects_name_and_has_a_help_text(view: View) -> None:
    shown = list(text_string_to_metric_families(text_of(view).decode()))

    assert [family.name for family in shown if not family.name.startswith("postgrey_")] == []
    assert [family.name for family in shown if not family.documentation.endswith(".")] == []
    assert len({family.name for family in shown}) == len(shown)


def test_a_new_exporter_shows_all_decisions_at_zero(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.log.touch()
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        shown = text_values(view_of(ingest, reader))

    decisions = {labels: value for (name, labels), value in shown.items() if name == "postgrey_decisions_total"}
    assert decisions == {frozenset({("action", action), ("reason", reason)}): 0 for action, reason in DECISION_LABELS}
    lines_read = {labels for name, labels in shown if name == "postgrey_exporter_source_lines_total"}
    assert len(lines_read) == len(OUTCOMES)
    assert not any(name in {"postgrey_unreviewed_domain", "postgrey_greylisted_total"} for name, _ in shown)


class Fixed(Collector):
    """Collects one metric."""

    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> Iterable[Metric]:
        return (self.family,)


HOSTILE: Final = 'x"} 1\npostgrey_exporter_state_up 0\n\\'


def test_a_hostile_name_stays_inside_its_label(tmp_path: Path) -> None:
    (tmp_path / HOSTILE).mkdir()
    files = Files(tmp_path / HOSTILE)
    files.append(message(NOW, 'mail"}.example.com', "192.0.2.1"), message(NOW, "mail.exa\\mple.com", "192.0.2.1"))
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        shown = view_of(ingest, reader)
        text = text_values(shown)
        assert text == openmetrics_values(shown)

    assert text["postgrey_exporter_source_up", frozenset({("source", str(files.log))})] == 1
    assert text["postgrey_exporter_state_up", frozenset()] == 1
    greylisted = {dict(labels)["domain"] for name, labels in text if name == "postgrey_greylisted_total"}
    assert greylisted == {"unknown"}


def test_a_label_is_written_as_prometheus_clients_own_are() -> None:
    family = GaugeMetricFamily("name", "Help.", labels=("domain",))
    family.add_metric((HOSTILE,), 1)
    registry = CollectorRegistry()
    registry.register(Fixed(family))

    assert f"name{{{label(HOSTILE)}}} 1.0\n" in generate_latest(registry).decode()
