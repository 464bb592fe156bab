from collections.abc import Iterator, Mapping

from postgrey_exporter.counting.evidence import DomainChange
from postgrey_exporter.counting.seen import Seen
from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.lists import Lists
from postgrey_exporter.parsing.hashing import KeyedHash

class Increment(Tally):
    """What a reading adds to the state, and its rows there; those of messages raise `ValueError` once closed."""

    def __init__(
        self, keyed: KeyedHash, *, since: float | None = None, until: float | None = None, lists_changed: float = ...
    ) -> None:
        """Take what a tally takes; greylistings after the whitelists' last change, in seconds, are counted apart."""

    def judge(self, lists: Lists) -> None:
        """Note what the lists say of each client, for `domain_changes` and `client_rows`."""

    def decision_hours(self) -> list[tuple[int, str, str, int]]:
        """Return the decisions by hour, action and reason."""

    def domain_changes(self, first_hour: int) -> dict[str, DomainChange]:
        """Return what changes of each domain that was greylisted, judged before; the window begins with an hour."""

    def client_rows(
        self, domain_ids: Mapping[str, int], first_hour: int, kept_hour: int
    ) -> Iterator[tuple[int, str, str, int, int, int, int, int]]:
        """Yield the clients greylisted from ``kept_hour`` on, ordered, with their attempts from ``first_hour`` on."""

    def attempt_rows(self, kept_hour: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield what clients were greylisted from an hour on, as rows in order."""

    def story_rows(self, domain_ids: Mapping[str, int], seen: Seen | None = None) -> Iterator[tuple[int, int, int]]:
        """Yield domain, key and own number of each story that may have a message in the state, of those ``seen``."""

    def note_seen(self, domain_ids: Mapping[str, int], seen: Seen) -> None:
        """Remember the stories of which there are messages."""

    def remember(
        self,
        story: int,
        first: float,
        last: float,
        network: int,
        moved: bool,
        accepted: float | None,
        reported: int | None,
        line: bool,
    ) -> None:
        """Take a message of a story as the state has it, each later one after those before it; before `settle`."""

    def message_rows(
        self, domain_ids: Mapping[str, int], first_moment: float
    ) -> Iterator[tuple[int, int, float, float, int, int, float | None, int | None, int]]:
        """Yield the rows for the state of messages that are new or changed and last tried from a moment on."""

    def deliveries(self, domain_ids: Mapping[str, int]) -> Iterator[float]:
        """Yield the delay in seconds of each message that was delivered."""
