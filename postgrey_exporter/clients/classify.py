"""Where a client belongs, and what it is by its name: what counting needs to know of each, worked out once."""

from __future__ import annotations

from functools import lru_cache

from postgrey_exporter.clients.domains import domain_of_all_below, registrable_domain
from postgrey_exporter.clients.hostnames import ClientKind, domain_says, kind_in_domain, words_say


@lru_cache(maxsize=8192)
def below(parent: str) -> tuple[str, int] | None:
    """Return what all hosts directly below a name have in common: their domain, and what their names say of them.

    ``None`` where that differs from host to host, or nothing is known.
    """
    domain = domain_of_all_below(parent)
    if domain is None:
        return None
    return domain, words_say(parent.removesuffix(domain).rstrip(".")) | domain_says(domain)


def label_says(label: str) -> int:
    """Return what the first label of a client's name says, all of whose digits are zeros."""
    return words_say(label)


def domain_and_kind(name: str, address: str) -> tuple[str, ClientKind]:
    """Return a client's registrable domain, or `domains.UNKNOWN`, and what it is by its name."""
    domain = registrable_domain(name)
    return domain, kind_in_domain(name, address, domain)
