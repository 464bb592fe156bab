"""The ignore file: sender domains that were reviewed and are deliberately left greylisted, one a line.

The form is that of the ``postgrey_no_whitelist`` file of the Nagios plugin which this program replaces; existing
files keep working. An entry covers the domain and everything under it, in upper or lower case. ``#`` begins a
comment. What is clear though unusual (a dot or ``*.`` in front, a dot at the end) is read as it was meant, with a
warning.
"""

from __future__ import annotations

import re
from typing import Final

from postgrey_exporter.lists.content import ContentBuilder, ListContent, Name, shown

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DOMAIN: Final = re.compile(rb"[0-9a-z_-]+(?:\.[0-9a-z_-]+)*")
_ADDRESS: Final = re.compile(rb"[0-9.]+(?:/[0-9]+)?|.*:.*:.*")


def read_ignore(data: bytes, file: str) -> ListContent:
    """Return what an ignore file says; ``file`` is its name in warnings."""
    builder = ContentBuilder(file)
    for number, line in enumerate(data.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), start=1):
        text = line.partition(b"#")[0].strip()
        if text:
            _read_line(builder, number, text)
    return builder.content()


def _read_line(builder: ContentBuilder, number: int, text: bytes) -> None:
    domain = text.lower()
    if not _is_domain(domain):
        domain = domain.removeprefix(b"*").removeprefix(b".").removesuffix(b".")
        if not _is_domain(domain):
            builder.warn(number, f"{shown(text)} {_why_no_domain(text)}, so it covers nothing")
            return
        builder.warn(number, f"{shown(text)} is read as {shown(domain)}, which covers everything under it as well")
    elif b"." not in domain:
        builder.warn(number, f"{shown(text)} covers every client whose name ends in .{shown(domain)}")
    builder.add(number, text, Name(domain))


def _is_domain(text: bytes) -> bool:
    return _DOMAIN.fullmatch(text) is not None and not text.rpartition(b".")[2].isdigit()


def _why_no_domain(text: bytes) -> str:
    if text.startswith(b"/"):
        return "is no domain: patterns have their place in postgrey's whitelist"
    if _ADDRESS.fullmatch(text):
        return "is no domain: clients are ignored by name, not by address"
    if len(text.split()) > 1:
        return "is more than one domain in a line"
    return "is no domain"
