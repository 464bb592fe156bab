"""The ignore file: the article's as it is, and what else people put into it."""

from __future__ import annotations

import pytest

from postgrey_exporter.lists import Lists, read_ignore

ARTICLE = b"asianet.co.th\nexample.com\n"


def ignored(content: bytes, name: str) -> bool:
    cover = Lists(ignore=[read_ignore(content, "ignore")]).covers(name, "192.0.2.1")
    return cover is not None and cover.list == "ignore"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("asianet.co.th", True, id="the domain"),
        pytest.param("ppp-1.dyn.asianet.co.th", True, id="everything under it"),
        pytest.param("PPP-1.Asianet.co.TH", True, id="in any case"),
        pytest.param("xasianet.co.th", False, id="another domain that ends alike"),
        pytest.param("asianet.co.th.example.net", False, id="the domain in front"),
        pytest.param("co.th", False, id="what is above it"),
        pytest.param("unknown", False, id="no name"),
    ],
)
def test_an_entry_covers_the_domain_and_everything_under_it(name: str, *, expected: bool) -> None:
    assert ignored(ARTICLE, name) is expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"Example.COM", "", id="capitals"),
        pytest.param(b"example.com\r\n", "", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfexample.com", "", id="byte order mark"),
        pytest.param(b"# reviewed\n\n  example.com\t# dial-up", "", id="comments and blanks"),
        pytest.param(b".example.com", ".example.com is read as example.com, which covers", id="leading dot"),
        pytest.param(b"*.example.com", "*.example.com is read as example.com, which covers", id="asterisk"),
        pytest.param(b"example.com.", "example.com. is read as example.com, which covers", id="trailing dot"),
        pytest.param(b"com", "com covers every client whose name ends in .com", id="one label"),
        pytest.param(b"example.com\nexample.com", "example.com stands in line 1 already", id="duplicate"),
    ],
)
def test_what_is_clear_is_read_as_it_was_meant(content: bytes, message: str) -> None:
    assert ignored(content, "mail.example.com")
    warnings = read_ignore(content, "ignore").warnings
    assert len(warnings) == bool(message)
    assert all(warning.message.startswith(message) for warning in warnings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(rb"/\.example\.com$/", "is no domain: patterns have their place in", id="pattern"),
        pytest.param(b"192.0.2.1", "is no domain: clients are ignored by name", id="address"),
        pytest.param(b"192.0.2.0/24", "is no domain: clients are ignored by name", id="network"),
        pytest.param(b"2001:db8::/32", "is no domain: clients are ignored by name", id="IPv6 network"),
        pytest.param(b"example.com example.net", "is more than one domain in a line", id="two domains"),
        pytest.param("b\u00fccher.example".encode(), "is no domain", id="not ASCII"),
        pytest.param(b".", "is no domain", id="dot"),
        pytest.param(b"mail..example.com", "is no domain", id="empty label"),
    ],
)
def test_what_is_no_domain_covers_nothing_and_stops_nothing(line: bytes, message: str) -> None:
    content = read_ignore(b"example.org\n" + line + b"\nexample.info\n", "ignore")
    assert [entry.text for entry in content.entries] == ["example.org", "example.info"]
    assert [warning.line for warning in content.warnings] == [2]
    assert message in content.warnings[0].message
    assert content.warnings[0].message.endswith("so it covers nothing")
