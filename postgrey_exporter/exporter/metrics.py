"""Every metric: its name, its help and its labels, made from a view."""

from __future__ import annotations

import platform
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from postgrey_exporter import __version__
from postgrey_exporter.decision import DECISION_LABELS, EARLY_RETRY, NEW
from postgrey_exporter.exporter.text_format import ByDomain, label
from postgrey_exporter.parsing.line import OUTCOMES
from postgrey_exporter.state.messages import DELAY_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from postgrey_exporter.counting.evidence import Evidence
    from postgrey_exporter.exporter.view import View
    from postgrey_exporter.lists import ListFileStatus
    from postgrey_exporter.sources import SourceStatus


def families(view: View) -> Iterator[Metric | ByDomain]:
    """Yield all metrics."""
    yield from _senders(view)
    yield from _evidence(view)
    yield from _exporter(view)
    yield from _sources(view)
    yield from _lists(view)


def _senders(view: View) -> Iterator[Metric | ByDomain]:
    snapshot = view.snapshot
    greylisted = ByDomain(
        CounterMetricFamily(
            "postgrey_greylisted",
            "Delivery attempts that postgrey greylisted, by the registrable domain of the client's name.",
        )
    )
    ineffective = ByDomain(
        CounterMetricFamily(
            "postgrey_whitelist_ineffective",
            "Attempts that postgrey greylisted although the whitelist already covered the client: postgrey has not "
            "reloaded the whitelist, or reads another file.",
        )
    )
    for counter in snapshot.domains:
        domain = label(counter.domain)
        greylisted.add(f'{domain},reason="{NEW}"', counter.new)
        greylisted.add(f'{domain},reason="{EARLY_RETRY}"', counter.early_retry)
        if counter.ineffective:
            ineffective.add(domain, counter.ineffective)
    yield greylisted
    yield ineffective
    decisions = CounterMetricFamily(
        "postgrey_decisions",
        "Decisions that postgrey logged: one for each recipient of a delivery attempt.",
        labels=("action", "reason"),
    )
    for labels in DECISION_LABELS:
        decisions.add_metric(labels, snapshot.decisions.get(labels, 0))
    yield decisions
    unreviewed = ByDomain(
        GaugeMetricFamily(
            "postgrey_unreviewed_domain",
            "Greylisted attempts inside the window, from clients that no whitelist or ignore entry covers.",
        )
    )
    for name, attempts in snapshot.unreviewed.items():
        unreviewed.add(label(name), attempts)
    yield unreviewed
    yield GaugeMetricFamily(
        "postgrey_unreviewed_domains_not_shown",
        "Domains that postgrey_unreviewed_domain leaves out because there are more than --max-domains.",
        snapshot.unreviewed_not_shown,
    )


_Kind = type[GaugeMetricFamily] | type[CounterMetricFamily]

_ON_NO_LIST: Final = "from the domain's clients that no whitelist or ignore entry covers."
_DELAY: Final = "Longest time from the first greylisting to the acceptance of a message"
_EVIDENCE: Final[tuple[tuple[str, str, Callable[[Evidence, int], float]], ...]] = (
    ("networks", "Networks (IPv4 /24, IPv6 /64) of greylisted attempts", lambda _, networks: networks),
    ("messages", "Greylisted messages", lambda known, _: known.messages),
    ("moved_messages", "Messages greylisted in two or more networks,", lambda known, _: known.moved),
    ("delivered_messages", "Messages accepted after greylisting,", lambda known, _: known.delivered),
    ("lost_messages", "Messages never accepted, last attempt more than two days ago,", lambda known, _: known.lost),
    ("worst_delay_seconds", _DELAY, lambda known, _: known.delays.most if known.delays else 0.0),
    (
        "worst_moved_delay_seconds",
        f"{_DELAY} that came from two or more networks, residential clients excluded,",
        lambda known, _: known.worst_moved,
    ),
)


def _evidence(view: View) -> Iterator[Metric | ByDomain]:
    labels = [label(domain) for domain in view.evidence]
    for name, text, value in _EVIDENCE:
        family = ByDomain(GaugeMetricFamily(f"postgrey_unreviewed_domain_{name}", f"{text} {_ON_NO_LIST}"))
        for domain, known in zip(labels, view.evidence.values(), strict=True):
            family.add(domain, value(*known))
        yield family
    counts = {bound: count for bound, count, _ in view.snapshot.deliveries}
    totals = accumulate(counts.get(bound, 0) for bound in (*DELAY_BOUNDS, inf))
    yield HistogramMetricFamily(
        "postgrey_delivery_delay_seconds",
        "Time from the first greylisting of a message to its acceptance, over all networks that it came from.",
        buckets=list(zip([*map(str, DELAY_BOUNDS), "+Inf"], totals, strict=True)),
        sum_value=sum(seconds for _, _, seconds in view.snapshot.deliveries),
    )
    yield CounterMetricFamily(
        "postgrey_exporter_messages_given_up",
        "Messages that the exporter stopped following because the state held too many.",
        view.snapshot.given_up,
    )


