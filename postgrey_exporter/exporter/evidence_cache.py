"""The evidence of the domains that are shown, kept between scrapes and worked out anew after a change.

A domain's evidence changes with its decisions. That of all domains changes with the lists, and with the turn of the
hour: then the window moves, and messages are judged lost as of the begin of the hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgrey_exporter.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from postgrey_exporter.counting.evidence import Evidence
    from postgrey_exporter.state.reader import StateReader

    Known = tuple[Evidence, int]


def judged_at(now: float) -> float:
    """Return the moment that the evidence in metrics is of: the begin of the hour."""
    return now - now % HOUR


class EvidenceCache:
    """Evidence by domain; written by one thread and read by any."""

    def __init__(self) -> None:
        """Create it without evidence."""
        self._known: dict[str, Known] = {}
        self._stale: dict[str, None] = {}
        self._all_stale = True

    def note(self, domains: Iterable[str]) -> None:
        """Mark the evidence of some domains as out of date."""
        if not self._all_stale:
            self._stale.update(dict.fromkeys(domains))

    def note_all(self) -> None:
        """Mark the evidence of every domain as out of date."""
        self._all_stale = True

    def of(self, domains: Collection[str]) -> Mapping[str, Known]:
        """Return the evidence of some domains, as far as it is worked out."""
        known = self._known
        return {domain: known[domain] for domain in domains if domain in known}

    def refresh(self, reader: StateReader, now: float, enough: Callable[[], bool]) -> bool:
        """Update the evidence of the domains that are shown, the longest out of date first; return whether any was.

        Once ``enough``, called after each domain, is true, the rest waits for the next call. Raises `StateError`.
        """
        if not self._stale and not self._all_stale:
            return False
        shown = reader.unreviewed_domains()
        if self._all_stale:
            self._stale.update(dict.fromkeys(shown))
            self._all_stale = False
        kept = {domain: self._known[domain] for domain in shown if domain in self._known}
        # What is stale and not shown is forgotten with its evidence: when it is shown again, it is worked out.
        waiting = [domain for domain in self._stale if domain in shown]
        waiting += [domain for domain in shown if domain not in kept and domain not in self._stale]
        self._known, self._stale = kept, dict.fromkeys(waiting)
        for domain in waiting:
            self._stale[domain] = self._stale.pop(domain)  # last, should it fail
            kept.update(reader.evidence([domain], judged_at(now)))
            del self._stale[domain]
            if enough():
                break
        return bool(waiting)
