"""Lines of a mail log as tests need them: postgrey's decisions, and what stands between them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

FOREIGN: Final = "2024-06-26T00:00:07+00:00 mx1 postfix/smtpd[9]: connect from unknown[192.0.2.9]\n"


def stamp(moment: float) -> str:
    """Return seconds since the epoch as RFC 3339 has them, to the microsecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def decision(
    moment: float,
    name: str = "mail.example.com",
    address: str = "192.0.2.1",
    *,
    action: str = "greylist",
    reason: str = "new",
) -> str:
    """Return one line with its end; ``reason`` as postgrey writes it, ``delay=`` behind it where it has one."""
    return (
        f"{stamp(moment)} mx1 postgrey[12]: action={action}, reason={reason}, client_name={name}, "
        f"client_address={address}, sender=a@example.com, recipient=b@example.org\n"
    )
