"""What a client's name and address say is the same counted, compiled, as asked of Python client by client."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreement import assert_agree, reference_of
from support.reference import kind_of, network_number
from support.tallies import tally_of

from postgrey_exporter.clients.addresses import normalise
from postgrey_exporter.clients.hostnames import CUSTOMER_PARTS, CUSTOMER_WORDS, MAIL_PARTS, ClientKind
from postgrey_exporter.decision import GREYLIST, NEW, PASS, TRIPLET_FOUND, Client, Decision
from postgrey_exporter.lists import Lists

if TYPE_CHECKING:
    from postgrey_exporter.counting.increment import Increment

USUALLY: Final = settings().max_examples
NOW: Final = 1_800_000_000.0
LISTS: Final = Lists()


def greylisted(*clients: Client) -> list[Decision]:
    return [Decision(NOW - 7200, GREYLIST, NEW, client, None, key) for key, client in enumerate(clients)]


def kind_in(tally: Increment) -> ClientKind:
    """Return what the only client of a tally is counted as."""
    (facts,) = tally.facts()
    facts.judge(LISTS)
    mail, servers, lines = facts.parties(NOW)
    return ClientKind.LINE if lines.attempts else ClientKind.MAIL if mail.attempts else _unclear(servers.attempts)


def _unclear(attempts: int) -> ClientKind:
    assert attempts
    return ClientKind.UNCLEAR


@pytest.mark.parametrize(
    ("name", "address", "kind"),
    [
        pytest.param("mta1.example.com", "192.0.2.1", ClientKind.MAIL, id="mail-server"),
        pytest.param("host.example.com", "192.0.2.1", ClientKind.UNCLEAR, id="says-nothing"),
        pytest.param("host.dyn.example.com", "192.0.2.1", ClientKind.LINE, id="word"),
        pytest.param("mta1.dyn.example.com", "192.0.2.1", ClientKind.MAIL, id="word-and-mail"),
        pytest.param("mta-192-0-2-1.dyn.example.com", "192.0.2.1", ClientKind.LINE, id="word-mail-and-address"),
        pytest.param("h192-0-2-7.example.com", "192.0.2.1", ClientKind.LINE, id="three-octets"),
        pytest.param("h192-0-7-7.example.com", "192.0.2.1", ClientKind.UNCLEAR, id="two-octets"),
        pytest.param("h1234-1-2.example.com", "0.1.2.9", ClientKind.UNCLEAR, id="number-that-is-no-octet"),
        pytest.param("h1-2-0-192.example.com", "192.0.2.1", ClientKind.LINE, id="octets-in-any-order"),
        pytest.param("h001002003004.example.com", "1.2.3.4", ClientKind.LINE, id="padded-run"),
        pytest.param("hc0000201.example.com", "192.0.2.1", ClientKind.LINE, id="hexadecimal"),
        pytest.param("h2-2-0-0.example.com", "2.0.2.0", ClientKind.LINE, id="octets-twice"),
        pytest.param("h20010db800000000.example.com", "2001:db8::1", ClientKind.LINE, id="ipv6-network"),
        pytest.param("h2001-db8-0-0.example.com", "2001:db8::1", ClientKind.LINE, id="ipv6-network-in-groups"),
        pytest.param("h0-0-0-1.example.com", "2001:db8::1", ClientKind.LINE, id="ipv6-interface"),
        pytest.param("h2001-db8.example.com", "2001:db8::1", ClientKind.UNCLEAR, id="half-an-ipv6-network"),
        pytest.param("00163e0a1b2c.example.com", "192.0.2.1", ClientKind.LINE, id="hardware-address"),
        pytest.param("host.mailgun.net", "192.0.2.1", ClientKind.MAIL, id="domain-of-senders"),
        pytest.param("192-0-2-1.mailgun.net", "192.0.2.1", ClientKind.MAIL, id="address-in-a-domain-of-senders"),
        pytest.param("192-0-2-1.dsl.mailgun.net", "192.0.2.1", ClientKind.LINE, id="line-in-a-domain-of-senders"),
        pytest.param("unknown", "192.0.2.1", ClientKind.UNCLEAR, id="no-name"),
        pytest.param("h192-0-2-1.example.com", "", ClientKind.UNCLEAR, id="no-address"),
    ],
)
def test_a_client_is_counted_as_what_its_name_says(name: str, address: str, kind: ClientKind) -> None:
    client = Client(name, address)

    assert kind_in(tally_of(*greylisted(client))) is kind_of(client) is kind


@st.composite
def named_clients(draw: st.DrawFn) -> Client:
    """Return a client whose name is made from its address, words that say something, and others."""
    address = draw(st.ip_addresses())
    words = [*sorted(CUSTOMER_WORDS), *CUSTOMER_PARTS, *MAIL_PARTS, "mx", "mx7", "out", "sender"]
    piece = st.one_of(
        st.sampled_from(_spellings(address)),
        st.sampled_from(words),
        st.text("0123456789abcdef-_", min_size=1, max_size=13),
        st.sampled_from(["h", "x1", "-", "_", "255", "0", "00163e0a1b2c"]),
    )
    label = st.lists(piece, min_size=1, max_size=3).map("-".join)
    labels = draw(st.lists(label | st.lists(piece, min_size=1, max_size=2).map("".join), max_size=3))
    domain = draw(
        st.sampled_from(
            ["example.com", "mailgun.net", "iphmx.com", "example.co.uk", "a.github.io", "192.0.2.1", "com", "unknown"]
        )
    )
    return Client(".".join([*labels, domain]), draw(st.sampled_from([normalise(str(address)), ""])))


def _spellings(address: IPv4Address | IPv6Address) -> list[str]:
    """Return how an ISP may write an address, or a part of it, into a name."""
    if isinstance(address, IPv4Address):
        octets = str(address).split(".")
        padded = [octet.zfill(3) for octet in octets]
        return [
            *("-".join(octets), ".".join(octets), "-".join(reversed(octets)), "x".join(octets[:3])),
            *(
                "-".join(octets[:2]),
                "".join(padded),
                "-".join(padded),
                "".join(padded[:3]),
                "".join(octets),
                address.packed.hex(),
            ),
            *(address.packed.hex().upper(), f"0{octets[3]}", f"{octets[0]}a{octets[1]}b{octets[2]}", octets[3] * 2),
        ]
    groups = address.exploded.split(":")
    short = [group.lstrip("0") or "0" for group in groups]
    return [
        *("".join(groups), "".join(groups[:4]), "".join(groups[4:]), "-".join(groups[:4]), ".".join(groups[:4])),
        *("-".join(short), "-".join(short[:4]), "-".join(short[4:]), ".".join(short[4:]), "-".join(short[:3])),
        *("".join(short[:4]), "-".join(groups)[:18], "".join(groups)[:15], "".join(groups)[1:16]),
    ]


@settings(max_examples=10 * USUALLY)
@given(client=named_clients())
def test_what_a_name_says_is_the_same_counted_and_asked_for(client: Client) -> None:
    assert kind_in(tally_of(*greylisted(client))) is kind_of(client)


@settings(max_examples=2 * USUALLY)
@given(clients=st.lists(named_clients(), max_size=12), passed=st.lists(st.booleans(), min_size=12, max_size=12))
def test_clients_of_any_name_are_counted_where_they_belong(clients: list[Client], passed: list[bool]) -> None:
    decisions = greylisted(*clients)
    decisions += [
        Decision(NOW, PASS, TRIPLET_FOUND, client, None, key)
        for key, (client, is_passed) in enumerate(zip(clients, passed, strict=False))
        if is_passed
    ]
    tally = tally_of(*decisions)

    assert_agree(tally, reference_of(tally, decisions), LISTS, NOW)


@given(address=st.ip_addresses() | st.none())
def test_the_network_of_a_client_has_the_number_that_the_state_keeps(
    address: IPv4Address | IPv6Address | None,
) -> None:
    text = normalise(str(address)) if address else ""
    tally = tally_of(*greylisted(Client("mx.example.com", text)))
    tally.settle()

    (client,) = tally.client_rows({"example.com": 1}, 0, 0)
    (message,) = tally.message_rows({"example.com": 1}, 0.0)
    assert client[4] == message[4] == network_number(text)
