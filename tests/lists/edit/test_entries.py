from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.lists.edit import EntryError, checked_entry

if TYPE_CHECKING:
    from postgrey_exporter.lists import ListKind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("whitelist", "example.com", id="domain"),
        pytest.param("whitelist", "  mx1.example.com ", id="blanks around a host"),
        pytest.param("whitelist", "mail.corp.lan", id="domain of a local network"),
        pytest.param("whitelist", "lan", id="a local network"),
        pytest.param("whitelist", r"/\.protection\.outlook\.com$/", id="pattern"),
        pytest.param("whitelist", r"/^mx\d+\.example\.co\.uk$/", id="pattern of hosts"),
        pytest.param("whitelist", r"/(?:^|\.)example\.com$/", id="pattern of a domain and all below"),
        pytest.param("whitelist", r"/\.(?:a|b)\.example\.com$/", id="pattern of two sub-domains"),
        pytest.param("whitelist", "192.0.2.7", id="IPv4 address"),
        pytest.param("whitelist", "192.0.2.0/24", id="IPv4 network"),
        pytest.param("whitelist", "10.0.0.0/8", id="largest IPv4 network"),
        pytest.param("whitelist", "2001:db8::/32", id="IPv6 network"),
        pytest.param("ignore", "example.com", id="ignored domain"),
        pytest.param("ignore", "dyn.example.co.uk", id="ignored sub-domain"),
    ],
)
def test_an_entry_in_force_is_taken(kind: ListKind, text: str) -> None:
    assert checked_entry(kind, text).text == text.strip()


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        pytest.param("whitelist", "", "needed", id="nothing"),
        pytest.param("whitelist", " \t", "needed", id="blanks"),
        pytest.param("whitelist", "# example.com", "begins a comment", id="comment"),
        pytest.param("whitelist", r"/\.example\.com$/ # why", "begins a comment", id="comment behind"),
        pytest.param("whitelist", "/a#b/", "even inside a pattern", id="hash sign in a pattern"),
        pytest.param("whitelist", "example.com\nexample.net", "one line of ASCII", id="two lines"),
        pytest.param("whitelist", "exa\x1bmple.com", "one line of ASCII", id="control character"),
        pytest.param("whitelist", "müller.example", "ASCII", id="not ASCII"),
        pytest.param("whitelist", "b\udcfccher.example", "ASCII", id="undecodable"),
        pytest.param("whitelist", "example.com example.net", "a blank in it", id="blank"),
        pytest.param("whitelist", "/(/", "dies", id="pattern that Perl refuses"),
        pytest.param("whitelist", "/example.com", "begins and ends with /", id="unfinished pattern"),
        pytest.param("whitelist", "/.*/", "covers every client", id="pattern of everything"),
        pytest.param("whitelist", ".example.com", "example.com covers", id="dot in front"),
        pytest.param("whitelist", "*.example.com", "example.com covers", id="star in front"),
        pytest.param("whitelist", "example.com.", "no dot at its end", id="dot at the end"),
        pytest.param("whitelist", "192.0.2.300", "drops", id="no address"),
        pytest.param("whitelist", "192.0.2.0/33", "drops", id="no network"),
        pytest.param("whitelist", "198.51", "not as /16", id="two octets"),
        pytest.param("whitelist", "0.0.0.0/0", "more than one sender", id="all of IPv4"),
        pytest.param("whitelist", "16.0.0.0/7", "/8 is the largest", id="IPv4 network too large"),
        pytest.param("whitelist", "2000::/3", "/16 is the largest", id="all of IPv6"),
        pytest.param("whitelist", "com", "every domain under .com", id="public suffix"),
        pytest.param("whitelist", "co.uk", "every domain under .co.uk", id="public suffix of two labels"),
        pytest.param("whitelist", "unknown", "without a verified name", id="clients without a name"),
        pytest.param("whitelist", "UNKNOWN", "without a verified name", id="clients without a name in capitals"),
        pytest.param("whitelist", "/^unknown$/", "without a verified name", id="the same as a pattern"),
        pytest.param("whitelist", r"/\.com$/", "every domain under .com", id="pattern of a public suffix"),
        pytest.param("whitelist", r"/.*\.co\.uk$/", "under .co.uk", id="pattern of anything under a public suffix"),
        pytest.param("whitelist", "/mail$/", "ends in mail", id="pattern of an ending that is no domain"),
        pytest.param("ignore", "com", "ends in .com", id="ignored public suffix"),
        pytest.param("ignore", "co.uk", "every domain under .co.uk", id="ignored public suffix of two labels"),
        pytest.param("ignore", ".example.com", "read as example.com", id="ignored with a dot in front"),
        pytest.param("ignore", r"/\.example\.com$/", "no domain", id="ignored pattern"),
        pytest.param("ignore", "192.0.2.1", "not by address", id="ignored address"),
    ],
)
def test_an_entry_that_can_not_be_meant_is_refused_with_the_reason(kind: ListKind, text: str, reason: str) -> None:
    with pytest.raises(EntryError) as refusal:
        checked_entry(kind, text)
    assert reason in str(refusal.value)
    assert str(refusal.value).isprintable()
