"""What the logs say of a sender domain, added up: names for what comes out of counting."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from postgrey_exporter.lists import ListKind


class Delays(NamedTuple):
    """Seconds that deliveries took."""

    median: float
    most: float


class Evidence(NamedTuple):
    """What became of some messages."""

    messages: int = 0
    moved: int = 0
    """Greylisted from two or more networks: the pool problem itself."""
    delivered: int = 0
    moved_delivered: int = 0
    """Moved and delivered."""
    lost: int = 0
    """Never accepted, and the retry window is over."""
    delays: Delays | None = None
    """From the first greylisting to the acceptance, whatever the networks; none where nothing was delivered."""
    reported: Delays | None = None
    """The same as postgrey's ``delay=`` has it, which forgets the time lost on other networks."""
    worst_moved: float = 0.0
    """The longest delay of one that moved and did not begin at a customer's line: what a pool lost by greylisting."""


class Totals(NamedTuple):
    """How often a domain's clients were greylisted, and what covers them."""

    new: int
    early_retry: int
    clients: int
    networks: int
    """Distinct client networks: what postgrey greylists as one."""
    unreviewed: int
    """Greylisted attempts from clients that no entry of a list covers."""
    is_whitelisted: bool
    """Whether the whitelist covers some of the clients."""
    is_ignored: bool
    """Whether an ignore file covers some of them."""

    @property
    def covered_by(self) -> ListKind | None:
        """What covers all of the clients; ``ignore`` when it takes both lists; none when one is left uncovered."""
        if self.unreviewed:
            return None
        return "ignore" if self.is_ignored else "whitelist"


class DomainChange(NamedTuple):
    """What some lines add to one domain in the state."""

    new: int
    early_retry: int
    ineffective: int
    """Greylisted although the whitelist covered the client and had not changed since."""
    unreviewed: int
    """Inside the window, from clients that no entry of a list covers."""
    last_hour: int
    """The latest hour in which it was greylisted."""


class Party(NamedTuple):
    """Some of a domain's clients that no list covers, and the messages that were first tried from their networks."""

    attempts: int
    networks: int
    """Of the address family that has more of them."""
    pause: float
    """Mean seconds between two attempts of a message; 0 where none was tried again."""
    evidence: Evidence
    names: Callable[[], AbstractSet[str]]
    """Returns the clients' names: many, and seldom asked for."""


class Parties(NamedTuple):
    """A domain's clients that no list covers by what their names say, see `hostnames`.

    A message belongs to the clients of the network that it was first tried from, and to none if all are covered.
    """

    mail: Party
    """Mail servers."""
    servers: Party
    """Mail servers, and whatever has a name that says nothing."""
    lines: Party
    """Customers' lines."""


class NetworkFacts(NamedTuple):
    """One network of a domain, with the messages that were first tried from it."""

    address: str
    """That of some client."""
    new: int
    early_retry: int
    clients: int
    unreviewed: int
    uncovered: list[str]
    """Addresses of clients that no list covers, two of them at most: they tell as much as all."""
    is_ignored: bool
    evidence: Evidence
