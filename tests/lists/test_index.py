"""The look-up gives the entry that trying every entry in postgrey's order gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lists.perl_strategies import addresses, client_names, common_lines, domains, hosts, odd_lines
from postgrey_exporter.lists import Cover, Lists, read_ignore, read_whitelist
from postgrey_exporter.lists.content import Name
from postgrey_exporter.lists.netaddr import Network, read_address
from postgrey_exporter.lists.patterns import ClientPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postgrey_exporter.lists import ListContent
    from postgrey_exporter.lists.content import Entry


def has_name(entry: Entry, name: bytes) -> bool:
    if isinstance(entry.covers, ClientPattern):
        return entry.covers.matches(name, name.lower())
    return isinstance(entry.covers, Name) and (b"." + name.lower()).endswith(b"." + entry.covers.labels)


def holds(entry: Entry, address: str) -> bool:
    client = read_address(address)
    return isinstance(entry.covers, Network) and client is not None and entry.covers.holds(client)


def tried_in_turn(
    whitelist: Sequence[ListContent], ignore: Sequence[ListContent], name: str, address: str
) -> tuple[str, str, int] | None:
    """Try names and patterns, then networks, then the ignore files."""
    raw = name.encode()
    listed = [(content.file, entry) for content in whitelist for entry in content.entries]
    ignored = [(content.file, entry) for content in ignore for entry in content.entries]
    for file, entry in listed:
        if has_name(entry, raw):
            return "whitelist", file, entry.line
    for file, entry in listed:
        if holds(entry, address):
            return "whitelist", file, entry.line
    for file, entry in ignored:
        if has_name(entry, raw):
            return "ignore", file, entry.line
    return None


contents = st.lists(common_lines | odd_lines, max_size=30).map(lambda lines: "\n".join(lines).encode())
ignore_contents = st.lists(domains | hosts, max_size=5).map(lambda lines: "\n".join(lines).encode())
clients = st.lists(st.tuples(client_names, addresses), min_size=1, max_size=30)


@given(st.lists(contents, max_size=3), ignore_contents, clients)
@settings(max_examples=150)
def test_the_first_entry_in_postgreys_order_covers(
    whitelists: list[bytes], ignored: bytes, asked: list[tuple[str, str]]
) -> None:
    whitelist = [read_whitelist(content, f"whitelist {number}") for number, content in enumerate(whitelists)]
    ignore = [read_ignore(ignored, "ignore")]
    lists = Lists(whitelist, ignore)
    for client in asked:
        cover = lists.covers(*client)
        assert (cover and (cover.list, cover.file, cover.line)) == tried_in_turn(whitelist, ignore, *client)


def covered(content: bytes, name: str, address: str = "203.0.113.9") -> int | None:
    cover = Lists([read_whitelist(content, "list")]).covers(name, address)
    return None if cover is None else cover.line


@pytest.mark.parametrize(
    ("content", "name", "line"),
    [
        pytest.param(b"example.com\n/mail/", "mail.example.com", 1, id="name before pattern"),
        pytest.param(b"/mail/\nexample.com", "mail.example.com", 1, id="pattern before name"),
        pytest.param(b"com\nexample.com", "mail.example.com", 1, id="wider name first"),
        pytest.param(b"203.0.113.9\nexample.com", "mail.example.com", 2, id="names come before networks"),
        pytest.param(b"203.0.113.0/24\n203.0.113.9", "x", 1, id="wider network first"),
        pytest.param(b"203.0.113.9\n203.0.113.0/24", "x", 1, id="narrower network first"),
    ],
)
def test_of_several_entries_the_one_that_postgrey_meets_first_is_named(content: bytes, name: str, line: int) -> None:
    assert covered(content, name) == line


def test_the_whitelist_is_named_before_the_ignore_file() -> None:
    lists = Lists([read_whitelist(b"192.0.2.1", "white")], [read_ignore(b"example.com", "ignore")])
    assert lists.covers("a.example.com", "192.0.2.1") == Cover("whitelist", "white", 1, "192.0.2.1")
    assert lists.covers("a.example.com", "192.0.2.2") == Cover("ignore", "ignore", 1, "example.com")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(rb"/\.(?:example|sample)\.com$/", True, id="branches before the end"),
        pytest.param(rb"/\.(?:example\.com|sample\.net)$/", True, id="branches up to the end"),
        pytest.param(rb"/^mail\.example\.com$|^mx$/", True, id="branches of the whole"),
        pytest.param(rb"/^(?:mail|)\.example\.com\Z/", True, id="an empty branch"),
        pytest.param(rb"/example.com$/", True, id="a dot that may be anything"),
        pytest.param(rb"/l.e.a.p.e...m$/", True, id="more gaps than text"),
        pytest.param(rb"/\....$/", True, id="nothing but gaps"),
        pytest.param(rb"/(\.com){1}$/", True, id="a counted end"),
        pytest.param(rb"/.*+\.example\.com$/", False, id="a possessive start takes it all"),
        pytest.param(rb"/\.example\.com\b$/", True, id="a condition at the end"),
        pytest.param(rb"/(?=mail).*\.com$/", True, id="a condition at the start"),
        pytest.param(rb"/mail(?=\.example)\.example\.com$/", True, id="a condition on the end"),
        pytest.param(rb"/mail(?!\.example)\.example\.com$/", False, id="a condition against the end"),
        pytest.param(rb"/exam\Bple\.com$/", True, id="no edge of a word before the end"),
        pytest.param(rb"/exam\bple\.com$/", False, id="an edge of a word before the end"),
        pytest.param(rb"/$/", True, id="the end alone"),
        pytest.param(rb"/^$/", False, id="nothing"),
        pytest.param(rb"/m$/", True, id="one letter"),
        pytest.param(rb"/(?-i:com)$/", True, id="case matters at the end"),
        pytest.param(rb"/(?-i:COM)$/", False, id="another case at the end"),
        pytest.param(rb"/^(.)ail\.example\.com$/", True, id="whole name"),
        pytest.param(rb"/^.*$/", True, id="anything"),
        pytest.param(rb"/ample/", True, id="no end"),
    ],
)
def test_a_pattern_is_found_by_whatever_end_it_has(content: bytes, *, expected: bool) -> None:
    assert (covered(content, "mail.example.com") is not None) is expected


def test_text_that_begins_with_the_dot_before_the_parent_domain_is_found() -> None:
    assert covered(rb"/\.exa.com$/", "mail.exa.com") == 1


@pytest.mark.parametrize("content", [b"/n$/", b"/^.nknown$/", b"/wn$/", b"unknown", b"/^unknown$/", b"/kn/"])
def test_a_name_without_a_dot_is_covered_too(content: bytes) -> None:
    assert covered(content, "unknown") == 1


def test_a_name_ends_where_the_policy_protocol_ends_it() -> None:
    assert covered(b"example.com", "mail.example.com\nx") == 1
    assert covered(b"/x$/", "x" * 600 + ".example.com") == 1


@pytest.mark.parametrize("address", ["", "unknown", "999.1.1.1", "192.0.2", "192.0.2.1.1", "fe80::1%eth0", "a.b.c.1"])
def test_what_is_no_address_lies_in_no_network(address: str) -> None:
    lists = Lists([read_whitelist(b"::/0\n0.0.0.0/0\n192.0.2", "list")])
    for asked in ("192.0.2.1", address, address):
        cover = lists.covers("mail.example.com", asked)
    assert cover is None


def test_a_network_is_told_from_its_neighbours_however_often_one_asks() -> None:
    lists = Lists([read_whitelist(b"192.0.2.0/25\n192.0.3.0/24\n192.0.2.200", "list")])
    asked = ["192.0.2.1", "192.0.2.127", "192.0.2.128", "192.0.2.200", "192.0.3.0", "192.0.3.255", "192.0.4.0"]
    for _ in range(2):
        covers = [lists.covers("x.example.com", address) for address in asked]
        assert [cover and cover.line for cover in covers] == [1, 1, None, 3, 2, 2, None]


def test_an_address_with_a_mask_is_covered_by_what_holds_all_of_it() -> None:
    lists = Lists([read_whitelist(b"192.0.2.0/25", "list")])
    assert lists.covers("x.example.com", "192.0.2.1/32")
    assert not lists.covers("x.example.com", "192.0.2.0/24")
    lists = Lists([read_whitelist(b"2001:db8::/31", "list")])
    assert lists.covers("x.example.com", "2001:db8::/32")
    assert not lists.covers("x.example.com", "2001:db8::/30")
