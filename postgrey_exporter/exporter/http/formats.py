"""The format that a scrape asks for: one of a fixed set, whatever its client writes."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.exposition import choose_encoder, gzip_accepted

from postgrey_exporter.exporter.text_format import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from postgrey_exporter.exporter.text_format import ByDomain

_ESCAPINGS: Final = ("allow-utf-8", "underscores", "dots", "values")
_DEFAULT: Final = ""
"""Stands for a missing or incomprehensible Accept header (RFC 9110, section 12.5.1)."""
_ACCEPTED: Final = (
    _DEFAULT,
    "application/openmetrics-text",
    *(
        f"{kind};version=1.0.0;escaping={escaping}"
        for kind in ("application/openmetrics-text", "text/plain")
        for escaping in _ESCAPINGS
    ),
)


_ENCODERS: Final[Mapping[str, Callable[[Collector], bytes]]] = {
    content_type: encode for encode, content_type in map(choose_encoder, _ACCEPTED)
}
"""The formats there are, by content type."""
_PLAIN: Final = choose_encoder(_DEFAULT)[1]


class Format(NamedTuple):
    """The format of an exposition."""

    content_type: str
    """The content type of one of prometheus-client's formats."""
    compressed: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an answer in this format."""
        headers = {"Content-Type": self.content_type, "Vary": "Accept, Accept-Encoding"}
        return headers | ({"Content-Encoding": "gzip"} if self.compressed else {})

    def write(self, families: Iterable[Metric | ByDomain], *others: Collector) -> bytes:
        """Return metrics in this format."""
        text = exposition(families, _ENCODERS[self.content_type], *others)
        return gzip.compress(text, compresslevel=1) if self.compressed else text


def negotiated(accept: str, accept_encoding: str) -> Format:
    """Return the format that a request's headers ask for; the default if they can't be understood."""
    try:
        _, content_type = choose_encoder(accept)
    except Exception:  # noqa: BLE001 - prometheus-client raises what it likes at what a stranger wrote
        content_type = _PLAIN
    return Format(content_type if content_type in _ENCODERS else _PLAIN, gzip_accepted(accept_encoding))
