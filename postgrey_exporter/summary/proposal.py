r"""The whitelist line to propose: as tight as it can be, anchored at a label, dots escaped.

``/\.protection\.outlook\.com$/`` covers the pool's servers; ``outlook.com`` would cover the domain's users as well,
and ``protection.outlook.com`` as a pattern would cover ``protectionXoutlook.com``, which anybody can register.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.addresses import network_of
from postgrey_exporter.clients.domains import UNKNOWN, domain_of_all_below, registrable_domain
from postgrey_exporter.lists import Lists, read_whitelist

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    _Candidate = tuple[str, Callable[[str], bool]]
    """A line, and what tells whether it covers a name."""

MOST_BRANCHES: Final = 8
"""Alternatives in one line; with more of them nobody would see what it says."""

_NO_ADDRESS: Final = ""
_DIGITS: Final = re.compile(r"[0-9]+")
_ANY_NUMBER: Final = "#"
"""Stands for a number in a shape; no name of a host has it."""


def whitelist_entry(wanted: Collection[str], unwanted: Collection[str], domain: str | None = None) -> str | None:
    """Return the tightest line of a client whitelist that covers all wanted client names and no unwanted one.

    The names are of one registrable domain, which is found out where it is not given. Returns ``None`` where there is
    no such line: nothing is wanted, a wanted name is none, or wanted and unwanted names can't be told apart.

    There may be a hundred thousand domains, so a line is held against names as text. The tests hold it against what
    `explain` and postgrey make of it.
    """
    names = {name.lower().rstrip(".") for name in wanted}
    domain = domain or _domain_of(names)
    if domain is None or not names:
        return None
    others = {name.lower().rstrip(".") for name in unwanted}
    for line, covers in _candidates(names, domain, alone=not others):
        if all(map(covers, names)) and not any(map(covers, others)):
            return line
    return None


def network_entry(addresses: Collection[str]) -> str | None:
    """Return the line for clients without a name in one network: the address of a single one, else the network."""
    if not addresses or _NO_ADDRESS in addresses:
        return None
    networks = {network_of(address) for address in addresses}
    if len(networks) > 1:
        return None
    line = min(addresses if len(addresses) == 1 else networks)
    lists = _lists(line)
    return line if all(lists.covers(UNKNOWN, address) for address in addresses) else None


def _candidates(names: Collection[str], domain: str, *, alone: bool) -> Iterator[_Candidate]:
    """Yield lines that may do, the best first; ``alone`` says that nothing else of the domain was seen."""
    suffix = _common_suffix(names)
    if len(names) == 1:
        yield f"/^{_escaped(suffix)}$/", suffix.__eq__
        return
    if suffix != domain:
        yield _all_below(suffix, itself=suffix in names)
    elif suffix not in names:
        branches = _branches(names, domain)
        yield from _alternatives({_hosts_shaped(branch) for branch in branches}, domain)
        yield from _alternatives({_shape(branch) for branch in branches}, domain)
    if suffix in names:
        shapes = {_shape(name) for name in names}
        if len(shapes) <= MOST_BRANCHES:
            yield f"/^(?:{'|'.join(sorted(map(_pattern, shapes)))})$/", lambda name: _shape(name) in shapes
    else:
        yield from _alternatives({_shape(f"^{name.removesuffix(f'.{suffix}')}") for name in names}, suffix)
    if suffix == domain and alone:
        yield _all_below(domain, itself=suffix in names)


def _all_below(suffix: str, *, itself: bool) -> _Candidate:
    """Return the line that takes every host below a name, and the name itself if that is wanted."""
    below = f".{suffix}"
    if itself:
        return rf"/(?:^|\.){_escaped(suffix)}$/", lambda name: name.endswith(below) or name == suffix
    return rf"/\.{_escaped(suffix)}$/", lambda name: name.endswith(below)


def _common_suffix(names: Iterable[str]) -> str:
    """Return the labels that all names end in; at least the registrable domain."""
    backwards = [name[::-1] for name in names]
    # What the first and the last in order have in common, all between them have.
    labels: list[str] = []
    for one, other in zip(min(backwards).split("."), max(backwards).split("."), strict=False):
        if one != other:
            break
        labels.append(one)
    shared = ".".join(labels)
    size = len(shared)
    if not all(name[size : size + 1] in {"", "."} for name in backwards):
        shared = shared.rpartition(".")[0]
    return shared[::-1]


def _branches(names: Iterable[str], domain: str) -> set[str]:
    """Return what names have before the domain: ``^mta12`` for a host under it, ``.smtp-out`` for those deeper down.

    The latter are as long as they can be. None of the names is the domain itself.
    """
    found: set[str] = set()
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        host, _, parent = name.removesuffix(f".{domain}").partition(".")
        if parent:
            groups[parent.rpartition(".")[2]].add(parent)
        else:
            found.add(f"^{host}")
    return found | {f".{_common_suffix(parents)}" for parents in groups.values()}


def _alternatives(shapes: Collection[str], suffix: str) -> Iterator[_Candidate]:
    """Yield the line that takes any of some shapes before a suffix, unless there are too many."""
    if len(shapes) > MOST_BRANCHES:
        return
    below = f".{suffix}"
    ends = tuple(shapes)

    def covers(name: str) -> bool:
        if not name.endswith(below):
            return False
        branch = f"^{name.removesuffix(below)}"
        return branch.endswith(ends) or _shape(branch).endswith(ends)

    start = "|".join(sorted(map(_pattern, shapes)))
    yield rf"/{start if len(shapes) == 1 else f'(?:{start})'}\.{_escaped(suffix)}$/", covers


def _hosts_shaped(branch: str) -> str:
    """Return the shape of a branch that is a host, and a sub-domain as it is."""
    return _shape(branch) if branch.startswith("^") else branch


def _shape(text: str) -> str:
    """Return a text with a sign for each of its numbers."""
    return _DIGITS.sub(_ANY_NUMBER, text)


def _pattern(shape: str) -> str:
    """Return the pattern that takes any number where a shape has one."""
    return _escaped(shape).replace(_ANY_NUMBER, "[0-9]+")


def _domain_of(names: Collection[str]) -> str | None:
    """Return the registrable domain of names that have one in common."""
    parents = {name.partition(".")[2] for name in names}
    domains = {domain_of_all_below(parent) for parent in parents}
    if None in domains:
        domains = {registrable_domain(name) for name in names}
    return domains.pop() if len(domains) == 1 and UNKNOWN not in domains else None


def _lists(line: str) -> Lists:
    return Lists([read_whitelist(f"{line}\n".encode(), "proposed")])


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")
