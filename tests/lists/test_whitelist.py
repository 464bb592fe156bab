"""What a whitelist's lines are taken for, and what is said of the line that can't do what its author meant."""

from __future__ import annotations

import pytest

from lists.quirks import QUIRKS
from postgrey_exporter.lists import Lists, ListWarning, read_whitelist
from postgrey_exporter.lists.content import MOST_WARNINGS


@pytest.mark.parametrize(
    ("line", "message"), [pytest.param(line, message, id=name) for name, (line, message) in QUIRKS.items()]
)
def test_a_line_is_warned_of_when_it_does_not_do_what_it_seems_to(line: bytes, message: str) -> None:
    warnings = read_whitelist(line, "list").warnings
    assert [warning.line for warning in warnings] == [1] * bool(message)
    assert all(message in warning.message for warning in warnings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            rb"/(/", "Perl refuses this pattern and postgrey dies of it: (: missing closing parenthesis", id="refused"
        ),
        pytest.param(
            rb"/\pL/", r"pattern not understood, so it covers nothing here: \pL: Unicode's rules", id="not understood"
        ),
        pytest.param(b"2001:db8::/" + b"9" * 41, "postgrey dies of this line: the mask is too long", id="fatal mask"),
        pytest.param(b"localhost ::", "network not understood, so it covers nothing here", id="network by host name"),
    ],
)
def test_a_line_that_is_not_in_force_is_no_entry(line: bytes, message: str) -> None:
    content = read_whitelist(line, "list")
    assert content.entries == ()
    assert [warning.message[: len(message)] for warning in content.warnings] == [message]


def test_warnings_name_file_and_line() -> None:
    warnings = read_whitelist(b"example.com\n\n# none\n.example.com\n", "/etc/postgrey/whitelist_clients").warnings
    assert [str(warning).partition(": ")[0] for warning in warnings] == ["/etc/postgrey/whitelist_clients:4"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(b"example.com", b"EXAMPLE.com # again", id="name in another case"),
        pytest.param(rb"/\.example\.com$/", rb"/\.example\.com$/", id="pattern"),
        pytest.param(b"192.0.2", b"192.0.2.77/24", id="network in another notation"),
        pytest.param(b"2001:db8::/32", b"2001:DB8:0::/32", id="IPv6 network in another spelling"),
    ],
)
def test_a_line_that_stands_in_the_file_already_is_warned_of(first: bytes, second: bytes) -> None:
    content = read_whitelist(first + b"\nexample.net\n" + second, "list")
    assert len(content.entries) == 3
    assert [warning.line for warning in content.warnings] == [3]
    assert content.warnings[0].message.endswith(" stands in line 1 already")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n", id="empty lines"),
        pytest.param(b"# comment", id="comment without a line end"),
    ],
)
def test_a_list_without_entries_is_no_fault(content: bytes) -> None:
    assert read_whitelist(content, "list").warnings == ()
    assert read_whitelist(content, "list").entries == ()


def test_the_last_line_needs_no_line_end() -> None:
    assert Lists([read_whitelist(b"example.com\nexample.net", "list")]).covers("a.example.net", "192.0.2.1")


def test_an_entry_is_shown_as_it_stands_in_the_file() -> None:
    cover = Lists([read_whitelist(b"\n\tCaf\xe9.Example.COM # old\n", "list")]).covers("caf\udce9.example.com", "")
    assert cover is not None
    assert (cover.file, cover.line, cover.entry) == ("list", 2, "Caf\u00e9.Example.COM")


def test_a_log_given_as_a_list_does_not_pile_up_warnings() -> None:
    log = b"Feb  5 08:38:26 mail postgrey[6346]: action=greylist, reason=new\n" * 5000
    warnings = read_whitelist(log, "mail.log").warnings
    assert len(warnings) == MOST_WARNINGS + 1
    assert warnings[-1] == ListWarning("mail.log", MOST_WARNINGS, "and 4000 more after this line")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"[" * 200_000 + b"::", id="brackets"),
        pytest.param(b"/" + b"(" * 200_000 + b"/", id="parentheses"),
        pytest.param(b"a-" * 200_000 + b"!", id="letters"),
        pytest.param(b":" * 400_000, id="colons"),
        pytest.param(b"1." * 200_000, id="numbers"),
        pytest.param(b"\x00" * 400_000, id="NUL"),
        pytest.param(b"# " * 200_000, id="comment signs"),
    ],
)
def test_one_endless_line_is_one_line(line: bytes) -> None:
    content = read_whitelist(line + b"\nexample.com", "list")
    assert content.entries[-1].text == "example.com"
    assert all(len(warning.message) < 300 for warning in content.warnings)
