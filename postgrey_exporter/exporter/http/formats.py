"""In which form the metrics are asked for: one of a fixed set, whatever a client writes."""

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
"""What a client accepts that says nothing, or nothing that is understood (RFC 9110, section 12.5.1)."""
_ACCEPTED: Final = (
    _DEFAULT,
    "application/openmetrics-text",
    *(
        f"{kind};version=1.0.0;escaping={escaping}"
        for kind in ("application/openmetrics-text", "text/plain")
        for escaping in _ESCAPINGS
    ),
)


def _encoder(accept: str) -> tuple[str, Callable[[Collector], bytes]]:
    encode, content_type = choose_encoder(accept)
    return content_type, encode


_ENCODERS: Final[Mapping[str, Callable[[Collector], bytes]]] = dict(map(_encoder, _ACCEPTED))
"""The formats there are, by content type."""
_PLAIN: Final = _encoder(_DEFAULT)[0]


class Form(NamedTuple):
    """What decides on the text of an exposition."""

    content_type: str
    """One of those of prometheus-client's formats."""
    packed: bool

    @property
    def headers(self) -> dict[str, str]:
        """Return what an answer in this form says of it."""
        headers = {"Content-Type": self.content_type, "Vary": "Accept, Accept-Encoding"}
        return headers | ({"Content-Encoding": "gzip"} if self.packed else {})

    def write(self, families: Iterable[Metric | ByDomain], *others: Collector) -> bytes:
        """Return metrics in this form."""
        text = exposition(families, _ENCODERS[self.content_type], *others)
        return gzip.compress(text, compresslevel=1) if self.packed else text


def negotiated(accept: str, accept_encoding: str) -> Form:
    """Return the form for a request's headers; what can't be understood asks for the default."""
    try:
        _, content_type = choose_encoder(accept)
    except Exception:  # noqa: BLE001 - prometheus-client raises what it likes at what a stranger wrote
        content_type = _PLAIN
    return Form(content_type if content_type in _ENCODERS else _PLAIN, gzip_accepted(accept_encoding))
