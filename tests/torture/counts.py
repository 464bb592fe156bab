"""What the exporter has counted, compared with what was written."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from pathlib import Path

    from torture.writer import Writer

_SAMPLE = re.compile(r"(\w+)(?:\{([^}]*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(exposition: str) -> Samples:
    """Return the samples of a text exposition by name and labels."""
    found: Samples = {}
    for line in exposition.splitlines():
        if not line.startswith("#") and (match := _SAMPLE.fullmatch(line)):
            found[match[1], tuple(sorted(_LABEL.findall(match[2] or "")))] = float(match[3])
    return found


@dataclass(slots=True)
class Difference:
    """What a comparison found; nothing where all is well."""

    lost: int = 0
    doubled: int = 0
    words: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.words)

    def __str__(self) -> str:
        return "\n".join([f"{self.lost} clients lost, {self.doubled} doubled", *self.words])


def compare(writer: Writer, exposition: str, state: Path, source: str, *, gaps: bool = False) -> Difference:
    """Compare the metrics, and the state client by client, with what a writer wrote.

    With ``gaps`` it may be said that something could be missing.
    """
    difference = Difference()
    found = samples(exposition)
    for metric, labels, expected in (
        ("postgrey_greylisted_total", ("domain", "reason"), writer.greylisted),
        ("postgrey_decisions_total", ("action", "reason"), writer.decisions),
    ):
        counted = Counter(
            {
                tuple(dict(key)[label] for label in labels): int(value)
                for (name, key), value in found.items()
                if name == metric
            }
        )
        difference.words += _differences(metric, Counter(expected), +counted)
    lines = {
        dict(key)["outcome"]: int(value)
        for (name, key), value in found.items()
        if name == "postgrey_exporter_source_lines_total"
    }
    difference.words += _differences("postgrey_exporter_source_lines_total", writer.lines, +Counter(lines))
    for name in ("lost_bytes_total", "gaps_total", "unreadable_files"):
        value = found["postgrey_exporter_source_" + name, (("source", source),)]
        if value and not (gaps and name == "gaps_total"):
            difference.words.append(f"postgrey_exporter_source_{name} is {value:g}")
    _compare_clients(writer, state, difference)
    return difference


def _compare_clients(writer: Writer, state: Path, difference: Difference) -> None:
    with closing(StateReader(state)) as reader:
        attempts = Counter({client.name: new + early_retry for client, new, early_retry in reader.clients(0)})
    difference.lost = len(writer.clients - attempts.keys())
    difference.doubled = sum(count > 1 for count in attempts.values())
    strange = sorted(attempts.keys() - writer.clients)
    if strange:
        difference.words.append(f"clients that were never written: {strange[:5]}")


def _differences(metric: str, expected: Counter[Any], counted: Counter[Any]) -> list[str]:
    return [
        f"{metric} {key}: {counted[key]} counted, {expected[key]} written"
        for key in sorted(expected.keys() | counted.keys())
        if expected[key] != counted[key]
    ]
