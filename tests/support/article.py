"""The article this project grew from: its numbers, its ignore file and its two regexes, as data for tests."""

from __future__ import annotations

import re
from typing import Final

NUMBERS: Final = {
    "protection.outlook.com": 579,
    "eu-west-1.amazonses.com": 503,
    "facebook.com": 113,
    "mcsv.net": 54,
    "rsgsv.net": 52,
    "mcdlv.net": 48,
    "amazonses.com": 28,
    "asianet.co.th": 17,
}
"""Attempts by what the article's command printed."""

IGNORE_FILE: Final = "asianet.co.th\nexample.com\n"

COMMAND: Final = re.compile(r"reason=new, client_name=[^,.]+\.[^,.]+\.([^,.]+\.[^,]+)")
PLUGIN: Final = re.compile(
    r"reason=(?:new|early-retry[^,]*), client_name=[^,.]+\.[^,.]+\.([^,.]+(?:\.co|\.com)\.?[^,]+)"
)
"""Both without grep's ``\\K``: the group is what is counted."""


def log(host: str = "mail", day: str = "Nov 20") -> str:
    """Return a log in which the article's domains are greylisted as often as in the article."""
    lines = []
    for number, (domain, attempts) in enumerate(NUMBERS.items()):
        for attempt in range(attempts):
            client = f"mx{attempt % 40}.out{attempt % 3}.{domain}"
            address = f"198.{18 + number % 2}.{(attempt * 7 + number) % 250}.{attempt % 200 + 1}"
            lines.append(
                f"{day} {attempt % 24:02}:{attempt % 60:02}:{number:02} {host} postgrey[512]: action=greylist, "
                f"reason=new, client_name={client}, client_address={address}, sender=a{attempt}@{domain}, "
                f"recipient=b@example.org\n"
            )
    return "".join(lines)
