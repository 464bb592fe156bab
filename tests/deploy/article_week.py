"""A folder that stands for /var/log: the article's numbers over this week's log and last week's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from support import article

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SENDERS: Final = "amazonses.com facebook.com mcdlv.net mcsv.net outlook.com rsgsv.net"
COUNTS: Final = {
    "outlook.com": 579,
    "amazonses.com": 531,
    "facebook.com": 113,
    "mcsv.net": 54,
    "rsgsv.net": 52,
    "mcdlv.net": 48,
}
"""The article's numbers by registrable domain, without what its ignore file names."""
OK, WARNING, CRITICAL, UNKNOWN = "0", "1", "2", "3"


def first_line(status: str, senders: str = SENDERS) -> str:
    return f"POSTGREY {status} - Whitelist or ignore these senders: {senders}"


def perfdata(limits: str, without: Collection[str] = ()) -> str:
    return " ".join(f"'{domain}'={count};{limits};0" for domain, count in COUNTS.items() if domain not in without)


def write_week(folder: Path) -> None:
    """Write the logs, with older lines that ``--since 7d`` leaves out, and the lists."""
    now = time.time()
    lines = article.log(day=_day(now - 2 * 86400)).splitlines(keepends=True)
    (folder / "mail.log.1").write_text(article.log(day=_day(now - 20 * 86400)) + "".join(lines[:900]))
    (folder / "mail.log").write_text("".join(lines[900:]))
    (folder / "week.log").write_text("".join(lines))
    (folder / "ignore").write_text(article.IGNORE_FILE)
    (folder / "whitelist_clients").write_text("# none\n")
    (folder / "outlook").write_text("/\\.protection\\.outlook\\.com$/\n")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment that stands for postgrey's own lists."""
    return {
        "POSTGREY_EXPORTER_WHITELIST_FILE": str(folder / "whitelist_clients"),
        "POSTGREY_EXPORTER_IGNORE_FILE": str(folder / "ignore"),
    }


def _day(moment: float) -> str:
    return time.strftime("%b %e", time.localtime(moment))
