"""Whether a line may become an entry: what would not be in force, or would cover half the world, is refused.

The judgement is that of `lists`, which reads a line as postgrey does: a line that it warns about is refused with
the same words, so that nothing new ever shows up as a warning later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain
from postgrey_exporter.clients.public_suffixes import public_suffixes
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.lists import READERS
from postgrey_exporter.lists.content import Name, shown
from postgrey_exporter.lists.netaddr import IPV4_SPACE, Network

if TYPE_CHECKING:
    from postgrey_exporter.lists import ListKind
    from postgrey_exporter.lists.content import Entry
    from postgrey_exporter.lists.patterns import ClientPattern

SHORTEST_IPV4_PREFIX: Final = 8
SHORTEST_IPV6_PREFIX: Final = 16
"""Prefix lengths below which a network is no sender's: registries hand out no larger blocks."""

_IPV4_START: Final = 96
_UNLIKELY_HOSTS: Final = ("q.", "x-1.y9z.", "7.8.")
"""Hosts that have nothing in common: a pattern that takes them all takes every host of a domain."""


class EntryError(PostgreyExporterError, ValueError):
    """A line is refused as an entry; the message says why."""


def checked_entry(kind: ListKind, text: str) -> Entry:
    """Return what a line means as an entry of a list. Raises `EntryError`."""
    line = text.strip()
    if not line:
        raise EntryError("an entry is needed")
    encoded = line.encode("utf-8", "surrogateescape")
    name = shown(encoded)
    if not (line.isascii() and line.isprintable()):
        raise EntryError(f"{name}: an entry is one line of ASCII, as client names are")
    if "#" in line:
        raise EntryError(f"{name}: # begins a comment, even inside a pattern")
    content = READERS[kind](encoded, "")
    if content.warnings:
        raise EntryError(f"{name}: {content.warnings[0].message}")
    if len(content.entries) != 1:
        raise EntryError(f"{name}: would not be in force")
    entry = content.entries[0]
    too_wide = _too_wide(entry)
    if too_wide:
        raise EntryError(f"{name}: {too_wide}")
    return entry


def _too_wide(entry: Entry) -> str | None:
    """Return why an entry covers more than one sender could have."""
    match entry.covers:
        case Name(labels):
            return _too_wide_a_domain(labels.decode())
        case Network() as network:
            return _too_wide_a_network(network)
        case pattern:
            return _too_wide_a_pattern(pattern)


def _too_wide_a_domain(name: str) -> str | None:
    if name == UNKNOWN:
        return "would cover every client without a verified name"
    # A single label that is no public suffix is a local network's, or a host's.
    is_suffix = registrable_domain(name) == UNKNOWN and registrable_domain(f"x.{name}") != UNKNOWN
    if is_suffix and ("." in name or name in public_suffixes()):
        return f"would cover every domain under .{name}"
    return None


def _too_wide_a_network(network: Network) -> str | None:
    length = network.mask.bit_count()
    if network.mask & IPV4_SPACE == IPV4_SPACE:
        length -= _IPV4_START
        least = SHORTEST_IPV4_PREFIX
    else:
        least = SHORTEST_IPV6_PREFIX
    return f"would cover far more than one sender: /{least} is the largest network" if length < least else None


def _too_wide_a_pattern(pattern: ClientPattern) -> str | None:
    for tail in pattern.tails:
        end = tail.literal_end().decode("latin-1")
        if tail.is_whole and end == UNKNOWN:
            return _too_wide_a_domain(UNKNOWN)
        domain = end.removeprefix(".")
        names = [(before + domain).encode("latin-1") for before in _UNLIKELY_HOSTS]
        if domain and all(pattern.matches(name, name) for name in names):
            reason = _too_wide_a_domain(domain)
            if reason or "." not in end:
                return reason or f"would cover every name that ends in {end}"
    return None
