"""The text formats of prometheus-client, with a quicker way for the series of thousands of domains.

A sample looks the same in all formats. Only the head of a metric and the end of the text differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

_END: Final = b"# EOF\n"
"""The end of an OpenMetrics text."""


class ByDomain:
    """A metric with series for each domain."""

    def __init__(self, head: Metric) -> None:
        """Create it without series. ``head`` is a metric without samples that has the name and the help."""
        self.head = head
        self.samples: list[str] = []
        self._name = f"{head.name}_total" if head.type == "counter" else head.name

    def add(self, labels: str, value: float) -> None:
        """Add a series. ``labels`` is their text, in the order of their names."""
        self.samples.append(f"{self._name}{{{labels}}} {_number(value)}\n")


def label(domain: str) -> str:
    """Return the text of a domain's label."""
    escaped = domain.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'domain="{escaped}"'


def exposition(
    families: Iterable[Metric | ByDomain], encode: Callable[[Collector], bytes], *others: Collector
) -> bytes:
    """Return metrics, and those of other collectors, in the format of one of prometheus-client's encoders."""
    parts: list[bytes] = []
    for family in families:
        if isinstance(family, ByDomain):
            parts += encode(_Only(family.head)), "".join(family.samples).encode()
        else:
            parts.append(encode(_Only(family)))
    parts += [encode(other) for other in others]
    body = b"".join(part.removesuffix(_END) for part in parts)
    return body + _END if any(part.endswith(_END) for part in parts) else body


class _Only(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


@lru_cache(maxsize=4096)
def _number(value: float) -> str:
    written: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return written
