"""What a Nagios or Icinga plugin says of the standings: a status, one line, performance data and the evidence.

Ranges, statuses and the form of the text follow the Monitoring Plugins Development Guidelines. Which standings
there are, and what hindered looking, is found out by the caller; nothing here reads, prints or exits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.summary.domain import DomainStanding

MAX_OUTPUT: Final = 8000
"""Bytes of a result: Nagios keeps 8 KiB of a plugin's output (``MAX_PLUGIN_OUTPUT_LENGTH``) and cuts the rest."""
MAX_SERIES: Final = 50
"""Domains in the performance data: graphing tools keep a file for each label, and senders choose the labels."""

_MAX_PERFDATA: Final = 3000
_MAX_NAMES: Final = 2000
_MAX_REASON: Final = 400
_MAX_PROBLEMS: Final = 5
_CLOSING: Final = 200
"""Bytes kept free for the lines that say what was left out."""

_COUNT: Final = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_RANGE: Final = re.compile(rf"(?P<inside>@?)(?:(?P<start>~|-?{_COUNT}|):)?(?P<end>-?{_COUNT}|)")


class RangeError(PostgreyExporterError, ValueError):
    """A threshold is neither a count nor a Nagios range."""


class Status(IntEnum):
    """A plugin's exit status."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class PluginResult:
    """What a plugin prints, and exits with."""

    status: Status
    text: str
    """ASCII, at most `MAX_OUTPUT` bytes, no newline at the end; only its first line holds a ``|``."""


@dataclass(frozen=True, slots=True)
class Range:
    """The counts of attempts that alert. Written out it is a Nagios range that means the same for whole counts."""

    start: float
    end: float
    inside: bool
    """Whether the counts from ``start`` to ``end``, both included, alert; else all others do."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a threshold.

        A plain count N means "N attempts or more", as in the article's plugin. Whatever holds ``:``, ``@`` or ``~``
        is a Nagios range: alert outside ``start:end``, or with ``@`` inside; ``~`` is minus infinity, an end left
        out is infinity, a start left out is 0. Raises `RangeError`.
        """
        bare = text.strip()
        if re.fullmatch(_COUNT, bare):
            return cls(float(bare), math.inf, inside=True)
        match = _RANGE.fullmatch(bare)
        if match is None or not re.search(r"[0-9~]", bare):
            raise RangeError(
                f"{text!r} is no threshold; write a count like 15, or a Nagios range like 10:20, ~:14 or @5:9"
            )
        start = -math.inf if match["start"] == "~" else float(match["start"] or 0)
        end = float(match["end"] or math.inf)
        if start > end:
            raise RangeError(f"{text!r} is no Nagios range: it starts at {_number(start)} and ends at {_number(end)}")
        return cls(start, end, inside=bool(match["inside"]))

    def alerts(self, count: int) -> bool:
        """Tell whether this count alerts."""
        return (self.start <= count <= self.end) == self.inside

    def keeps_alerting(self, count: int) -> bool:
        """Tell whether this count and every higher one alert: attempts that were not seen can't call it off."""
        if self.inside:
            return self.start <= count and math.isinf(self.end)
        return max(count, math.ceil(max(self.start, 0))) > self.end

    def __str__(self) -> str:
        """Return the range, as a plain number where only an upper limit counts: Icinga reads nothing else."""
        if self.inside and self.start > 0 and math.isinf(self.end):
            return str(math.ceil(self.start) - 1)
        end = "" if math.isinf(self.end) else _number(self.end)
        if not self.inside and self.start <= 0 <= self.end and end:
            return end
        start = "~" if math.isinf(self.start) else _number(self.start)
        return f"{'@' if self.inside else ''}{start}:{end}"


