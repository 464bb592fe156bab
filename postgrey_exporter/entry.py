r"""The whitelist line to propose: as tight as it can be, anchored at a label, dots escaped.

``/\.protection\.outlook\.com$/`` covers the pool's servers; ``outlook.com`` would cover the domain's users as well,
and ``protection.outlook.com`` as a pattern would cover ``protectionXoutlook.com``, which anybody can register.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from postgrey_exporter.domains import UNKNOWN, registrable_domain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_MOST_BRANCHES = 8
"""Sub-domains named in one line; with more of them the line would say less than a look at the names."""


def whitelist_entry(wanted: Collection[str], unwanted: Collection[str]) -> str | None:
    """Return the tightest line of a client whitelist that covers all wanted client names and no unwanted one.

    The names are of one registrable domain. Returns ``None`` where there is no such line: nothing is wanted, a wanted
    name is none, or wanted and unwanted names can't be told apart by their labels.
    """
    names = {name.lower() for name in wanted}
    if not names or any(registrable_domain(name) == UNKNOWN for name in names):
        return None
    others = [name.lower() for name in unwanted]
    if len(names) == 1:
        (name,) = names
        return f"/^{_escaped(name)}$/" if name not in others else None
    suffix = _common_suffix(names)
    if not any(_ends_in(name, suffix) for name in others):
        return _line([suffix], names)
    branches = _branches(names, suffix)
    if len(branches) > _MOST_BRANCHES or any(_ends_in(name, branch) for name in others for branch in branches):
        return None
    return _line(branches, names)


def _common_suffix(names: Collection[str]) -> str:
    """Return the labels that all names end in; at least the registrable domain."""
    labels = [name.split(".")[::-1] for name in names]
    shared = []
    for column in zip(*labels, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(reversed(shared))


def _branches(names: Iterable[str], suffix: str) -> list[str]:
    """Return the longest suffixes, one below another, that the names fall into."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    depth = suffix.count(".") + 2
    for name in names:
        groups[".".join(name.split(".")[-depth:])].add(name)
    return sorted(_common_suffix(group) for group in groups.values())


def _line(suffixes: list[str], names: Collection[str]) -> str:
    """Return the pattern; with an alternative for the suffix itself where a client has just that name."""
    start = r"(?:^|\.)" if any(name in suffixes for name in names) else r"\."
    if len(suffixes) == 1:
        return f"/{start}{_escaped(suffixes[0])}$/"
    return f"/{start}(?:{'|'.join(map(_escaped, suffixes))})$/"


def _ends_in(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")
