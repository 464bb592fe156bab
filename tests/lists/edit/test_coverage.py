from __future__ import annotations

import pytest

from postgrey_exporter.lists import read_ignore, read_whitelist
from postgrey_exporter.lists.edit import checked_entry
from postgrey_exporter.lists.edit.coverage import Coverage


def cover(listed: str, entry: str) -> str | None:
    coverage = Coverage({"whitelist": [read_whitelist(listed.encode(), "list")]})
    found = coverage.of(checked_entry("whitelist", entry))
    return None if found is None else found.entry


@pytest.mark.parametrize(
    ("listed", "entry"),
    [
        pytest.param("example.com", "example.com", id="the same domain"),
        pytest.param("Example.COM", "example.com", id="in capitals"),
        pytest.param("example.com", "mx.example.com", id="a host of it"),
        pytest.param("example.com", r"/\.pool\.example\.com$/", id="a pattern below it"),
        pytest.param("example.com", r"/^mx\d\.example\.com$/", id="a pattern of its hosts"),
        pytest.param("example.com", r"/\.(?:a|b)\.example\.com$/", id="a pattern of two of its sub-domains"),
        pytest.param("example.com", r"/(?:^|\.)example\.com$/", id="a pattern that means the same"),
        pytest.param("a.de", r"/(?:^|\.)a\.de$/", id="a short pattern that means the same"),
        pytest.param(r"/\.example\.com$/", r"/\.pool\.example\.com$/", id="a pattern below a pattern"),
        pytest.param(r"/\.example\.com$/", "mx.example.com", id="a host below a pattern"),
        pytest.param(r"/x+/", r"/x+/", id="a pattern that nothing is known of"),
        pytest.param("192.0.2.0/24", "192.0.2.7", id="an address of a network"),
        pytest.param("192.0.2", "192.0.2.128/25", id="a network of a network"),
        pytest.param("2001:db8::/32", "2001:db8:1::/48", id="an IPv6 network of a network"),
    ],
)
def test_what_an_entry_covers_already_is_found(listed: str, entry: str) -> None:
    assert cover(f"other.example\n{listed}\n", entry) == listed


def test_entries_that_cover_it_only_together_count() -> None:
    assert cover("/\\.example\\.com$/\n/^example\\.com$/\n", "example.com") is not None


@pytest.mark.parametrize(
    ("listed", "entry"),
    [
        pytest.param("mx.example.com", "example.com", id="only a host of it"),
        pytest.param(r"/\.example\.com$/", "example.com", id="all but the domain itself"),
        pytest.param(r"/^[^.]+\.example\.com$/", "example.com", id="one label deep"),
        pytest.param(r"/^mx\d+\.example\.com$/", r"/\.example\.com$/", id="some hosts of it"),
        pytest.param("example.com", r"/example\.com$/", id="a pattern not anchored at a label"),
        pytest.param("example.com", r"/\.example.com$/", id="a pattern with a dot for any character"),
        pytest.param("/^com$/", "/^mx.example.com$/", id="a whole name with dots for any character"),
        pytest.param("a.example.com", r"/\.(?:a|b)\.example\.com$/", id="one of two"),
        pytest.param("example.com", "/mail/", id="a pattern that ends in anything"),
        pytest.param("example.com", "example.net", id="another domain"),
        pytest.param("192.0.2.0/25", "192.0.2.0/24", id="half of a network"),
        pytest.param("192.0.2.0/24", "example.com", id="a network and a name"),
        pytest.param("::/96", "2001:db8::1", id="another family"),
    ],
)
def test_what_is_not_covered_in_full_is_new(listed: str, entry: str) -> None:
    assert cover(f"{listed}\n", entry) is None


def test_an_ignored_domain_is_found_in_either_list() -> None:
    coverage = Coverage(
        {
            "whitelist": [read_whitelist(b"example.com\n", "whitelist")],
            "ignore": [read_ignore(b"\nexample.net\n", "ignore")],
        }
    )
    found = [coverage.of(checked_entry("ignore", name)) for name in ("mx.example.com", "example.net", "example.org")]
    assert [cover and (cover.list, cover.file, cover.line) for cover in found] == [
        ("whitelist", "whitelist", 1),
        ("ignore", "ignore", 2),
        None,
    ]
