"""The public suffix list is read without tldextract; tldextract is the oracle for what it says."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tldextract import TLDExtract

from postgrey_exporter.clients import public_suffixes as suffixes
from postgrey_exporter.clients.domains import UNKNOWN, domain_of_all_below, registrable_domain
from postgrey_exporter.clients.public_suffixes import SuffixList, icann_rules, public_suffixes

if TYPE_CHECKING:
    from pathlib import Path

ORACLE: Final = TLDExtract(cache_dir=None, suffix_list_urls=())
RULES: Final = sorted(ORACLE.tlds)


def by_oracle(name: str, oracle: TLDExtract = ORACLE) -> str:
    found = oracle.extract_str(name)
    labels = name.split(".")
    # The list's own default rule, which tldextract leaves to its caller.
    by_default = ".".join(labels[-2:]) if labels[1:] else ""
    return found.top_domain_under_public_suffix if found.suffix else by_default


def punycode(name: str) -> str:
    """Return a name as logs have it, IDNs in Punycode."""
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in name.split(".")
    )


NAMES: Final = sorted({punycode(rule.replace("*", "wild").removeprefix("!")) for rule in RULES})


@pytest.mark.parametrize("front", ["", "a.", "b.a.", "c.b.a.", "xn--bcher-kva.", "a.xn--bcher-kva."])
def test_every_rule_means_what_it_means_to_tldextract(front: str) -> None:
    names = [f"{front}{name}" for name in NAMES]

    assert [registrable_domain(name) for name in names] == [by_oracle(name) or UNKNOWN for name in names]


def test_a_parent_of_rules_has_one_domain_below_it_exactly_where_its_hosts_agree() -> None:
    labels: dict[str, set[str]] = {}
    for name in NAMES:
        for parent in (name, f"a.{name}", f"b.a.{name}", name.partition(".")[2]):
            labels.setdefault(parent, {"host"})
        first, _, parent = name.partition(".")
        labels[parent].add(first)
    wrong = {}
    for parent, hosts in labels.items():
        domains = {by_oracle(f"{host}.{parent}") for host in hosts} | {by_oracle(parent)}
        agreed = domains.pop() if len(domains) == 1 else ""
        if domain_of_all_below(parent) != (agreed or None):
            wrong[parent] = (domain_of_all_below(parent), agreed)

    assert len(labels) > len(NAMES)
    assert wrong == {}


LABELS: Final = sorted({label for name in NAMES for label in name.split(".")})
ANY_LABEL: Final = (
    st.sampled_from(LABELS)
    | st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
    | st.from_regex(r"xn--[a-z0-9-]{0,12}[a-z0-9]", fullmatch=True)
)


@given(front=st.lists(ANY_LABEL, max_size=4), suffix=st.sampled_from(NAMES) | ANY_LABEL)
def test_any_name_has_the_domain_that_tldextract_finds(front: list[str], suffix: str) -> None:
    name = ".".join([*front, suffix])

    assert public_suffixes().registrable(name)[0] == by_oracle(name)


# Below `made-up`: what the list has today, and what it might have one day.
MADE_UP: Final = (
    *("made-up", "a.made-up", "b.a.made-up"),
    *("*.b.made-up", "!c.b.made-up"),
    *("c.made-up", "*.c.made-up", "b.a.c.made-up", "!x.c.made-up"),
    *("c.b.a.x.made-up", "*.c.x.made-up"),
    *("*.void", "a.b.void", "!c.void"),
)


def test_rules_that_lie_across_each_other_mean_what_they_mean_to_tldextract() -> None:
    oracle = TLDExtract(cache_dir=None, suffix_list_urls=(), extra_suffixes=MADE_UP)
    listed = SuffixList(oracle.tlds)
    names = [
        ".".join([*labels, end])
        for end in ("made-up", "void", "nowhere")
        for size in range(6)
        for labels in product("abcx", repeat=size)
    ]

    assert [listed.registrable(name)[0] for name in names] == [by_oracle(name, oracle) for name in names]


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("xn---p1ai", id="not-canonical"),
        pytest.param("xn--com-", id="nothing-encoded"),
        pytest.param("xn--99999999", id="beyond-unicode"),
    ],
)
def test_what_only_looks_like_an_idn_is_taken_as_it_is(label: str) -> None:
    name = f"a.b.{label}"

    assert public_suffixes().registrable(name) == (f"b.{label}", True)
    assert by_oracle(name) == f"b.{label}"


def test_the_whole_list_is_read() -> None:
    assert public_suffixes().registrable("a.xn--p1ai") == ("a.xn--p1ai", True)
    assert sorted(suffixes._bundled_rules()) == RULES  # noqa: SLF001 - that nothing is missing shows nowhere else


def test_rules_stand_alone_on_their_lines_in_the_icann_section() -> None:
    text = """
// ===BEGIN ICANN DOMAINS===

// com : https://example.com/ net
com
co.uk  what follows a blank is no part of it
*.ck
  indented

// ===END ICANN DOMAINS===
// ===BEGIN PRIVATE DOMAINS===
example.org
"""
    assert icann_rules(text.encode()) == ["com", "co.uk", "*.ck"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b'["com", "example"]', id="json"),
        pytest.param(b"// ===BEGIN ICANN DOMAINS===\nexample\n", id="cut-short"),
        pytest.param(b"// ===BEGIN ICANN DOMAINS===\n\xff\n// ===END ICANN DOMAINS===", id="no-text"),
    ],
)
def test_where_the_file_is_not_what_it_should_be_tldextract_is_asked(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / ".tld_set_snapshot").write_bytes(content)
    monkeypatch.setattr(suffixes, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    public_suffixes.cache_clear()
    try:
        found = [public_suffixes().registrable(name)[0] for name in ("a.b.co.uk", "a.example", "x.city.kobe.jp")]
    finally:
        public_suffixes.cache_clear()

    assert found == ["b.co.uk", "a.example", "city.kobe.jp"]


def test_tldextract_is_not_loaded() -> None:
    code = (
        "import sys; from postgrey_exporter.clients.domains import registrable_domain; "
        "print(registrable_domain('a.b.co.uk'), *{'tldextract', 'requests', 'idna'} & sys.modules.keys())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "b.co.uk\n"
