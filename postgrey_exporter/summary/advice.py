"""What to do about a domain, and why: simple rules on the evidence, each with a named threshold.

Only what no list covers is looked at. The order of the rules is that of the harm: a bot's domain on the whitelist
lets spam in, a pool on the ignore file delays mail, a look costs a minute.

A spammer who owns well-named servers in many networks, and tries a refused mail again from another one, does what a
provider does. The log can't tell the two apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.counting.evidence import Evidence
from postgrey_exporter.summary.proposal import network_entry, whitelist_entry
from postgrey_exporter.wording import count, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from collections.abc import Set as AbstractSet

    from postgrey_exporter.counting.evidence import Parties, Party
    from postgrey_exporter.lists import ListKind

FEWEST_MESSAGES: Final = 3
"""Messages, and such as arrived or never came back, below which they prove nothing."""
FEWEST_MOVED: Final = 2
"""Messages that must have changed network before a domain counts as a pool."""
FEWEST_NETWORKS: Final = 2
"""Networks of one address family that a pool has at least: a server with an old and a new address is none."""
LEAST_MOVED_SHARE: Final = 0.1
"""Share of a pool's messages that change network, at least."""
LEAST_ARRIVED_SHARE: Final = 0.7
"""Share of a pool's messages that arrive, at least, of those whose fate is known; bots don't come back."""
LONGEST_PAUSE_SECONDS: Final = 8 * 3600.0
"""Mean time between attempts above which they are no retries but mails of their own: no mail server waits longer."""
MOST_ARRIVED_SHARE_OF_BOTS: Final = 0.1
"""Share of messages that arrive, at most, for a domain to be left to greylisting though they change network."""
LEAST_POOL_SHARE: Final = 0.5
"""Share of a domain's attempts, customers' lines aside, that a pool makes at least, unless other mail arrives too."""
LEAST_LINES_SHARE: Final = 0.8
"""Share of attempts from customers' lines from which on a domain is an ISP's."""
SHORT_DELAY_SECONDS: Final = 3600.0
"""A median delay below which greylisting does what it is for."""


class Advice(NamedTuple):
    """What to do, and why."""

    kind: Literal["whitelist", "ignore", "look"]
    reason: tuple[Callable[..., str], *tuple[object, ...]]
    """What words `why`, and from what: of thousands of domains few are read about."""
    entry: str | None
    """The whitelist line to propose, where there is a tight one."""

    @property
    def why(self) -> str:
        """One sentence of numbers."""
        word, *about = self.reason
        return word(*about)


NOTHING_KNOWN: Final = Advice("look", (str, "nothing is known of it"), None)
ON_NAMELESS: Final = Advice("look", (str, "these clients have no verified name; no list can name them"), None)
_COVERED: Final[dict[ListKind, Advice]] = {
    "whitelist": Advice("whitelist", (str, "all of its clients are on the whitelist already"), None),
    "ignore": Advice("ignore", (str, "all of its clients are on the ignore file already"), None),
}


def covered(by: ListKind) -> Advice:
    """Return what there is to say of a domain all of whose clients are on a list."""
    return _COVERED[by]


def advise(
    domain: str, parties: Parties, ignored: Callable[[], AbstractSet[str]] = frozenset, *, propose: bool = True
) -> Advice:
    """Advise on a domain by those of its clients that no list covers.

    ``ignored`` returns the names of others of the domain, which stay greylisted: no line is proposed that covers one.
    Who has no use for a line can have the rest alone: with ``propose`` false it is worked out only where the advice
    depends on it.
    """
    if domain == UNKNOWN:
        return ON_NAMELESS
    if _is_pool(parties.mail):
        return _on_pool(domain, parties, ignored(), propose=propose)
    lines, attempts = parties.lines, _attempts(parties)
    if lines.attempts >= LEAST_LINES_SHARE * attempts:
        return Advice("ignore", (_from_lines, lines.attempts, attempts, lines.evidence), None)
    advice = _on_servers(parties.servers)
    if advice.kind == "look" and propose:
        others = _others(parties)
        worthy = parties.mail if others.lost > others.delivered else parties.servers  # bots never come back
        return Advice(advice.kind, advice.reason, _line_for(worthy, parties, ignored(), domain))
    return advice


def _on_pool(domain: str, parties: Parties, ignored: AbstractSet[str], *, propose: bool) -> Advice:
    known, covered_attempts, attempts = parties.mail.evidence, parties.mail.attempts, _attempts(parties)
    outnumbered = _is_outnumbered(parties)
    is_alone = covered_attempts == attempts and not ignored
    # Where nothing else is to be told from its servers, there is a line. All clients have attempts.
    is_needed = propose or not (is_alone or outnumbered)
    entry = _line_for(parties.mail, parties, ignored, domain) if is_needed else None
    if outnumbered:
        return Advice("look", (_outnumbered, parties), entry)
    if entry is None and not is_alone:
        return Advice("look", (_no_line_tells, known), None)
    return Advice("whitelist", (_pool, known, covered_attempts, attempts), entry)


def _line_for(party: Party, parties: Parties, ignored: AbstractSet[str], domain: str) -> str | None:
    """Return the line that covers a party's clients and no other client of the domain."""
    names = party.names()
    return whitelist_entry(names, (parties.servers.names() - names) | parties.lines.names() | ignored, domain)


def _attempts(parties: Parties) -> int:
    return parties.servers.attempts + parties.lines.attempts


