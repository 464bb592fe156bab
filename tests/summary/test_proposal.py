from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import Postgrey

from postgrey_exporter.clients.domains import registrable_domain
from postgrey_exporter.lists import Lists, read_whitelist
from postgrey_exporter.summary.proposal import MOST_BRANCHES, _candidates, network_entry, whitelist_entry

if TYPE_CHECKING:
    from pathlib import Path


def lists(line: str) -> Lists:
    content = read_whitelist(f"{line}\n".encode(), "proposed")
    assert (len(content.entries), content.warnings) == (1, ())
    return Lists([content])


CASES: dict[str, tuple[list[str], list[str], str | None]] = {
    "one server: its name": (["mail.example.com"], [], r"/^mail\.example\.com$/"),
    "one server that is the domain itself": (["example.com"], ["a.example.com"], r"/^example\.com$/"),
    "the sub-domain that all are in": (
        [
            "mail-ve1eur01on2040.outbound.protection.outlook.com",
            "mail-am6eur05on2062.outbound.protection.outlook.com",
        ],
        [],
        r"/\.outbound\.protection\.outlook\.com$/",
    ),
    "some sub-domains": (
        [
            "a4-20.smtp-out.eu-west-1.amazonses.com",
            "a5-1.smtp-out.eu-west-1.amazonses.com",
            "a8-27.smtp-out.amazonses.com",
        ],
        [],
        r"/(?:\.smtp-out|\.smtp-out\.eu-west-1)\.amazonses\.com$/",
    ),
    "too many sub-domains: any number in them": (
        [f"mail{n}.atl{n}.mcsv.net" for n in range(80, 80 + MOST_BRANCHES + 1)],
        [],
        r"/\.atl[0-9]+\.mcsv\.net$/",
    ),
    "hosts right under the domain: any number in them": (
        ["cmta1.telus.net", "cmta22.telus.net"],
        ["d198-51-100-7.bchsia.telus.net"],
        r"/^cmta[0-9]+\.telus\.net$/",
    ),
    "hosts and a sub-domain": (
        ["mta1.telus.net", "mta22.telus.net", "a.mail.telus.net"],
        [],
        r"/(?:\.mail|^mta[0-9]+)\.telus\.net$/",
    ),
    "customers in the same sub-domain: the servers' own shape": (
        ["m1.net.example.com", "m2.net.example.com"],
        ["dsl1.net.example.com"],
        r"/^m[0-9]+\.net\.example\.com$/",
    ),
    "the domain itself among them": (
        ["mail.example.com", "example.com"],
        ["h1.example.com"],
        r"/^(?:example\.com|mail\.example\.com)$/",
    ),
    "a sub-domain that is a server as well": (
        ["mail.net.example.com", "a.mail.net.example.com"],
        ["b.net.example.com"],
        r"/(?:^|\.)mail\.net\.example\.com$/",
    ),
    "nothing in common, and nothing else seen: the domain": (
        [f"spruce-{x}.example.com" for x in "abcdefghi"],
        [],
        r"/\.example\.com$/",
    ),
    "nothing in common, and others": ([f"spruce-{x}.example.com" for x in "abcdefghi"], ["h1.example.com"], None),
    "the same shape as the others": (["h1.example.com", "h2.example.com"], ["h3.example.com"], None),
    "wanted and unwanted": (["a.example.com"], ["A.example.com."], None),
    "odd characters": (["a_b.example.com", "a-b.example.com"], [], r"/(?:^a-b|^a_b)\.example\.com$/"),
    "nothing wanted": ([], ["a.example.com"], None),
    "no name": (["unknown"], [], None),
    "two domains": (["a.example.com", "a.example.org"], [], None),
}


@pytest.mark.parametrize(("wanted", "unwanted", "line"), CASES.values(), ids=CASES.keys())
def test_the_proposed_line(wanted: list[str], unwanted: list[str], line: str | None) -> None:
    assert whitelist_entry(wanted, unwanted) == line


