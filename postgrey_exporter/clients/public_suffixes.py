"""The public suffix list that tldextract brings along, ICANN suffixes only: which part of a name somebody registered.

No network, no cache folder. The answers are tldextract's, by a test on every rule. Its file is read without it, since
importing it costs 0.38 s of processor time and 21 MB: more than a report on a small log. importlib.resources costs
0.02 s, so it doesn't serve either. Where the list isn't found, tldextract is asked for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SNAPSHOT: Final = ".tld_set_snapshot"
_BEGIN: Final = b"// ===BEGIN ICANN DOMAINS==="
_END: Final = b"// ===END ICANN DOMAINS==="
_RULE: Final = re.compile(r"\n([^/\s]\S*)")
_ENCODED: Final = "xn--"


class SuffixList:
    """Rules of the public suffix list: ``co.uk``, ``*.ck``, ``!www.ck``."""

    def __init__(self, rules: Iterable[str]) -> None:
        """Take the rules as the list spells them, IDNs in Unicode."""
        self._rules = frozenset(rules)
        parents = {rule.partition(".")[2] for rule in self._rules}
        self._wildcards = frozenset(name for name in parents if f"*.{name}" in self._rules)
        self._gaps = _gaps(parents, self._rules)

    def __contains__(self, name: str) -> bool:
        """Tell whether a name, in lower case and IDNs in Punycode, stands in the list."""
        return ".".join(map(_in_unicode, name.split("."))) in self._rules

    def registrable(self, name: str) -> tuple[str, bool]:
        """Return the registrable domain of a host name, and whether all names below have the same one.

        The name is in lower case, IDNs in Punycode. The domain is empty for a public suffix, and for a single label.
        A name below no public suffix counts under its last two labels: the list's own default rule.
        """
        if _ENCODED not in name:
            return self._registrable(name)
        labels = name.split(".")
        domain, settled = self._registrable(".".join(map(_in_unicode, labels)))
        return (".".join(labels[-1 - domain.count(".") :]) if domain else ""), settled

    def _registrable(self, name: str) -> tuple[str, bool]:
        """Do it for a name that is spelled as the list does.

        As tldextract does, a wildcard is not gone back to: the part that a label goes on to a rule with decides.
        """
        rules, gaps = self._rules, self._gaps
        suffix = start = behind = len(name) + 1
        settled = False
        shorter = ""
        while start:
            before, start = start, name.rfind(".", 0, start - 1) + 1
            longer = name[start:]
            if longer in rules:
                suffix = start
            elif longer not in gaps:
                if shorter in self._wildcards:
                    suffix = before if f"!{longer}" in rules else start
                settled = True
                break
            shorter = longer
        if suffix == behind:
            suffix = name.rfind(".") + 1
        if not suffix:
            return "", False
        return name[name.rfind(".", 0, suffix - 1) + 1 :], settled


def _gaps(parents: set[str], rules: frozenset[str]) -> frozenset[str]:
    """Return the names that are no suffixes, with suffixes below them: ``kawasaki.jp`` with ``*.kawasaki.jp``."""
    found: set[str] = set()
    new = parents - rules
    while new:
        found |= new
        new = {name.partition(".")[2] for name in new} - rules - found
    return frozenset(found)


@lru_cache(maxsize=1024)
def _in_unicode(label: str) -> str:
    """Return a label with its Punycode decoded, or as it is where it is not the one right spelling of an IDN."""
    if not label.startswith(_ENCODED):
        return label
    encoded = label.removeprefix(_ENCODED).encode()
    try:
        decoded = encoded.decode("punycode")
        return label if decoded.isascii() or decoded.encode("punycode") != encoded else decoded
    except UnicodeError:
        return label


@lru_cache(maxsize=1)
def public_suffixes() -> SuffixList:
    """Return the list that comes with the installed tldextract."""
    return SuffixList(_bundled_rules() or _rules_by_tldextract())


def _bundled_rules() -> list[str]:
    """Return the rules in tldextract's file; none where it isn't there, or isn't what it should be."""
    package = find_spec("tldextract")
    if package is None or package.origin is None:
        return []
    try:
        return icann_rules(Path(package.origin).with_name(_SNAPSHOT).read_bytes())
    except (OSError, UnicodeError):
        return []


def icann_rules(text: bytes) -> list[str]:
    """Return the rules in the ICANN section of a public suffix list; none where it has no such section."""
    _, begin, rest = text.partition(_BEGIN)
    section, end, _ = rest.partition(_END)
    return _RULE.findall(section.decode()) if begin and end else []


def _rules_by_tldextract() -> list[str]:
    from tldextract import TLDExtract  # noqa: PLC0415 - it takes long

    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True).tlds