def _exporter(view: View) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "postgrey_exporter_build",
        "Versions of the exporter and of the Python that runs it.",
        {"version": __version__, "python_version": platform.python_version()},
    )
    known, most = view.snapshot, view.max_domains
    folded = "Sender domains of the window that have no label of their own; they count as domain 'other'."
    for name, text, value in (
        ("state_up", "Whether the last commit to the state succeeded (1) or failed (0).", view.state_up),
        ("state_size_bytes", "Size of the state file on disk, including its write-ahead log.", view.state_bytes),
        ("domain_labels", "Sender domains that have a label of their own.", known.labels),
        ("domain_labels_limit", "Most sender domains that may have a label of their own (--max-domains).", most),
        ("domains_folded", folded, known.folded),
    ):
        yield GaugeMetricFamily(f"postgrey_exporter_{name}", text, value)


_SOURCES: Final[tuple[tuple[_Kind, str, str, Callable[[SourceStatus], float]], ...]] = (
    (GaugeMetricFamily, "up", "Whether the exporter can read the log or journal (1) or not (0).", lambda one: one.up),
    (
        GaugeMetricFamily,
        "unread_bytes",
        "Bytes that the log holds and the exporter has not read yet; an unread archive has its compressed size.",
        lambda one: one.unread_bytes,
    ),
    (CounterMetricFamily, "rotations", "Rotations of the log that the exporter saw.", lambda one: one.rotations),
    (
        CounterMetricFamily,
        "lost_bytes",
        "Bytes that were written to the log and were gone before the exporter read them.",
        lambda one: one.lost_bytes,
    ),
    (
        CounterMetricFamily,
        "gaps",
        "Times that an unknown number of lines may have been gone before the exporter read them.",
        lambda one: one.gaps,
    ),
    (
        GaugeMetricFamily,
        "unreadable_files",
        "Rotated files that the exporter can't read.",
        lambda one: len(one.unreadable),
    ),
)


def _sources(view: View) -> Iterator[Metric]:
    info = InfoMetricFamily(
        "postgrey_exporter_source", "Log or journal that the exporter reads, and why.", labels=("source",)
    )
    last_event = GaugeMetricFamily(
        "postgrey_exporter_source_last_event_timestamp_seconds",
        "Time of the latest decision in the log or journal, by its own time stamp.",
        labels=("source",),
    )
    lines = CounterMetricFamily(
        "postgrey_exporter_source_lines",
        "Lines read, by outcome: decision; no_decision (postgrey says something else); foreign (another program's); "
        "malformed (postgrey's, not understood); near_miss (a decision's words behind no known header).",
        labels=("source", "outcome"),
    )
    future = CounterMetricFamily(
        "postgrey_exporter_source_future_timestamps",
        "Decisions stamped more than a day ahead of the clock; they count as of when the exporter read them.",
        labels=("source",),
    )
    snapshot = view.snapshot
    for name, status in view.sources.items():
        info.add_metric((name,), {"reason": status.reason})
        if name in snapshot.last_events:
            last_event.add_metric((name,), snapshot.last_events[name])
        for outcome in OUTCOMES:
            lines.add_metric((name, outcome), snapshot.lines.get((name, outcome), 0))
        future.add_metric((name,), snapshot.future.get(name, 0))
    yield from (info, last_event, lines, future)
    for kind, name, text, value in _SOURCES:
        family = kind(f"postgrey_exporter_source_{name}", text, labels=("source",))
        for source, status in view.sources.items():
            family.add_metric((source,), value(status))
        yield family


_LISTS: Final[tuple[tuple[_Kind, str, str, Callable[[ListFileStatus], float | None]], ...]] = (
    (GaugeMetricFamily, "up", "Whether the exporter can read the list file (1) or not (0).", lambda one: one.up),
    (GaugeMetricFamily, "entries", "Entries of the list file that are in force.", lambda one: one.entries),
    (
        GaugeMetricFamily,
        "warnings",
        "Lines of the list file that don't do what they say.",
        lambda one: len(one.warnings),
    ),
    (
        GaugeMetricFamily,
        "last_change_timestamp_seconds",
        "Time of the last change of the list file.",
        lambda one: one.last_change,
    ),
    (
        CounterMetricFamily,
        "undecided",
        "Times that the exporter gave up matching a client's name against a pattern of the list file.",
        lambda one: one.undecided,
    ),
)


def _lists(view: View) -> Iterator[Metric]:
    for kind, name, text, value in _LISTS:
        family = kind(f"postgrey_exporter_list_{name}", text, labels=("list", "file"))
        for status in view.lists:
            number = value(status)
            if number is not None:
                family.add_metric((status.list, str(status.path)), number)
        yield family
