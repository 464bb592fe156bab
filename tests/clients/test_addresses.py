"""One spelling for each client address, and the network that postgrey greylists as one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.clients.addresses import network_of, normalise

ADDRESSES = st.ip_addresses()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="ipv4"),
        pytest.param("17.58.38.56/32", "17.58.38.56", id="ipv4-with-mask"),
        pytest.param("2001:db8::1", "2001:db8::1", id="ipv6"),
        pytest.param("2001:DB8:4864:20:0:0:0:32B/128", "2001:db8:4864:20::32b", id="ipv6-with-mask-in-capitals"),
        pytest.param("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1", id="ipv6-in-full"),
        pytest.param("fe80::1%eth0", "fe80::1", id="ipv6-with-zone"),
        pytest.param("::ffff:192.0.2.1", "::ffff:192.0.2.1", id="ipv4-mapped"),
        pytest.param("::FFFF:C000:0201/128", "::ffff:192.0.2.1", id="ipv4-mapped-in-hexadecimal"),
        pytest.param("::", "::", id="unspecified"),
    ],
)
def test_normalise(written: str, address: str) -> None:
    assert normalise(written) == address


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("192.0.2", id="three-parts"),
        pytest.param("192.0.2.256", id="part-too-large"),
        pytest.param("192.0.2.01", id="leading-zero"),
        pytest.param("3232235777", id="number"),
        pytest.param("2001:db8", id="two-groups"),
        pytest.param("unknown", id="word"),
        pytest.param("\u0661.2.3.4", id="other-digits"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        normalise(text)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        pytest.param("192.0.2.77", "192.0.2.0/24", id="ipv4"),
        pytest.param("198.18.255.255", "198.18.255.0/24", id="ipv4-last"),
        pytest.param("2001:db8:1:2:3::4", "2001:db8:1:2::/64", id="ipv6"),
        pytest.param("::1", "::/64", id="ipv6-short"),
        pytest.param("", "", id="no-address"),
    ],
)
def test_network_of(address: str, network: str) -> None:
    assert network_of(address) == network


@given(address=ADDRESSES)
def test_an_address_lies_in_its_network_and_keeps_its_spelling(address: object) -> None:
    spelled = normalise(str(address))

    assert normalise(spelled) == spelled
    assert ip_address(spelled) in ip_network(network_of(spelled))
