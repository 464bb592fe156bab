"""What a client's name says of it: a mail server, the line of an ISP's customer, or neither.

A registrable domain can hold all three. Nobody is accused by it: a customer's line that sends mail is what
greylisting was made for, so its name decides where the evidence is to be sought, not what is done.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final

CUSTOMER_WORDS: Final = frozenset(
    """
    abo abonent access bb cable catv cellular client cliente clientes clients cm cpc cpe cust
    customer customers dhcp dial dialin dialup dinamic dinamica dinamico dip docsis dyn dynamic
    dynamicip dynip estatico fiber fibra fibre fttb ftth fttx gpon gprs hfc home hsd kabel lte
    mob mobile nat pool pools ppp pptp res residential resnet static subs subscriber umts
    unassigned user users wifi wireless wlan
    """.split()  # noqa: SIM905 - reads better
)
"""Words in the names that ISPs give their customers' lines."""
CUSTOMER_PARTS: Final = ("broadband", "dsl", "modem", "pppoe")
"""The same inside of words: ``adsl``, ``dslb``, ``modemcable``."""
MAIL_PARTS: Final = (
    "bounce",
    "delivery",
    "mail",
    "mta",
    "newsletter",
    "outbound",
    "outgoing",
    "postfix",
    "relay",
    "smtp",
)
"""What the names of mail servers have in a word: ``mailout``, ``resqmta``, ``smtpq``."""
MAIL_DOMAIN_PARTS: Final = ("mail", "smtp")
"""What the names of domains have that are there for mail alone: ``mailgun.net``, ``hubspotemail.net``."""
MAIL_DOMAIN_ENDS: Final = ("mta", "mx", "send")
"""The same at either end: ``mtasv.net``, ``iphmx.com``, ``sendgrid.net``; inside of words they say nothing."""
OCTETS_OF_A_LINE: Final = 3
"""Octets of its address in a client's name that make it a line's; the servers of a pool often carry two."""

_WORD: Final = re.compile(r"[a-z]+")
_MAC: Final = re.compile(r"[0-9a-f]{12}")
SAYS_LINE: Final = 1
"""A customer's line, see `words_say`."""
SAYS_MAIL: Final = 2
"""A mail server."""
SAYS_SENDER: Final = 4
"""A mail server, where nothing says otherwise."""
SAYS_MAC: Final = 8
"""The hardware address of a customer's modem stands in the name."""
SAYS_MAIL_DOMAIN: Final = 16
"""The domain is there for mail alone: its mail servers may be named after their addresses."""
SAYS_ALL: Final = 31
"""All of these at once."""
_CUSTOMER_PART: Final = re.compile("|".join(CUSTOMER_PARTS))
_MAIL_PART: Final = re.compile("|".join(MAIL_PARTS))
_MAIL_DOMAIN_PART: Final = re.compile("|".join([*MAIL_DOMAIN_PARTS, *(f"^{end}|{end}$" for end in MAIL_DOMAIN_ENDS)]))
_MX: Final = re.compile(r"mx[a-z]*")
_SENDER: Final = re.compile(r"[a-z]*out|sender")


class ClientKind(Enum):
    """What a client is by its name."""

    UNCLEAR = 0
    MAIL = 1
    """A mail server."""
    LINE = 2
    """A customer's line."""


def kind_by(says: int, *, is_by_address: bool) -> ClientKind:
    """Return what a client is by what the parts of its name say, and whether the name is made from its address.

    The line of a customer (dial-up, DSL, cable, mobile) has one of `CUSTOMER_WORDS` in its name, or its address, and
    nothing of a mail server's; with both a word and the address it is a line whatever else there is. In a domain for
    mail alone an address without such a word makes no line.
    """
    is_numbered = is_by_address or says & SAYS_MAC
    if says & SAYS_LINE and (is_numbered or not says & SAYS_MAIL):
        return ClientKind.LINE
    if says & (SAYS_MAIL | SAYS_MAIL_DOMAIN):
        return ClientKind.MAIL
    if is_numbered:
        return ClientKind.LINE
    return ClientKind.MAIL if says & SAYS_SENDER else ClientKind.UNCLEAR


@lru_cache(maxsize=8192)
def words_say(labels: str) -> int:
    """Return what some labels of a name say: `SAYS_LINE`, `SAYS_MAIL`, `SAYS_SENDER`, `SAYS_MAC`, or several.

    The first label with zeros for its digits, and the others: thousands of names have the same two.
    """
    words = _WORD.findall(labels)
    says = 0
    if not CUSTOMER_WORDS.isdisjoint(words) or _CUSTOMER_PART.search(labels):
        says |= SAYS_LINE
    if _MAIL_PART.search(labels) or any(_MX.fullmatch(word) for word in words):
        says |= SAYS_MAIL
    if any(_SENDER.fullmatch(word) for word in words):
        says |= SAYS_SENDER
    if _MAC.search(labels):
        says |= SAYS_MAC
    return says


def domain_says(domain: str) -> int:
    """Return what a registrable domain itself says of its clients: `SAYS_MAIL_DOMAIN`, or nothing."""
    return SAYS_MAIL_DOMAIN if _MAIL_DOMAIN_PART.search(domain.partition(".")[0]) else 0
