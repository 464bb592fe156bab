"""Every metric: its name, its help and its labels, made from a view."""

from __future__ import annotations

import platform
from math import isinf
from typing import TYPE_CHECKING, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from postgrey_exporter import __version__
from postgrey_exporter.decision import DECISION_LABELS, EARLY_RETRY, NEW
from postgrey_exporter.exporter.text_format import ByDomain, label
from postgrey_exporter.parsing.parser import OUTCOMES
from postgrey_exporter.state.messages import DELAY_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from postgrey_exporter.counting.evidence import Evidence
    from postgrey_exporter.exporter.view import View


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
            "Greylisted attempts of clients that the whitelist covered already: postgrey has not reloaded it, or "
            "reads another file.",
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
        "Decisions of postgrey: one for each recipient of a delivery attempt.",
        labels=("action", "reason"),
    )
    for labels in DECISION_LABELS:
        decisions.add_metric(labels, snapshot.decisions.get(labels, 0))
    yield decisions
    unreviewed = ByDomain(
        GaugeMetricFamily(
            "postgrey_unreviewed_domain",
            "Greylisted attempts inside the window from clients that no whitelist or ignore entry covers.",
        )
    )
    for name, attempts in snapshot.unreviewed.items():
        unreviewed.add(label(name), attempts)
    yield unreviewed
    yield GaugeMetricFamily(
        "postgrey_unreviewed_domains_not_shown",
        "Domains beyond --max-domains that postgrey_unreviewed_domain leaves out; those with the fewest attempts.",
        snapshot.unreviewed_not_shown,
    )


_EVIDENCE: Final[tuple[tuple[str, str, Callable[[Evidence, int], float]], ...]] = (
    ("networks", "Client networks (/24, /64) of an unreviewed domain.", lambda _, networks: networks),
    ("messages", "Greylisted messages of an unreviewed domain.", lambda known, _: known.messages),
    (
        "moved_messages",
        "Messages of an unreviewed domain that were greylisted from two or more networks.",
        lambda known, _: known.moved,
    ),
    ("delivered_messages", "Messages of an unreviewed domain that were accepted.", lambda known, _: known.delivered),
    ("lost_messages", "Messages of an unreviewed domain that were never accepted.", lambda known, _: known.lost),
    (
        "worst_delay_seconds",
        "Longest time from the first greylisting of a message of an unreviewed domain to its acceptance.",
        lambda known, _: known.delays.most if known.delays else 0.0,
    ),
    (
        "worst_moved_delay_seconds",
        "The same of the messages that were greylisted from two or more networks, customers' lines aside.",
        lambda known, _: known.worst_moved,
    ),
)


def _evidence(view: View) -> Iterator[Metric | ByDomain]:
    labels = [label(domain) for domain in view.evidence]
    for name, text, value in _EVIDENCE:
        family = ByDomain(GaugeMetricFamily(f"postgrey_unreviewed_domain_{name}", text))
        for domain, known in zip(labels, view.evidence.values(), strict=True):
            family.add(domain, value(*known))
        yield family
    total, seconds = 0, 0.0
    counts = {bound: (count, spent) for bound, count, spent in view.snapshot.deliveries}
    buckets: list[tuple[str, float]] = []
    for bound in (*DELAY_BOUNDS, float("inf")):
        count, spent = counts.get(bound, (0, 0.0))
        total += count
        seconds += spent
        buckets.append(("+Inf" if isinf(bound) else str(bound), total))
    yield HistogramMetricFamily(
        "postgrey_delivery_delay_seconds",
        "Time from the first greylisting of a message to its acceptance, whatever the network.",
        buckets=buckets,
        sum_value=seconds,
    )
    yield CounterMetricFamily(
        "postgrey_exporter_messages_given_up",
        "Messages that were no longer followed because there were too many.",
        view.snapshot.given_up,
    )


