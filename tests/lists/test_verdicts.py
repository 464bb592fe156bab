"""Many clients judged at once, and domains passed over, with the answers that one client at a time would get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import network_number

from lists.perl_strategies import (
    LABELS,
    TOPS,
    addresses,
    client_names,
    common_lines,
    common_patterns,
    domains,
    hosts,
    odd_lines,
)
from postgrey_exporter.clients.addresses import normalise
from postgrey_exporter.lists import Lists, read_ignore, read_whitelist
from postgrey_exporter.lists.verdict import IGNORED, UNCOVERED, WHITELISTED

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_ADDRESS = ""
"""Lies in no network."""

patterns = common_patterns.map("/{}/".format)
dots = st.sampled_from([r"\.", ".", ""])
ends = st.builds(r"/{}{}{}$/".format, st.sampled_from(LABELS), dots, st.sampled_from(TOPS))
whole_names = hosts.map(lambda host: "/^" + host.replace(".", r"\.") + "$/")
placed_lines = st.one_of(hosts, domains, whole_names, ends)
"""Lines about names that say how these end, of which a domain can be told that none of them is about any in it."""


def contents(lines: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return st.lists(lines, max_size=12).map(lambda drawn: "\n".join(drawn).encode())


def one_at_a_time(lists: Lists, clients: Iterable[tuple[str, str]]) -> list[int]:
    covers = (lists.covers(*client) for client in clients)
    verdict = {"whitelist": WHITELISTED, "ignore": IGNORED}
    return [verdict[cover.list] if cover else UNCOVERED for cover in covers]


odd_names = st.sampled_from(["", ".", "a.", ".example.com", "mail.example.com\nx", "x" * 600 + ".com"])
names = client_names | hosts | odd_names
clients = st.lists(st.tuples(names, addresses | st.sampled_from(["", "unknown", "198.18.0.1/32"])), max_size=30)


@given(contents(common_lines | odd_lines | placed_lines | patterns), contents(domains | hosts), clients)
@settings(max_examples=200)
def test_many_clients_get_the_verdicts_that_each_of_them_gets(
    whitelist: bytes, ignored: bytes, asked: list[tuple[str, str]]
) -> None:
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignored, "ignore")])

    assert list(lists.verdicts(asked)) == one_at_a_time(lists, asked)


def test_more_clients_than_are_judged_together_keep_their_order() -> None:
    whitelist = b"pool7.example.com\n/l8\\.exam/\n/9\\.pool[0-5]\\.example\\.net/\n192.0.2.0/28"
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(b"example.net", "ignore")])
    names = [f"mail{n}.pool{n % 9}.example.{('com', 'net')[n % 2]}" for n in range(4321)]
    asked = [(name, f"192.0.{n % 3}.{n % 251}") for n, name in enumerate(names)]
    expected = one_at_a_time(lists, asked)

    assert list(lists.verdicts(iter(asked))) == expected
    assert set(expected) == {UNCOVERED, WHITELISTED, IGNORED}


def test_each_of_many_patterns_without_an_end_finds_its_names() -> None:
    fronts = [f"{kind}{n}" for n in range(30) for kind in ("mx", "mail", "pool-")]
    whitelist = "".join(f"/^{front}\\.(example|sample)/\n" for front in fronts) + "/xq-.?/\n"
    lists = Lists([read_whitelist(whitelist.encode(), "whitelist")])
    covered = [f"{front}.example.com" for front in fronts] + ["axq-.example.com"]
    others = ["mx30.example.com", "mx.1.example.com", "amail7.example.com", "x.q.example.com", "mx1", "q", ""]

    asked = [(name, NO_ADDRESS) for name in covered + others]
    expected = [WHITELISTED] * len(covered) + [UNCOVERED] * len(others)
    assert one_at_a_time(lists, asked) == expected
    assert list(lists.verdicts(asked)) == expected


def test_a_pattern_of_several_branches_finds_the_names_of_each() -> None:
    lines = [rf"/^(?=mx)mx{n}\.example|(?<=out)-{n}\.sample\.(?!org)/" for n in range(30)]
    lists = Lists([read_whitelist("\n".join(lines).encode(), "whitelist")])
    covered = ["MX7.example.com", "mx29.example.net", "a.out-7.sample.com", "out-0.Sample.net"]
    others = ["mx30.example.com", "amx7.example.com", "out-7.sample.org", "in-7.sample.com", "mx7.sample.com"]

    asked = [(name, NO_ADDRESS) for name in covered + others]
    assert list(lists.verdicts(asked)) == [WHITELISTED] * len(covered) + [UNCOVERED] * len(others)
    assert one_at_a_time(lists, asked) == list(lists.verdicts(asked))


@pytest.mark.parametrize("line", [b"example.com", rb"/\.example\.com/", rb"/\.example\.com$/"])
def test_a_name_ends_where_the_policy_protocol_ends_it(line: bytes) -> None:
    lists = Lists([read_whitelist(line, "whitelist")])
    cut = "x" * 500 + ".example.com"
    ended = [(name, "192.0.2.1") for name in ("x.example.com\ny", "x\n.example.com")]
    long = [(name, "192.0.2.1") for name in (f"{cut}.org", f"x{cut}")]

    assert list(lists.verdicts(ended)) == [WHITELISTED, UNCOVERED]
    assert list(lists.verdicts(long)) == [WHITELISTED, UNCOVERED]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param(rb"/\.exa.com$/", "mail.exa.com", id="the dot before the parent domain"),
        pytest.param(b"/wn$/", "unknown", id="no parent domain"),
        pytest.param(rb"/^l.ngname-.\.de$/", "longname-7.de", id="the label and a short parent domain"),
    ],
)
def test_a_pattern_with_a_gap_finds_names_whose_parent_domain_is_too_short_to_tell(line: bytes, name: str) -> None:
    lists = Lists([read_whitelist(line, "whitelist")])

    assert list(lists.verdicts([(name, NO_ADDRESS), (f"x{name}x", NO_ADDRESS)])) == [WHITELISTED, UNCOVERED]
    assert lists.may_cover_names_below(name.partition(".")[2])


def test_a_name_may_be_all_dots() -> None:
    lists = Lists([read_whitelist(rb"/^\.+$/", "whitelist")])

    assert list(lists.verdicts([("." * 512, NO_ADDRESS)])) == [WHITELISTED]
    assert lists.may_cover_names_below("." * 448)


def test_what_is_no_address_lies_in_no_network_whatever_its_neighbours_do() -> None:
    lists = Lists([read_whitelist(b"192.0.2.0/24", "whitelist")])
    asked = [("unknown", address) for address in ("192.0.2.1", "192.0.2.x", "192.0.2.256", "192.0.2.2/32")]

    assert list(lists.verdicts(asked)) == [WHITELISTED, UNCOVERED, UNCOVERED, WHITELISTED]


def test_clients_of_one_name_get_one_verdict_however_they_write_it() -> None:
    lists = Lists([read_whitelist(rb"/(?-i)^Mail\.example\.com$/", "whitelist")])
    asked = [("Mail.example.com", "192.0.2.1"), ("mail.example.com", "192.0.2.1"), ("Mail.example.com", "192.0.2.2")]

    assert list(lists.verdicts(asked)) == [WHITELISTED, UNCOVERED, WHITELISTED]


def in_network(lists: Lists, address: str) -> bool:
    """Tell whether an entry may hold a client in the same network; an odd spelling may mean any."""
    try:
        return lists.may_cover_network(network_number(normalise(address) if address else ""))
    except ValueError:
        return True


labels = st.sampled_from(["", "unknown", *LABELS]) | client_names.map(lambda name: name.partition(".")[0][:63])
parents = hosts | domains | st.sampled_from(["", ".", *TOPS]) | client_names
below = st.lists(st.tuples(labels, addresses), min_size=1, max_size=20)


@given(contents(placed_lines) | contents(common_lines | odd_lines | patterns), contents(domains), parents, below)
@settings(max_examples=300)
def test_below_a_domain_that_may_be_passed_over_no_client_is_covered(
    whitelist: bytes, ignored: bytes, parent: str, asked: list[tuple[str, str]]
) -> None:
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignored, "ignore")])

    if not lists.may_cover_names_below(parent):
        assert {lists.covers(f"{label}.{parent}", NO_ADDRESS) for label, _ in asked} == {None}
        elsewhere = [(label, address) for label, address in asked if not in_network(lists, address)]
        assert {lists.covers(f"{label}.{parent}", address) for label, address in elsewhere} <= {None}


@pytest.mark.parametrize(
    ("whitelist", "ignored", "parent", "expected"),
    [
        pytest.param(b"", b"", "pool.example.com", False, id="no entries"),
        pytest.param(b"example.net", b"example.org", "pool.example.com", False, id="entries for other domains"),
        pytest.param(b"example.com", b"", "pool.example.com", True, id="a name above"),
        pytest.param(b"pool.example.com", b"", "Pool.Example.Com", True, id="the name itself in another case"),
        pytest.param(b"mx.pool.example.com", b"", "pool.example.com", True, id="a name below"),
        pytest.param(b"a.mx.pool.example.com", b"", "pool.example.com", False, id="a name two labels below"),
        pytest.param(b"", b"mx.pool.example.com", "pool.example.com", True, id="an ignored name below"),
        pytest.param(b"", b"com", "pool.example.com", True, id="an ignored top"),
        pytest.param(rb"/^mx\d+\.example\.com$/", b"", "example.com", True, id="a pattern with this end"),
        pytest.param(rb"/^mx\d+\.example\.com$/", b"", "example.net", False, id="a pattern with another end"),
        pytest.param(rb"/^mx\.example\.com$/", b"", "example.com", True, id="a pattern for one name"),
        pytest.param(rb"/\.example.com$/", b"", "pool.example.com", True, id="a pattern with a gap in its end"),
        pytest.param(rb"/\.example.com$/", b"", "pool.sample.com", False, id="a gap in another end"),
        pytest.param(rb"/^mx\./", b"", "pool.example.com", True, id="a pattern without an end"),
        pytest.param(b"198.18.7.7", b"", "pool.example.com", False, id="a network"),
        pytest.param(b"example.net", b"", "x." * 240 + "com", True, id="longer than postgrey looks"),
    ],
)
def test_a_domain_may_be_passed_over_where_no_entry_is_about_a_host_in_it(
    whitelist: bytes, ignored: bytes, parent: str, *, expected: bool
) -> None:
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignored, "ignore")])

    assert lists.may_cover_names_below(parent) is expected


@given(contents(placed_lines) | contents(common_lines | odd_lines | patterns), contents(domains), domains, below)
@settings(max_examples=300)
def test_where_a_domain_has_one_verdict_all_its_clients_have_it_by_their_names(
    whitelist: bytes, ignored: bytes, domain: str, asked: list[tuple[str, str]]
) -> None:
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignored, "ignore")])

    verdict = lists.verdict_by_domain(domain)
    names = [domain, *(f"{label}.{domain}" for label, _ in asked), *(f"mx.{label}.{domain}" for label, _ in asked)]
    if verdict is not None:
        assert set(one_at_a_time(lists, [(name, NO_ADDRESS) for name in names])) == {verdict}


@pytest.mark.parametrize(
    ("whitelist", "ignored", "domain", "expected"),
    [
        pytest.param(b"", b"", "example.com", UNCOVERED, id="no entries"),
        pytest.param(b"example.net", b"example.org", "example.com", UNCOVERED, id="entries for other domains"),
        pytest.param(b"example.com", b"", "example.com", WHITELISTED, id="the name itself"),
        pytest.param(b"com", b"", "Example.Com", WHITELISTED, id="a name above"),
        pytest.param(b"a.mx.example.com", b"", "example.com", None, id="a name somewhere below"),
        pytest.param(b"", b"example.com", "example.com", IGNORED, id="an ignored name"),
        pytest.param(b"example.com", b"example.com", "example.com", WHITELISTED, id="both lists"),
        pytest.param(b"mx.example.com", b"example.com", "example.com", None, id="a whitelisted name below"),
        pytest.param(b"", b"a.mx.example.com", "example.com", None, id="an ignored name below"),
        pytest.param(rb"/^mx\d+\.example\.com$/", b"", "example.com", None, id="a pattern with this end"),
        pytest.param(rb"/^mx\d+\.example\.net$/", b"", "example.com", UNCOVERED, id="a pattern with another end"),
        pytest.param(rb"/^mx\d+\.a\.example\.com$/", b"", "example.com", None, id="a pattern for names below"),
        pytest.param(rb"/^example\.com$/", b"", "example.com", None, id="a pattern for the domain alone"),
        pytest.param(rb"/\.example.com$/", b"", "example.com", None, id="a gap that this domain fits"),
        pytest.param(rb"/\.sub.example.com$/", b"", "example.com", None, id="a gap in a longer end"),
        pytest.param(rb"/^mx\./", b"", "example.com", None, id="a pattern without an end"),
        pytest.param(b"198.18.7.7", b"", "example.com", UNCOVERED, id="a network"),
    ],
)
def test_a_domain_has_one_verdict_where_no_entry_tells_its_hosts_apart(
    whitelist: bytes, ignored: bytes, domain: str, expected: int | None
) -> None:
    lists = Lists([read_whitelist(whitelist, "whitelist")], [read_ignore(ignored, "ignore")])

    assert lists.verdict_by_domain(domain) == expected


@pytest.mark.parametrize(
    ("line", "address", "expected"),
    [
        pytest.param(b"198.18.7.7", "198.18.7.200", True, id="an address of the same network"),
        pytest.param(b"198.18.7.7", "198.18.8.7", False, id="an address of another"),
        pytest.param(b"198.18.0.0/20", "198.18.15.1", True, id="a wider network"),
        pytest.param(b"198.18.0.0/20", "198.18.16.1", False, id="beside it"),
        pytest.param(b"::/0", "198.18.16.1", True, id="all addresses"),
        pytest.param(b"2001:db8::/32", "198.18.16.1", False, id="only IPv6"),
        pytest.param(b"2001:db8::/32", "2001:db9::1", True, id="any IPv6"),
        pytest.param(b"198.18.0.0/15", "2001:db9::1", False, id="only IPv4"),
        pytest.param(b"198.18.7.7", "::198.18.7.7", True, id="IPv4 in an old form of IPv6"),
        pytest.param(b"0.0.0.0/0", NO_ADDRESS, False, id="no address"),
    ],
)
def test_a_network_may_be_passed_over_where_no_entry_holds_a_part_of_it(
    line: bytes, address: str, *, expected: bool
) -> None:
    assert in_network(Lists([read_whitelist(line, "whitelist")]), address) is expected