def check(
    standings: Iterable[DomainStanding],
    warning: Range,
    critical: Range | None = None,
    problems: Sequence[str] = (),
) -> PluginResult:
    """Hold the domains that need a decision against the thresholds.

    ``problems`` say which attempts could not be counted. With any, the result is never OK: what already alerts, and
    would with more attempts too, is reported as that with the problems below it; all else is UNKNOWN. A list that
    could not be read makes every count doubtful: that is `unknown`, no problem of this kind.
    """
    unreviewed = sorted((s for s in standings if s.to_review), key=lambda s: (-s.to_review, s.domain))
    levels = [(s, _level(s.to_review, warning, critical, certain=bool(problems))) for s in unreviewed]
    alerting = [(s, level) for s, level in levels if level is not Status.OK]
    if not alerting and problems:
        return unknown(*problems)
    status = max((level for _, level in alerting), default=Status.OK)
    words = f"Whitelist or ignore these senders: {_names([s for s, _ in alerting])}" if alerting else _ALL_WELL
    if problems:
        words += f" (incomplete: {count(len(problems), 'problem')})"
    perfdata, left_out = _perfdata(unreviewed, warning, critical)
    head = f"POSTGREY {status.name} - {words}{' | ' if perfdata else ''}{perfdata}"
    closing = []
    if len(unreviewed) > len(alerting):
        closing.append(f"{count(len(unreviewed) - len(alerting), 'unreviewed domain')} within the thresholds")
    if left_out:
        closing.append(f"{count(left_out, 'domain')} left out of the performance data, the smallest")
    evidence = [_evidence(s, level) for s, level in alerting]
    return PluginResult(status, _fitted([head, *_shown(problems)], evidence, closing))


def unknown(reason: str, *more: str) -> PluginResult:
    """Say what kept the plugin from looking; further reasons follow on lines of their own."""
    text = "\n".join([f"POSTGREY UNKNOWN - {_clean(reason)}", *_shown(more)])
    return PluginResult(Status.UNKNOWN, text)


_ALL_WELL: Final = "Okay, the top domains are whitelisted or ignored"


def _level(count: int, warning: Range, critical: Range | None, *, certain: bool) -> Status:
    for level, limit in ((Status.CRITICAL, critical), (Status.WARNING, warning)):
        if limit is not None and (limit.keeps_alerting(count) if certain else limit.alerts(count)):
            return level
    return Status.OK


def _names(alerting: Sequence[DomainStanding]) -> str:
    """Return the names in the article's alphabetical order; the largest ones where they are too many."""
    names: list[str] = []
    room = _MAX_NAMES
    for standing in alerting:
        name = _label(standing.domain)
        room -= len(name) + 1
        if room < 0:
            break
        names.append(name)
    more = len(alerting) - len(names)
    return " ".join(sorted(names)) + (f" and {more} more" if more else "")


def _perfdata(unreviewed: Sequence[DomainStanding], warning: Range, critical: Range | None) -> tuple[str, int]:
    """Return ``'domain'=count;warn;crit;min`` of the largest domains, and how many others there are."""
    limits = f"{warning};{'' if critical is None else critical};0"
    parts: list[str] = []
    room = _MAX_PERFDATA
    for standing in unreviewed[:MAX_SERIES]:
        part = f"'{_label(standing.domain)}'={standing.to_review};{limits}"
        room -= len(part) + 1
        if room < 0:
            break
        parts.append(part)
    return " ".join(parts), len(unreviewed) - len(parts)


def _evidence(standing: DomainStanding, level: Status) -> str:
    share = "" if standing.to_review == standing.greylisted else f"{standing.to_review} of "
    retries = "early retry" if standing.early_retry == 1 else "early retries"
    return (
        f"{level.name} {_label(standing.domain)}: {share}{count(standing.greylisted, 'attempt')} "
        f"({standing.new} new, {standing.early_retry} {retries}), "
        f"{count(standing.clients, 'client')} in {count(standing.networks, 'network')}"
    )


def _fitted(start: Sequence[str], evidence: Sequence[str], closing: Sequence[str]) -> str:
    """Join the lines, with as much of the evidence as there is room for."""
    room = MAX_OUTPUT - _CLOSING - sum(len(line) + 1 for line in start)
    shown = []
    for line in evidence:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    more = len(evidence) - len(shown)
    rest = [f"{count(more, 'more domain')} without room for the evidence"] if more else []
    return "\n".join([*start, *shown, *rest, *closing])


def _shown(problems: Sequence[str]) -> list[str]:
    lines = [f"Problem: {_clean(problem)}" for problem in problems[:_MAX_PROBLEMS]]
    more = len(problems) - len(lines)
    return [*lines, f"{count(more, 'more problem')}"] if more else lines


def _label(domain: str) -> str:
    # The domain comes from reverse DNS, which the sender writes.
    return re.sub(r"[^A-Za-z0-9._-]", "?", domain)


def _clean(text: str) -> str:
    """Return text of ours as one printable ASCII line, without the ``|`` that would start performance data."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    line = re.sub(r"[^ -{}~]", "?", line)
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 3] + "..."


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)
