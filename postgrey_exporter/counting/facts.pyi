from postgrey_exporter.counting.evidence import Evidence, NetworkFacts, Parties, Totals
from postgrey_exporter.lists import Lists

class DomainFacts:
    """What the logs say of one sender domain; `judge` comes first. One thread at a time may use a tally's facts."""

    domain: str

    def __init__(self, domain: str) -> None:
        """Begin without clients and messages."""

    def add_client(self, name: str, address: str, new: int, early_retry: int) -> None:
        """Add a client, by its name in lower case without the dot of the root, and how often it was greylisted."""

    def add_message(
        self,
        first: float,
        last: float,
        network: int,
        moved: bool,
        accepted: float | None,
        reported: int | None,
        line: bool,
    ) -> None:
        """Add a message: first greylisting, last attempt and acceptance in seconds since the epoch.

        ``network`` is that of the first attempt, ``moved`` whether another one greylisted it too, ``reported``
        postgrey's own delay, and ``line`` whether it began at what is named like a customer's line.
        """

    def judge(self, lists: Lists) -> None:
        """Hold the lists against the clients."""

    def totals(self) -> Totals:
        """Return how often the clients were greylisted."""

    def evidence(self, now: float) -> Evidence:
        """Return what has become of the messages at a moment; the lists do not matter for that."""

    def evidence_of_uncovered(self, now: float) -> Evidence:
        """Return the evidence of messages first tried from a network with a client that no entry of a list covers."""

    def parties(self, now: float) -> Parties:
        """Return the uncovered clients by what their names say."""

    def ignored_names(self) -> set[str]:
        """Return the names of the clients that an ignore file covers."""

    def networks(self, now: float, most: int) -> list[NetworkFacts]:
        """Return the networks with the most attempts."""
