"""Every list and client is put to real postgrey as well, and the answers agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import parts

from lists.perl_strategies import addresses, client_names, common_lines, odd_lines, plain_patterns
from lists.quirks import QUIRKS
from lists.real_postgrey import RealPostgrey
from postgrey_exporter.lists import Lists, read_whitelist

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEBIAN_LIST = Path("/etc/postgrey/whitelist_clients")
EXPLAIN = [sys.executable, "-m", "postgrey_exporter", "explain", "-", "--format=json"]
OUT_OF_FORCE = ("Perl refuses", "postgrey dies", "pattern not understood", "network not understood")


@pytest.fixture(scope="module")
def postgrey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPostgrey]:
    parts.require("postgrey")
    with RealPostgrey(tmp_path_factory.mktemp("postgrey")) as running:
        yield running


def differing(
    postgrey: RealPostgrey, lists: Lists, clients: Sequence[tuple[str, str]]
) -> list[tuple[str, str, bool, bool]]:
    """Return the clients about which the two disagree, with postgrey's answer and ours."""
    ours = [lists.covers(*client) is not None for client in clients]
    theirs = postgrey.covers(clients)
    return [
        (*client, their, our) for client, their, our in zip(clients, theirs, ours, strict=True) if their is not our
    ]


def variations(line: str) -> list[str]:
    """Return names that a line may well be about, and their neighbours."""
    name = line.strip("/^$ \t\r").replace(".*", "mx").replace("\\d+", "42").replace("\\", "")
    return [
        name, f"mail.{name}", f"mail.mail.{name}", f"x{name}", f"{name}x", f"{name}.example.com", name.upper(),
        name.replace(".", "-", 1), name.replace(".", "x"), name.partition(".")[2], name.rpartition(".")[0],
    ]  # fmt: skip


def usable(name: str) -> bool:
    """Tell whether a name can be sent: an attribute of the policy protocol is one line."""
    return not any(character in name for character in " \t\r\n") and name != ""


@pytest.mark.skipif(
    not DEBIAN_LIST.exists(), reason="needs /etc/postgrey/whitelist_clients: apt-get install postgrey"
)
def test_explain_agrees_about_debians_own_list(postgrey: RealPostgrey, tmp_path: Path) -> None:
    content = DEBIAN_LIST.read_bytes()
    lines = [line.partition("#")[0].strip() for line in content.decode().splitlines()]
    names = sorted({name for line in lines for name in variations(line) if usable(name)})
    listed = [line for line in lines if re.fullmatch(r"[0-9.]+", line)]
    listed_addresses = [f"{line}.9" if line.count(".") == 2 else line for line in listed]
    edges = ["51.5.80.31", "51.5.80.32", "205.201.143.255", "205.201.144.0", "2a01:4180:4050:800::1", "2a01::1"]
    clients = [(name, address) for name in names for address in ("203.0.113.9", "2001:db8::9")]
    clients += [(name, address) for name in names[::40] for address in [*listed_addresses, *edges]]
    nothing = tmp_path / "ignore"
    nothing.touch()
    explained = subprocess.run(
        [*EXPLAIN, f"--whitelist-file={DEBIAN_LIST}", f"--ignore-file={nothing}"],
        input="".join(f"{name} {address}\n" for name, address in clients),
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [json.loads(line)["covered_by"] == "whitelist" for line in explained.stdout.splitlines()]
    postgrey.reload(content)
    theirs = postgrey.covers(clients)
    assert len(clients) > 4000
    assert 0.2 < sum(theirs) / len(theirs) < 0.8
    assert [client for client, our, their in zip(clients, ours, theirs, strict=True) if our is not their] == []


QUIRK_NAMES = [
    *("mail.example.com", "Mail.example.com", "MX1.EXAMPLE.COM", "mx2xexample.com", "a.protection.example.com"),
    *("mail.mail.example.com", "mx1.mx.example.com", "mail42.example.com", "mail/example", "m.outbound.example.com"),
    *("example.com", "xexample.com", ".example.com", "unknown", "126.com", "mx", "mail", "com", "QmailE.example.com"),
    *("caf\udce9.example.com", "CAF\udcc9.example.com", "caf\u00e9.example.com", "]ail.example", "@example", "a/b"),
]
QUIRK_ADDRESSES = [
    *("192.0.2.7", "192.0.2.77", "192.0.2.177", "192.8.2.7", "192.0.8.1", "198.18.0.7", "198.18.7.7", "192.1.2.3"),
    *("2001:db8::7", "2001:db8:7::7", "2001:db9::7", "::1", "::192.0.2.7", "::ffff:192.0.2.7", "0:2001:db8::7"),
    *("2001:db8::1:7", "2001:db8:ffff::7"),
]


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, (line, _) in QUIRKS.items()])
def test_a_line_with_a_quirk_covers_what_it_covers_for_postgrey(postgrey: RealPostgrey, line: bytes) -> None:
    names = [name for name in (*QUIRK_NAMES, *variations(line.decode("latin-1"))) if usable(name)]
    clients = [(name, "203.0.113.9") for name in names] + [("x.example.net", address) for address in QUIRK_ADDRESSES]
    postgrey.reload(line)
    assert differing(postgrey, Lists([read_whitelist(line, "list")]), clients) == []


