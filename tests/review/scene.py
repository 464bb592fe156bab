"""A week with three domains to review: a pool, an ISP with a pool and customers, and customers alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START: Final = 1_795_000_000
POOL: Final = "example.com"
ISP: Final = "example.net"
HOST: Final = "example.org"
POOL_ENTRY: Final = r"/\.out\.example\.com$/"
ISP_ENTRY: Final = r"/\.mail\.example\.net$/"


def line(moment: float, what: str, name: str, address: str, sender: str) -> str:
    stamp = datetime.fromtimestamp(moment, UTC).isoformat()
    return (
        f"{stamp} mx postgrey[5]: action={what}, client_name={name}, client_address={address}, "
        f"sender={sender}, recipient=b@example.org\n"
    )


def moving(domain: str, messages: int, net: int) -> Iterator[str]:
    """Messages that are tried from two networks and accepted after an hour and a half."""
    for number in range(messages):
        at = START + 600 * number
        sender = f"user-{chr(97 + number)}@{domain}"
        first, second = ((f"mx{host}.{domain}", f"198.18.{net + host}.{number + 1}") for host in (1, 2))
        yield line(at, "greylist, reason=new", *first, sender)
        yield line(at + 2700, "greylist, reason=new", *second, sender)
        yield line(at + 5400, "pass, reason=triplet found, delay=2700", *second, sender)


def customers(domain: str, attempts: int, net: int) -> Iterator[str]:
    """Mails that are tried once each, from dial-up lines."""
    for number in range(attempts):
        address = f"198.18.{net}.{number + 1}"
        name = f"ip-{address.replace('.', '-')}.dyn.{domain}"
        yield line(START + 60 * number, "greylist, reason=new", name, address, f"x-{chr(97 + number)}@example.org")


def write(folder: Path) -> Path:
    """Write the week's log and empty lists; return the log."""
    lines = [
        *moving(f"out.{POOL}", 20, 10),
        *moving(f"mail.{ISP}", 10, 20),
        *customers(ISP, 18, 30),
        *customers(HOST, 16, 40),
        # More than two days later, so that what never came back is lost.
        line(START + 3 * 86400, "pass, reason=client AWL", "mx.example.edu", "192.0.2.9", "a@example.edu"),
    ]
    for name in ("whitelist", "ignore"):
        (folder / name).touch()
    log = folder / "mail.log"
    log.write_text("".join(lines))
    return log


def options(folder: Path) -> list[str]:
    return ["--whitelist-file", str(folder / "whitelist"), "--ignore-file", str(folder / "ignore")]
