"""Which entry of which list covers a client: the answer as a record, for people and for scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.clients.addresses import normalise
from postgrey_exporter.clients.domains import registrable_domain
from postgrey_exporter.decision import Client
from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    from postgrey_exporter.lists import ListKind, Lists


_SPELLED: Final = re.compile(
    r"[0-9.]+(?:/[0-9]{1,2})?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z_.-]+)?(?:/[0-9]{1,3})?"
)
"""An address with the mask that postgrey 1.36 writes, and the zone of a link."""


class NoClientError(PostgreyExporterError):
    """What was asked about is no client."""


class Explanation(NamedTuple):
    """What covers one client; the fields and their order are those of ``explain --format json``."""

    client_name: str
    client_address: str
    """As it was given; empty where none was."""
    domain: str
    """The client's registrable domain, or ``unknown``."""
    covered_by: ListKind | None = None
    file: str | None = None
    line: int | None = None
    entry: str | None = None

    def sentence(self) -> str:
        """Return it as one line for people."""
        address = f" [{self.client_address}]" if self.client_address else ""
        subject = f"{self.client_name}{address} (domain {self.domain})"
        if self.covered_by is None:
            return f"{subject} is covered by no entry"
        verb = "whitelisted" if self.covered_by == "whitelist" else "ignored"
        return f"{subject} is {verb} by line {self.line} of {self.file}: {self.entry}"


def read_client(line: str) -> Client:
    """Return the client of a ``name address`` line; the address may be missing. Raises `NoClientError`."""
    words = line.split()
    if len(words) not in (1, 2):
        raise NoClientError(f"{line.strip()!r} is no client: write its name, a blank, and its address")
    return client(*words)


def client(name: str, address: str = "") -> Client:
    """Return a client by its name and address. Raises `NoClientError` when the address is none."""
    if address and not _is_address(address):
        raise NoClientError(f"{address!r} is no IP address: the name comes first, then it")
    return Client(name, address)


def _is_address(text: str) -> bool:
    """Tell whether a log of postgrey's could name a client so: no words and no short forms of NetAddr::IP's."""
    try:
        normalise(text)
    except ValueError:
        return False
    return _SPELLED.fullmatch(text) is not None


def explain(lists: Lists, client: Client) -> Explanation:
    """Return what covers a client, if anything does."""
    domain = registrable_domain(client.name)
    return Explanation(*client, domain, *(lists.covers(*client) or ()))
