"""What the log says of the state, the sources and the lists: each change once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from postgrey_exporter.exporter.log_limit import LogLimit
from postgrey_exporter.parsing.line import DECISION, OUTCOMES
from postgrey_exporter.parsing.remarks import why_nothing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from postgrey_exporter.lists import ListFileStatus
    from postgrey_exporter.sources import SourceStatus
    from postgrey_exporter.state.connection import StateError

_log = logging.getLogger(__name__)

_MOST_WARNINGS: Final = 20
"""Most warnings about one list file that are logged."""


class StatusLog:
    """Logs trouble once when it begins and once when it is over, and each change of a list."""

    def __init__(self) -> None:
        """Create it without trouble."""
        self._state = LogLimit()
        self._sources = LogLimit()
        self._lists = LogLimit()
        self._preparing = LogLimit()

    @property
    def is_state_up(self) -> bool:
        """Whether nothing is wrong with the state."""
        return self._state.is_empty()

    def note_state(self, doing: str, error: StateError | None = None) -> None:
        """Log whether the state can be used in a way, such as ``written``."""
        if error is None:
            if self._state.is_over(doing):
                _log.info("the state can be %s again", doing)
        elif self._state.is_news(doing, str(error)):
            _log.error("%s; trying again, nothing is lost as long as the log is there", error)

    def note_sources(self, statuses: Mapping[str, SourceStatus]) -> None:
        """Log which sources can't be read, and which ones can be read again."""
        for name, status in statuses.items():
            if status.error is None:
                if self._sources.is_over(name):
                    _log.info("%s: can be read again", name)
            elif self._sources.is_news(name, status.error):
                _log.warning("%s; waiting for it", status.error)

    def note_lists(self, statuses: Iterable[ListFileStatus]) -> None:
        """Log the lists that changed, with their warnings."""
        for status in statuses:
            if self._lists.is_news((status.list, status.path), status._replace(undecided=0)):
                _log_list(status)

    def repeat_lists(self) -> None:
        """Have all lists logged again."""
        self._lists = LogLimit()

    def note_preparing(self, error: Exception | None = None) -> None:
        """Log that answers can't be prepared."""
        if error is None:
            self._preparing.is_over("answers")
        elif self._preparing.is_news("answers"):
            _log.error("answers can't be prepared: %r; reading goes on", error, exc_info=error)

    def note_first_reading(self, statuses: Mapping[str, SourceStatus], lines: Mapping[tuple[str, str], int]) -> None:
        """Log how many decisions each source held; ``lines`` are counted by source and outcome."""
        for name, status in statuses.items():
            if not status.up:
                continue
            read = sum(lines.get((name, outcome), 0) for outcome in OUTCOMES)
            decisions = lines.get((name, DECISION), 0)
            if decisions:
                _log.info("%s: %d decisions of postgrey's in %d lines so far", name, decisions, read)
            else:
                by_outcome = {outcome: total for (source, outcome), total in lines.items() if source == name}
                _log.warning("%s: %s", name, why_nothing(by_outcome))


def _log_list(status: ListFileStatus) -> None:
    if status.error is not None:
        _log.warning("%s; what it said last stays in force", status.error)
        return
    _log.info("%s: %d entries are in force (%s)", status.path, status.entries, status.list)
    for warning in status.warnings[:_MOST_WARNINGS]:
        _log.warning("%s", warning)
    if len(status.warnings) > _MOST_WARNINGS:
        _log.warning("%s: %d more lines like these", status.path, len(status.warnings) - _MOST_WARNINGS)
