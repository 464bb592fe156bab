"""The sender's registrable domain: the label by which clients are counted.

tldextract's bundled public suffix list is used as it is, ICANN suffixes only: no network, no cache folder.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tldextract import TLDExtract

UNKNOWN: Final = "unknown"
"""The domain of clients without a usable name: no verified reverse name, an address, an impossible name."""

_MAX_NAME_LENGTH: Final = 253
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_LABEL: Final = re.compile(_LABEL)
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


@lru_cache(maxsize=1)
def _extractor() -> TLDExtract:
    # Imported late: it costs a tenth of a second, and most commands that fail, fail before they need it.
    from tldextract import TLDExtract  # noqa: PLC0415

    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)


@lru_cache(maxsize=1)
def _parents_of_suffixes() -> frozenset[str]:
    """Return the names directly below which there is a public suffix."""
    return frozenset(suffix.lstrip("!").partition(".")[2] for suffix in _extractor().tlds)


def registrable_domain(client_name: str) -> str:
    """Return the registrable domain of a client name, lower case: ``a.b.co.uk`` → ``b.co.uk``.

    `UNKNOWN` is returned for postgrey's ``unknown``, an empty name, an address literal, a bare public suffix, a
    name under no public suffix, and whatever can't be a host name.
    """
    name = client_name.lower().rstrip(".")
    label, _, parent = name.partition(".")
    shared = _domain_of_all_below(parent)
    if shared is not None and len(name) <= _MAX_NAME_LENGTH and _HOST_LABEL.fullmatch(label):
        return shared
    return _domain_of(name)


@lru_cache(maxsize=8192)
def _domain_of_all_below(parent: str) -> str | None:
    """Return the registrable domain of every host directly below a name, where they have one in common.

    A pool and a provider's customers have many hosts below a few names; looking a host up costs twenty times more.
    """
    domain = _domain_of(parent)
    if domain == UNKNOWN or parent in _parents_of_suffixes() or "xn--" in parent:
        return None
    return domain


@lru_cache(maxsize=8192)
def _domain_of(name: str) -> str:
    if len(name) > _MAX_NAME_LENGTH or not _HOST_NAME.fullmatch(name):
        return UNKNOWN
    return _extractor().extract_str(name).top_domain_under_public_suffix or UNKNOWN