def test_all_quirks_together_cover_what_they_cover_for_postgrey(postgrey: RealPostgrey) -> None:
    everything = {"pattern that takes everything", "pattern that takes all but the empty name", "three slashes"}
    everything |= {
        "everything",
        "all of IPv4",
        "all of IPv4 as IPv6",
        "mask as a word",
        "mask as too large a number",
        "com",
        "name of one label",
    }
    content = b"\n".join(line for name, (line, _) in QUIRKS.items() if name not in everything)
    names = [name for line, _ in QUIRKS.values() for name in variations(line.decode("latin-1")) if usable(name)]
    clients = [(name, "203.0.113.9") for name in (*QUIRK_NAMES, *names)]
    clients += [(name, address) for name in ("unknown", "mx.example.net") for address in QUIRK_ADDRESSES]
    postgrey.reload(content)
    assert differing(postgrey, Lists([read_whitelist(content, "list")]), clients) == []


def test_all_whitelist_files_count(tmp_path: Path) -> None:
    contents = [b"example.com", b"", b"/^mx/\n192.0.2.7", b"# none"]
    clients = [("mail.example.com", "203.0.113.9"), ("mx.example.net", "203.0.113.9"), ("a.example.net", "192.0.2.7")]
    with RealPostgrey(tmp_path, contents) as postgrey:
        lists = Lists([read_whitelist(content, "list") for content in contents])
        assert differing(postgrey, lists, [*clients, ("a.example.net", "203.0.113.9")]) == []


def in_force(lines: Sequence[str]) -> list[str]:
    """Leave out lines that would end postgrey, or whose pattern is reported as not understood."""
    return [line for line in lines if not any(starts_with(line, what) for what in OUT_OF_FORCE)]


def starts_with(line: str, what: str) -> bool:
    return any(warning.message.startswith(what) for warning in read_whitelist(line.encode(), "list").warnings)


whitelist_lines = st.lists(
    st.one_of(common_lines, common_lines, odd_lines, plain_patterns.map("/{}/".format)), min_size=1, max_size=40
)
ALWAYS_ASKED = [
    *("198.18.0.0", "198.18.7.7", "198.18.255.255", "198.19.0.1", "198.19.127.128", "198.20.0.0", "::198.18.0.1"),
    *("2001:db8::", "2001:db8:7::1", "2001:db8:7f::80", "2001:db9::", "::ffff:198.18.7.7"),
]
names_asked = st.lists(client_names.filter(usable), min_size=5, max_size=40)
addresses_asked = st.lists(addresses, min_size=5, max_size=15)


@given(whitelist_lines.map(in_force), names_asked, addresses_asked)
@settings(max_examples=100)
def test_lists_drawn_at_random_cover_what_they_cover_for_postgrey(
    postgrey: RealPostgrey, lines: list[str], names: list[str], addresses: list[str]
) -> None:
    content = "\n".join(lines).encode()
    clients = [
        *product(names, [*addresses, *ALWAYS_ASKED]),
        *((name, "203.0.113.9") for line in lines for name in variations(line) if usable(name)),
    ]
    postgrey.reload(content)
    assert differing(postgrey, Lists([read_whitelist(content, "list")]), clients) == []
