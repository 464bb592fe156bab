"""The registrable domain of a client's name, by the public suffix list that comes with tldextract."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.running import environment

from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        pytest.param("mail.example.com", "example.com", id="host"),
        pytest.param("example.com", "example.com", id="the-domain-itself"),
        pytest.param("a.b.c.example.com", "example.com", id="deep"),
        pytest.param("a.b.co.uk", "b.co.uk", id="two-part-suffix"),
        pytest.param("x.asianet.co.th", "asianet.co.th", id="two-part-suffix-of-thailand"),
        pytest.param("mail-eur05on2041.outbound.protection.outlook.com", "outlook.com", id="pool"),
        pytest.param("ec2-198-51-100-7.compute-1.amazonaws.com", "amazonaws.com", id="icann-suffixes-only"),
        pytest.param("x.github.io", "github.io", id="no-private-suffix"),
        pytest.param("www.city.kawasaki.jp", "city.kawasaki.jp", id="exception-of-the-list"),
        pytest.param("a.b.c.kawasaki.jp", "b.c.kawasaki.jp", id="wildcard-of-the-list"),
        pytest.param("MAIL.Example.COM", "example.com", id="capitals"),
        pytest.param("mail.example.com.", "example.com", id="trailing-dot"),
        pytest.param("mail_out.example.com", "example.com", id="underscore"),
        pytest.param("mail.xn--bcher-kva.example.com", "example.com", id="punycode-label"),
        pytest.param("mail.xn--mgbaam7a8h", "mail.xn--mgbaam7a8h", id="punycode-suffix"),
        pytest.param("unknown", UNKNOWN, id="unknown"),
        pytest.param("UNKNOWN", UNKNOWN, id="unknown-in-capitals"),
        pytest.param("", UNKNOWN, id="empty"),
        pytest.param(".", UNKNOWN, id="dot"),
        pytest.param("192.0.2.1", UNKNOWN, id="ipv4-address"),
        pytest.param("[192.0.2.1]", UNKNOWN, id="address-literal"),
        pytest.param("2001:db8::1", UNKNOWN, id="ipv6-address"),
        pytest.param("localhost", UNKNOWN, id="single-label"),
        pytest.param("localhost.localdomain", "localhost.localdomain", id="no-public-suffix"),
        pytest.param("a.mx.corp.local", "corp.local", id="below-no-public-suffix"),
        pytest.param("a.example.1", UNKNOWN, id="a-number-at-the-end"),
        pytest.param("com", UNKNOWN, id="bare-suffix"),
        pytest.param("co.uk", UNKNOWN, id="bare-two-part-suffix"),
        pytest.param("mail..example.com", UNKNOWN, id="empty-label"),
        pytest.param(".example.com", UNKNOWN, id="leading-dot"),
        pytest.param("-mail.example.com", UNKNOWN, id="leading-hyphen"),
        pytest.param("mail.exa mple.com", UNKNOWN, id="blank"),
        pytest.param('mail"}.example.com', UNKNOWN, id="signs"),
        pytest.param("mail.example.com/x", UNKNOWN, id="path"),
        pytest.param("user@mail.example.com", UNKNOWN, id="user"),
        pytest.param("mail.example.com:25", UNKNOWN, id="port"),
        pytest.param("m\ufffdil.example.com", UNKNOWN, id="broken-byte"),
        pytest.param("mail.ex\u00e4mple.com", UNKNOWN, id="not-ascii"),
        pytest.param(f"{'a' * 64}.example.com", UNKNOWN, id="label-too-long"),
        pytest.param(f"{'a' * 63}.example.com", "example.com", id="longest-label"),
        pytest.param(f"{'a.' * 130}example.com", UNKNOWN, id="name-too-long"),
    ],
)
def test_registrable_domain(name: str, domain: str) -> None:
    assert registrable_domain(name) == domain


@given(name=st.text(max_size=60) | st.from_regex(r"[a-z0-9._-]{1,40}\.(com|co\.uk|x)", fullmatch=True))
def test_whatever_the_name_its_domain_is_a_part_of_it_or_unknown(name: str) -> None:
    domain = registrable_domain(name)

    assert domain == UNKNOWN or f".{name.lower().rstrip('.')}".endswith(f".{domain}")
    assert domain == UNKNOWN or registrable_domain(domain) == domain


# What opens a file for writing or reaches for the network ends the process. (urllib3, which tldextract imports where
# its file is missing, binds a socket to see whether there is IPv6; nothing is sent.)
GUARDED: Final = """
import os, sys
FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "os.mkdir", "os.rename")
def guard(event, arguments):
    if event.startswith(FORBIDDEN):
        sys.exit(f"{event} {arguments}")
    if event == "open" and (set(str(arguments[1])) & set("wax+") or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        sys.exit(f"{event} {arguments}")
sys.addaudithook(guard)
from postgrey_exporter.clients import public_suffixes as suffixes
from postgrey_exporter.clients.domains import registrable_domain
if "without the file" in sys.argv:
    suffixes.find_spec = lambda _: None
print(registrable_domain("a.b.co.uk"))
"""


@pytest.mark.parametrize("way", ["with the file", "without the file"])
def test_no_file_is_written_and_no_network_asked(way: str, tmp_path: Path) -> None:
    folders = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    done = subprocess.run(
        [sys.executable, "-c", GUARDED, way],
        env=environment(**folders, PYTHONDONTWRITEBYTECODE="1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("b.co.uk\n", "", 0)
    assert list(tmp_path.iterdir()) == []