def _others(parties: Parties) -> Evidence:
    """Return messages, moved, delivered and lost of the clients whose names say nothing.

    A message from a network where mail servers are as well is one of these.
    """
    of_all, of_mail = parties.servers.evidence, parties.mail.evidence
    return Evidence(
        messages=of_all.messages - of_mail.messages,
        moved=of_all.moved - of_mail.moved,
        delivered=of_all.delivered - of_mail.delivered,
        lost=of_all.lost - of_mail.lost,
    )


def _is_outnumbered(parties: Parties) -> bool:
    """Tell whether most attempts came from others, whose mail does not arrive; what is open has not arrived."""
    others = _others(parties)
    return (
        parties.mail.attempts < LEAST_POOL_SHARE * parties.servers.attempts
        and others.delivered < LEAST_ARRIVED_SHARE * others.messages
    )


def _on_servers(servers: Party) -> Advice:
    """Advise on what is neither a pool nor an ISP's customers, without a line."""
    known = servers.evidence
    settled = known.delivered + known.lost
    if known.messages < FEWEST_MESSAGES:
        return Advice("look", (_too_little, known), None)
    if not _moves(servers) and not settled:
        return Advice("look", (_too_early, known), None)
    if not _moves(servers) and _median(known) < SHORT_DELAY_SECONDS:
        return Advice("ignore", (_lost if known.lost else _no_harm, known), None)
    if servers.pause > LONGEST_PAUSE_SECONDS:
        return Advice("ignore", (_no_retries, servers.pause, known), None)
    if settled >= FEWEST_MESSAGES and known.delivered <= MOST_ARRIVED_SHARE_OF_BOTS * settled:
        return Advice("ignore", (_lost, known), None)
    return Advice("look", (_fate, known), None)


def advise_on_network(addresses: Collection[str], known: Evidence) -> Advice:
    """Advise on a network of clients without a name: never more than a look, since nothing says what they are."""
    if known.messages < FEWEST_MESSAGES:
        return Advice("look", (_too_little, known), None)
    if known.delivered + known.lost >= FEWEST_MESSAGES and not _arrives(known):
        return Advice("ignore", (_lost, known), None)
    return Advice("look", (_fate, known), network_entry(addresses) if _arrives(known) else None)


def _is_pool(party: Party) -> bool:
    known = party.evidence
    return (
        _moves(party)
        and known.messages >= FEWEST_MESSAGES
        and known.moved >= LEAST_MOVED_SHARE * known.messages
        and _arrives(known)
        and party.pause <= LONGEST_PAUSE_SECONDS
    )


def _moves(party: Party) -> bool:
    return party.evidence.moved >= FEWEST_MOVED and party.networks >= FEWEST_NETWORKS


def _arrives(known: Evidence) -> bool:
    settled = known.delivered + known.lost
    return settled >= FEWEST_MESSAGES and known.delivered >= LEAST_ARRIVED_SHARE * settled


def _median(known: Evidence) -> float:
    return known.delays.median if known.delays else 0.0


def _fate(known: Evidence) -> str:
    """Return what became of messages, in one clause: ``41 of 44 messages changed network, 40 arrived, …``."""
    if not known.messages:
        return "nothing is known of their messages"
    clauses = [f"{known.moved} of {count(known.messages, 'message')} changed network"]
    clauses.append(_arrived(known) if known.delivered else "none arrived")
    if known.lost:
        clauses.append(f"{known.lost} never came back")
    return ", ".join(clauses + _open(known))


def _arrived(known: Evidence) -> str:
    if known.delays is None:
        return f"{known.delivered} arrived"
    median = "" if known.delivered == 1 else " in the median"
    return f"{known.delivered} arrived after {duration(known.delays.median)}{median}"


def _open(known: Evidence) -> list[str]:
    waiting = known.messages - known.delivered - known.lost
    return [f"{waiting} may still come back"] if waiting > 0 else []


def _pool(known: Evidence, of_entry: int, attempts: int) -> str:
    return f"{_fate(known)}; the entry covers {of_entry} of {count(attempts, 'attempt')}"


def _outnumbered(parties: Parties) -> str:
    others, attempts = _others(parties), _attempts(parties)
    by_others = parties.servers.attempts - parties.mail.attempts
    return (
        f"{by_others} of {count(attempts, 'attempt')} came from clients whose names say nothing, and "
        f"{others.delivered} of their {count(others.messages, 'message')} arrived; its mail servers made "
        f"{count(parties.mail.attempts, 'attempt')}: {_fate(parties.mail.evidence)}"
    )


def _from_lines(attempts: int, of_all: int, known: Evidence) -> str:
    return f"{attempts} of {count(of_all, 'attempt')} came from customers' lines; {_fate(known)}"


def _no_line_tells(known: Evidence) -> str:
    return f"{_fate(known)}; but no line tells its mail servers from the rest"


def _too_little(known: Evidence) -> str:
    return f"too little to go by: {_fate(known)}"


def _too_early(known: Evidence) -> str:
    return f"too early to tell: {_fate(known)}"


def _no_harm(known: Evidence) -> str:
    return f"greylisting does no harm here: {_fate(known)}"


def _no_retries(pause: float, known: Evidence) -> str:
    return f"no retries, but mails {duration(pause)} apart: {_fate(known)}"


def _lost(known: Evidence) -> str:
    """Return how much never came back, and what became of the rest."""
    clauses = [f"{known.lost} of {count(known.messages, 'message')} never came back"]
    if known.delivered:
        clauses.append(_arrived(known))
    return ", ".join(clauses + _open(known))
