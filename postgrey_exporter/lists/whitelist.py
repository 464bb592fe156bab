"""Client whitelists, line by line as postgrey 1.37 reads them (read_clients_whitelists in its source).

Every rule here is postgrey's, faults included: the tests put each line to the real daemon. What a line's author
can't have meant is a warning; a line is never read as something better than what postgrey makes of it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from postgrey_exporter.lists import netaddr
from postgrey_exporter.lists.content import ContentBuilder, ListContent, shown

if TYPE_CHECKING:
    from postgrey_exporter.lists.patterns import ClientPattern

# postgrey's own expressions, in its order.
_PATTERN: Final = re.compile(rb"/(\S+)/")
_IPV4: Final = re.compile(rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:/\d{1,2})?")
_THREE_OCTETS: Final = re.compile(rb"\d{1,3}\.\d{1,3}\.\d{1,3}")
_TWO_OCTETS: Final = re.compile(rb"\d{1,3}\.\d{1,3}")
_HAS_BLANK: Final = re.compile(rb"\s")
_LEADING_ZERO: Final = re.compile(rb"(?:^|\.)0[0-9]")
_PARTIAL_PREFIX: Final = 24

# The bulk of every list: a plain host name, whose last label has a letter and so is no address.
_PLAIN_NAME: Final = re.compile(rb"(?:[0-9A-Za-z_-]+\.)*[A-Za-z][0-9A-Za-z-]*")
_HOST_CHARACTERS: Final = re.compile(rb"[0-9A-Za-z._-]+")
_IPV4_MAPPED: Final = 0xFFFF
_UNLIKELY_NAMES: Final = (b"q", b"0-0.z", b"unknown", b"x_1.example")
"""Names that have nothing in common: a pattern that takes them all takes every name."""


def read_whitelist(data: bytes, file: str) -> ListContent:
    """Return what a client whitelist says; ``file`` is its name in warnings."""
    builder = ContentBuilder(file)
    for number, line in enumerate(data.split(b"\n"), start=1):
        before_comment, hash_sign, _ = line.partition(b"#")
        text = before_comment.strip()
        if _PLAIN_NAME.fullmatch(text):
            builder.add_name(number, text)
        elif text:
            _Line(builder, number, text, has_comment=bool(hash_sign)).read()
    return builder.content()


class _Line:
    """One line that is more than a plain name."""

    def __init__(self, builder: ContentBuilder, number: int, text: bytes, *, has_comment: bool) -> None:
        self._builder = builder
        self._number = number
        self._text = text
        self._has_comment = has_comment

    def read(self) -> None:
        """Apply the first rule that fits."""
        text = self._text
        if pattern := _PATTERN.fullmatch(text):
            self._pattern(pattern[1])
        elif _IPV4.fullmatch(text):
            self._ipv4(None)
        elif _THREE_OCTETS.fullmatch(text):
            self._ipv4(_PARTIAL_PREFIX)
        elif _TWO_OCTETS.fullmatch(text):
            self._ipv4(_PARTIAL_PREFIX)
            name = shown(text)
            self._warn(f"postgrey reads {name} as {name}.0.0/24, not as /16: write {name}.0.0/16")
        elif text.count(b":") > 1:
            self._ipv6()
        elif not _HAS_BLANK.search(text):
            self._name()
        else:
            self._warn("postgrey ignores this line: there is a blank in it")

    def _warn(self, message: str) -> None:
        self._builder.warn(self._number, message)

    def _add(self, covers: netaddr.Network | ClientPattern) -> None:
        self._builder.add(self._number, self._text, covers)

    def _pattern(self, perl: bytes) -> None:
        # Imported late: a report without lists should not wait for what reads Perl's patterns.
        from postgrey_exporter.lists.pattern_errors import PatternError, RefusedError  # noqa: PLC0415
        from postgrey_exporter.lists.patterns import ClientPattern  # noqa: PLC0415

        try:
            pattern = ClientPattern(perl)
        except RefusedError as error:
            self._warn(f"Perl refuses this pattern and postgrey dies of it: {error}")
            return
        except PatternError as error:
            self._warn(f"pattern not understood, so it covers nothing here: {error}")
            return
        if pattern.plain_letters:
            self._warn(f"{' and '.join(pattern.plain_letters)} stand for the plain letter here")
        if not (pattern.tails or pattern.needles) and all(pattern.matches(name, name) for name in _UNLIKELY_NAMES):
            self._warn("this pattern covers every client")
        self._add(pattern)

    def _ipv4(self, prefix: int | None) -> None:
        network = netaddr.read_ipv4(self._text, prefix)
        if network is None:
            self._warn(f"postgrey drops {shown(self._text)} in silence: it is no IPv4 address or network")
            return
        if _LEADING_ZERO.search(self._text):
            address = IPv4Address(network.address)
            self._warn(f"a leading zero makes an octal number: postgrey reads {address}")
        self._add(network.base())

    def _ipv6(self) -> None:
        try:
            network = netaddr.read_ipv6(self._text)
        except netaddr.FatalError:
            self._warn("postgrey dies of this line: the mask is too long a number")
            return
        except netaddr.UncertainError:
            self._warn("network not understood, so it covers nothing here: postgrey asks a name server what it is")
            return
        if network is None:
            self._warn(f"postgrey drops {shown(self._text)} in silence: it is no IPv6 address or network")
            return
        if network.holds(netaddr.Network(0, netaddr.IPV4_SPACE)):
            self._warn("this covers every IPv4 client, too")
        elif network.address >> 32 == _IPV4_MAPPED:
            self._warn(f"no client has such an address: write {IPv4Address(network.address & 0xFFFFFFFF)}")
        elif b"[" in self._text and not (self._text.startswith(b"[") and self._text.endswith(b"]")):
            self._warn(f"postgrey reads this as the single address {IPv6Address(network.address)}")
        self._add(network.base())

    def _name(self) -> None:
        if why := self._why_no_client_has_it():
            self._warn(f"{shown(self._text)} never matches: {why}")
        self._builder.add_name(self._number, self._text)

    def _why_no_client_has_it(self) -> str | None:
        text = self._text
        why = None
        if text.startswith(b"/") and self._has_comment:
            why = "# begins a comment even inside a pattern, so this is taken for a name"
        elif text.startswith(b"/"):
            why = "a pattern begins and ends with /, so this is taken for a name"
        elif text.startswith((b".", b"*.")) and text.strip(b".*"):
            rest = shown(text.lstrip(b".*"))
            why = f"postgrey takes it literally; {rest} covers {rest} and everything under it"
        elif not _HOST_CHARACTERS.fullmatch(text):
            why = "host names consist of letters, digits, dots and hyphens"
        elif text.endswith(b".") or b".." in text:
            why = "a client's name has no empty label and no dot at its end"
        elif text.rpartition(b".")[2].isdigit():
            why = "no host name ends in a number, and as an address it is not complete"
        return why
