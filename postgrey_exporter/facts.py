"""What the logs say of one sender domain, before the lists and the evidence are held against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postgrey_exporter.decision import Client
    from postgrey_exporter.messages import Message


class ClientAttempts(NamedTuple):
    """How often one client was greylisted."""

    client: Client
    new: int
    early_retry: int


class DomainFacts(NamedTuple):
    """The clients and messages of one domain, each to be gone through once and in this order.

    A domain may have a million of them: nobody needs to hold them all at a time.
    """

    domain: str
    attempts: Iterable[ClientAttempts]
    messages: Iterable[Message]