def _exporter(view: View) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "postgrey_exporter_build",
        "Version of the exporter and of Python.",
        {"version": __version__, "python_version": platform.python_version()},
    )
    yield GaugeMetricFamily(
        "postgrey_exporter_state_up", "Whether the last commit to the state succeeded.", view.state_up
    )
    yield GaugeMetricFamily(
        "postgrey_exporter_state_size_bytes",
        "Size of the state on disk, its write-ahead log included.",
        view.state_bytes,
    )
    yield GaugeMetricFamily(
        "postgrey_exporter_domain_labels", "Domains that have a label of their own.", view.snapshot.labels
    )
    yield GaugeMetricFamily(
        "postgrey_exporter_domain_labels_limit", "How many domains may have a label: --max-domains.", view.max_domains
    )
    yield GaugeMetricFamily(
        "postgrey_exporter_domains_folded",
        "Domains of the window that have no label of their own and are counted as domain 'other'.",
        view.snapshot.folded,
    )


_SOURCE_GAUGES: Final = (
    ("up", "Whether the source could be read."),
    ("unread_bytes", "Bytes known to be there and not read yet; compressed size for an unread archive."),
    ("unreadable_files", "Rotated files that can't be read."),
)


def _sources(view: View) -> Iterator[Metric]:
    up, unread, unreadable = (
        GaugeMetricFamily(f"postgrey_exporter_source_{name}", text, labels=("source",))
        for name, text in _SOURCE_GAUGES
    )
    last_event = GaugeMetricFamily(
        "postgrey_exporter_source_last_event_timestamp_seconds",
        "Time of the latest decision, by the log's own stamp.",
        labels=("source",),
    )
    lines = CounterMetricFamily(
        "postgrey_exporter_source_lines",
        "Lines read: a decision, postgrey's but none, another program's, or postgrey's and not understood.",
        labels=("source", "outcome"),
    )
    rotations = CounterMetricFamily(
        "postgrey_exporter_source_rotations", "Rotations of the log that were seen.", labels=("source",)
    )
    lost = CounterMetricFamily(
        "postgrey_exporter_source_lost_bytes",
        "Bytes known to have been written and gone before they were read.",
        labels=("source",),
    )
    gaps = CounterMetricFamily(
        "postgrey_exporter_source_gaps",
        "Times that lines may have been lost unread and nobody can tell how many: the journal was vacuumed.",
        labels=("source",),
    )
    future = CounterMetricFamily(
        "postgrey_exporter_source_future_timestamps",
        "Decisions stamped more than a day ahead of the clock, which count as of when they were read.",
        labels=("source",),
    )
    info = InfoMetricFamily("postgrey_exporter_source", "Which sources are read, and why.", labels=("source",))
    for name, status in view.sources.items():
        label = (name,)
        info.add_metric(label, {"reason": status.reason})
        gaps.add_metric(label, status.gaps)
        up.add_metric(label, status.up)
        unread.add_metric(label, status.unread_bytes)
        unreadable.add_metric(label, len(status.unreadable))
        if name in view.snapshot.last_events:
            last_event.add_metric(label, view.snapshot.last_events[name])
        for outcome in OUTCOMES:
            lines.add_metric((name, outcome), view.snapshot.lines.get((name, outcome), 0))
        future.add_metric(label, view.snapshot.future.get(name, 0))
        rotations.add_metric(label, status.rotations)
        lost.add_metric(label, status.lost_bytes)
    yield from (info, up, last_event, unread, lines, future, rotations, lost, gaps, unreadable)


def _lists(view: View) -> Iterator[Metric]:
    labels = ("list", "file")
    up = GaugeMetricFamily("postgrey_exporter_list_up", "Whether the list file could be read.", labels=labels)
    entries = GaugeMetricFamily("postgrey_exporter_list_entries", "Entries of the list file in force.", labels=labels)
    warnings = GaugeMetricFamily(
        "postgrey_exporter_list_warnings", "Lines of the list file that don't do what they seem to.", labels=labels
    )
    changed = GaugeMetricFamily(
        "postgrey_exporter_list_last_change_timestamp_seconds", "When the list file last changed.", labels=labels
    )
    undecided = CounterMetricFamily(
        "postgrey_exporter_list_undecided",
        "Times that matching a client's name against a pattern of the list file was given up: it counts as no match.",
        labels=labels,
    )
    for status in view.lists:
        label = (status.list, str(status.path))
        undecided.add_metric(label, status.undecided)
        up.add_metric(label, status.up)
        entries.add_metric(label, status.entries)
        warnings.add_metric(label, len(status.warnings))
        if status.last_change is not None:
            changed.add_metric(label, status.last_change)
    yield from (up, entries, warnings, changed, undecided)
