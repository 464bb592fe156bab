"""Where a client belongs, and what it is by its name: what counting needs to know of each, worked out once."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from postgrey_exporter.clients.domains import domain_of_all_below, registrable_domain
from postgrey_exporter.clients.hostnames import domain_says, words_say

_DIGITS: Final = str.maketrans("123456789", "000000000")


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


def signs(name: str) -> tuple[str, str, int]:
    """Return a client name's registrable domain, or `domains.UNKNOWN`, what stands before it, and what the name says.

    The registrable domain's own name makes nobody a customer: ``dyn.com`` may run a mail server.
    """
    name = name.lower().rstrip(".")
    domain = registrable_domain(name)
    host = name.removesuffix(domain).rstrip(".")
    label, _, rest = host.partition(".")
    return domain, host, words_say(label.translate(_DIGITS)) | words_say(rest) | domain_says(domain)
