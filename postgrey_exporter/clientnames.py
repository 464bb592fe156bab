"""What a client's name says of it: the line of an ISP's customer, or a server of a mail provider.

A registrable domain can hold both. Nobody is accused by it: a customer's line that sends mail is what greylisting
was made for, so its name decides where the evidence is to be sought, not what is done.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Final

from postgrey_exporter.domains import registrable_domain

CUSTOMER_WORDS: Final = frozenset(
    [
        "adsl",
        "bb",
        "broadband",
        "cable",
        "catv",
        "cm",
        "cpe",
        "cust",
        "customer",
        "customers",
        "dhcp",
        "dial",
        "dialin",
        "dialup",
        "dsl",
        "dyn",
        "dynamic",
        "dynamicip",
        "dynip",
        "fiber",
        "fibra",
        "fibre",
        "ftth",
        "gprs",
        "hfc",
        "home",
        "hsd",
        "hsia",
        "kabel",
        "lte",
        "mobile",
        "modem",
        "pool",
        "ppp",
        "pppoe",
        "pptp",
        "res",
        "residential",
        "speedy",
        "subscriber",
        "umts",
        "user",
        "vdsl",
        "wifi",
        "wireless",
        "wlan",
        "xdsl",
    ]
)
"""Words in the names that ISPs give their customers' lines."""
MAIL_WORDS: Final = frozenset(
    [
        "bounce",
        "email",
        "fmta",
        "mail",
        "mailer",
        "mailin",
        "mailout",
        "mails",
        "mout",
        "mta",
        "mx",
        "out",
        "outbound",
        "relay",
        "sender",
        "smtp",
        "smtpout",
    ]
)
"""Words in the names of mail servers."""
OCTETS_OF_A_LINE: Final = 3
"""Octets of its address in a client's name that make it a line's; the servers of a pool often carry two."""

_WORD: Final = re.compile(r"[a-z]+")
_NUMBER: Final = re.compile(r"[0-9]+")
_HEX_ADDRESS: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])")


@lru_cache(maxsize=8192)
def is_customer_line(name: str, address: str) -> bool:
    """Tell whether a client's name is that of an ISP's customer: dial-up, DSL, cable, mobile.

    It is when it has one of `CUSTOMER_WORDS`, or `OCTETS_OF_A_LINE` of its address and none of `MAIL_WORDS`. The
    registrable domain itself is not looked at: ``dyn.com`` may run a mail server.
    """
    domain = registrable_domain(name)
    host = name.lower().removesuffix(domain).rstrip(".")
    words = set(_WORD.findall(host))
    if words & CUSTOMER_WORDS:
        return True
    return not words & MAIL_WORDS and has_address(host, address)


def has_address(host: str, address: str) -> bool:
    """Tell whether a host name is made from its address: most octets in any order, or all of it in hexadecimal."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if not isinstance(parsed, IPv4Address):
        groups = [group.lstrip("0") or "0" for group in parsed.exploded.split(":")]
        digits = host.replace("-", "").replace(".", "")
        return parsed.exploded.replace(":", "")[16:] in digits or "-".join(groups[4:]) in host
    if f"{int(parsed):08x}" in _HEX_ADDRESS.findall(host):
        return True
    numbers = Counter(str(int(number)) for number in _NUMBER.findall(host))
    octets = Counter(address.split("."))
    if sum((numbers & octets).values()) >= OCTETS_OF_A_LINE:
        return True
    run = "".join(octet.zfill(3) for octet in address.split("."))
    return run in host
