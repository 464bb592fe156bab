"""Which entry covers a client: all lists compiled into look-ups that don't grow with the number of entries.

The answer is the one that trying every entry in postgrey's order would give: names and patterns of all whitelist
files first, in file order, then their networks (smtpd_access_policy in postgrey 1.37), then the ignore files.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.lists.content import Name
from postgrey_exporter.lists.names import NOWHERE, NameIndex
from postgrey_exporter.lists.netaddr import Network
from postgrey_exporter.lists.networks import NetworkIndex
from postgrey_exporter.lists.verdict import IGNORED, UNCOVERED, WHITELISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from postgrey_exporter.lists.content import ListContent, ListKind
    from postgrey_exporter.lists.needles import Pattern

_BATCH: Final = 1000
"""Clients judged together: no step is so long that it keeps other threads waiting."""


class Cover(NamedTuple):
    """The entry that covers a client."""

    list: ListKind
    file: str
    line: int
    entry: str
    """As it stands in the file."""


class Lists:
    """An immutable set of lists that tells what covers a client."""

    def __init__(self, whitelist: Sequence[ListContent] = (), ignore: Sequence[ListContent] = ()) -> None:
        """Compile files in the order in which postgrey reads them."""
        self._contents: list[tuple[ListKind, ListContent]] = [
            *(("whitelist", content) for content in whitelist),
            *(("ignore", content) for content in ignore),
        ]
        self._starts = [0, *accumulate(len(content.entries) for _, content in self._contents)]
        """The position of the first entry of each file; the last is the number of all entries."""
        names: dict[ListKind, list[tuple[bytes, int]]] = {"whitelist": [], "ignore": []}
        patterns: list[Pattern] = []
        networks: list[tuple[int, Network]] = []
        for (kind, content), start in zip(self._contents, self._starts, strict=False):
            named = names[kind]
            for position, (_, _, covers) in enumerate(content.entries, start):
                if isinstance(covers, Name):
                    named.append((covers.labels, position))
                elif isinstance(covers, Network):
                    networks.append((position, covers))
                else:
                    patterns.append((position, covers))
        self._names = NameIndex(names["whitelist"], names["ignore"], patterns)
        self._networks = NetworkIndex(networks)
        self.unconcerned: object = None
        """What `counting` knows that no entry is about."""
        self._covers: dict[int, Cover] = {}

    def covers(self, client_name: str, client_address: str) -> Cover | None:
        """Return the entry that covers a client, by the name and address that Postfix tells postgrey, or ``None``."""
        listed, ignored = self._names.first(client_name)
        if listed == NOWHERE:
            listed = self._networks.first(client_address, NOWHERE)
        position = ignored if listed == NOWHERE else listed
        if position == NOWHERE:
            return None
        return self._covers.get(position) or self._cover(position)

    def verdicts(self, clients: Iterable[tuple[str, str]]) -> Iterator[int]:
        """Yield for each client, in order, which of the lists covers it, as a number of `verdict`."""
        taken = iter(clients)
        while batch := list(islice(taken, _BATCH)):
            yield from self._judged(batch)

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry at all."""
        return self._starts[-1] == 0

    def may_cover_names_below(self, parent: str) -> bool:
        """Tell whether an entry may be about a name of a label of up to 63 bytes, a dot and ``parent``."""
        return self._names.may_concern_below(parent)

    def verdict_by_domain(self, domain: str) -> int | None:
        """Return what covers, by its name, every client in a registrable domain, as a number of `verdict`.

        ``None`` where it depends on the name. Networks are left out.
        """
        positions = self._names.firsts_in(domain)
        return None if positions is None else _verdict(*positions)

    def may_cover_name(self, client_name: str) -> bool:
        """Tell whether there is an entry about a name, such as ``unknown``."""
        return self._names.first(client_name) != (NOWHERE, NOWHERE)

    def may_cover_network(self, network: int) -> bool:
        """Tell whether a network of the lists may hold a client in another, by its number."""
        return self._networks.may_hold_some_of(network)

    def _judged(self, clients: list[tuple[str, str]]) -> list[int]:
        verdicts = [UNCOVERED] * len(clients)
        for index, listed, ignored in self._names.firsts([name for name, _ in clients]):
            verdicts[index] = _verdict(listed, ignored)
        if self._networks:
            for index in self._networks.holding([address for _, address in clients]):
                verdicts[index] = WHITELISTED
        return verdicts

    def _cover(self, position: int) -> Cover:
        index = bisect_right(self._starts, position) - 1
        kind, content = self._contents[index]
        entry = content.entries[position - self._starts[index]]
        cover = self._covers[position] = Cover(kind, content.file, entry.line, entry.text)
        return cover


def _verdict(listed: int, ignored: int) -> int:
    if listed != NOWHERE:
        return WHITELISTED
    return UNCOVERED if ignored == NOWHERE else IGNORED
