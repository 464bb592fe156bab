"""The clients of a domain that no list covers, parted by what their names say, with what became of their messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clientnames import ClientKind
from postgrey_exporter.messages import Evidence, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postgrey_exporter.decision import Client
    from postgrey_exporter.messages import Message
    from postgrey_exporter.places import Place


@dataclass(frozen=True, slots=True)
class Party:
    """Some of the clients, and the messages that were first tried from them."""

    names: frozenset[str]
    attempts: int
    networks: int
    """Of the address family that has more of them."""
    pause: float
    """Mean seconds between two attempts of a message; 0 where none was tried again."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Parties:
    """The clients by what their names say, see `clientnames`."""

    mail: Party
    """Mail servers."""
    servers: Party
    """Mail servers, and whatever has a name that says nothing."""
    lines: Party
    """Customers' lines."""


def parties(uncovered: Iterable[tuple[Client, int, Place]], messages: Sequence[Message], now: float) -> Parties:
    """Part the clients of a domain, given with their greylisted attempts, and its messages at a moment.

    What is known of a message's clients is the network that it was first tried from, and whether that one was a
    customer's line. A message from where only covered clients are, greylisted before they were, is nobody's.
    """
    clients: dict[ClientKind, list[tuple[Client, int, Place]]] = {kind: [] for kind in ClientKind}
    for one in uncovered:
        clients[one[2].kind].append(one)
    mail, unclear, lines = (clients[kind] for kind in (ClientKind.MAIL, ClientKind.UNCLEAR, ClientKind.LINE))
    of_lines = [message for message in messages if message.line]
    others = [message for message in messages if not message.line]
    of_mail = _party(mail, others, now)
    return Parties(
        mail=of_mail,
        servers=_party([*mail, *unclear], others, now) if unclear else of_mail,
        lines=_party(lines, of_lines, now),
    )


def _party(clients: Sequence[tuple[Client, int, Place]], messages: Sequence[Message], now: float) -> Party:
    if not clients:
        return _NOBODY
    networks = {place.network: ":" in client.address for client, _, place in clients}
    own = [message for message in messages if message.network in networks]
    known = evidence(own, now)
    attempts = sum(attempts for _, attempts, _ in clients)
    pauses = attempts + known.delivered - known.messages
    return Party(
        names=frozenset(client.name for client, _, _ in clients),
        attempts=attempts,
        networks=max(Counter(networks.values()).values()),
        pause=fsum(message.last - message.first for message in own) / pauses if pauses > 0 else 0.0,
        evidence=known,
    )


_NOBODY: Final = Party(frozenset(), 0, 0, 0.0, Evidence())