def test_more_alternatives_than_anybody_reads_are_no_line() -> None:
    def hosts(count: int) -> list[str]:
        return [f"{word}.example.com" for word in "abcdefghijk"[:count]]

    assert whitelist_entry(hosts(MOST_BRANCHES), ["x.example.com"]) is not None
    assert whitelist_entry(hosts(MOST_BRANCHES + 1), ["x.example.com"]) is None


label = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9_])?", fullmatch=True) | st.sampled_from(
    ["mail1", "mail2", "mta10", "smtp-out", "dsl", "net", "x0", "0"]
)
domain = st.sampled_from(["example.com", "example.co.uk"])
hosts = st.lists(st.lists(label, max_size=3), max_size=12)


@given(domain, hosts, hosts)
def test_a_line_covers_every_wanted_and_no_unwanted_name(
    name: str, wanted: list[list[str]], unwanted: list[list[str]]
) -> None:
    needed = {".".join([*labels, name]) for labels in wanted}
    others = {".".join([*labels, name]) for labels in unwanted}
    line = whitelist_entry(needed, others)
    if line is None:
        return
    chosen = lists(line)
    assert all(chosen.covers(one, "198.51.100.7") for one in needed)
    assert not any(chosen.covers(one, "198.51.100.7") for one in others)
    # Anchored at a label and escaped: nothing outside of the domain is covered by chance.
    for one in needed:
        assert registrable_domain(one) == name
        for stranger in (f"{one}.evil.example", f"evil-{name}", f"mail1.evil-{name}", one.replace(".", "x")):
            assert not chosen.covers(stranger, "198.51.100.7")


@given(domain, hosts, hosts)
def test_what_a_line_is_taken_to_cover_is_what_explain_says(
    name: str, wanted: list[list[str]], others: list[list[str]]
) -> None:
    needed = {".".join([*labels, name]) for labels in wanted}
    asked = needed | {".".join([*labels, name]) for labels in others}
    if not needed:
        return
    for line, covers in _candidates(needed, name, alone=True):
        chosen = lists(line)
        assert [covers(one) for one in asked] == [chosen.covers(one, "198.51.100.7") is not None for one in asked]


@given(domain, hosts)
def test_there_is_a_line_for_any_names_when_nothing_else_was_seen(name: str, wanted: list[list[str]]) -> None:
    needed = {".".join([*labels, name]) for labels in wanted}
    assert (whitelist_entry(needed, ()) is None) == (not needed)


@pytest.mark.parametrize(
    ("addresses", "line"),
    [
        pytest.param(["198.51.100.7"], "198.51.100.7", id="one client"),
        pytest.param(["198.51.100.7", "198.51.100.9"], "198.51.100.0/24", id="two: their network"),
        pytest.param(["2001:db8::7"], "2001:db8::7", id="one client, IPv6"),
        pytest.param(["2001:db8::7", "2001:db8::9"], "2001:db8::/64", id="two, IPv6"),
        pytest.param(["198.51.100.7", "203.0.113.7"], None, id="two networks"),
        pytest.param([""], None, id="no address in the log"),
        pytest.param([], None, id="nobody"),
    ],
)
def test_clients_without_a_name_get_an_address_or_a_network(addresses: list[str], line: str | None) -> None:
    assert network_entry(addresses) == line
    if line:
        assert all(lists(line).covers("unknown", address) for address in addresses)


def test_postgrey_takes_the_proposed_lines_as_meant(tmp_path: Path) -> None:
    asked = 0
    for wanted, unwanted, line in CASES.values():
        if line is None:
            continue
        whitelist = tmp_path / "whitelist_clients"
        whitelist.write_text(f"{line}\n")
        with Postgrey(whitelist_files=[whitelist]) as postgrey:
            for name in wanted:
                assert postgrey.ask(name, "198.51.100.7", "a@example.net", "b@example.org") == "DUNNO"
            for name in [*unwanted, *(f"{name}.example.net" for name in wanted)]:
                assert "DEFER" in postgrey.ask(name, "198.51.100.7", "a@example.net", "b@example.org")
            said = postgrey.log_lines()
        asked += len(wanted)
        assert sum("reason=client whitelist" in text for text in said) == len(wanted)
        assert not [text for text in said if re.search("warn", text, re.IGNORECASE)]
    assert asked > 30
