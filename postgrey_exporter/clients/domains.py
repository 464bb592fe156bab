"""The sender's registrable domain: the label by which clients are counted.

What is registrable is told by the public suffix list that comes with tldextract, see `public_suffixes`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from postgrey_exporter.clients.public_suffixes import public_suffixes

UNKNOWN: Final = "unknown"
"""The domain of clients without a usable name: no verified reverse name, an address, an impossible name."""

MAX_NAME_LENGTH: Final = 253
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_LABEL: Final = re.compile(_LABEL)
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.(?![0-9]+$){_LABEL}")


def registrable_domain(client_name: str) -> str:
    """Return the registrable domain of a client name, lower case: ``a.b.co.uk`` → ``b.co.uk``.

    A name under no public suffix has its last two labels: ``mx.corp.local`` → ``corp.local``. `UNKNOWN` is returned
    for postgrey's ``unknown``, an empty name, an address literal, a bare public suffix, a single label, and whatever
    can't be a host name.
    """
    name = client_name.lower().rstrip(".")
    label, _, parent = name.partition(".")
    shared = domain_of_all_below(parent)
    if shared is not None and len(name) <= MAX_NAME_LENGTH and _HOST_LABEL.fullmatch(label):
        return shared
    return _domain_of(name)


@lru_cache(maxsize=8192)
def domain_of_all_below(parent: str) -> str | None:
    """Return the registrable domain of every host directly below a name in lower case, where they have one in common.

    ``None`` is returned where it depends on the host, and where the name itself is below no registrable domain. A
    pool and a provider's customers have many hosts below a few names.
    """
    if not _is_host_name(parent):
        return None
    domain, is_shared = public_suffixes().registrable(parent)
    return domain if is_shared else None


@lru_cache(maxsize=8192)
def _domain_of(name: str) -> str:
    if not _is_host_name(name):
        return UNKNOWN
    return public_suffixes().registrable(name)[0] or UNKNOWN


def _is_host_name(name: str) -> bool:
    return len(name) <= MAX_NAME_LENGTH and _HOST_NAME.fullmatch(name) is not None
