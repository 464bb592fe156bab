"""What counts as delivered, by a real postgrey: a pass for whatever reason ends a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from support.parts import Postgrey
from support.tallies import tally_of_log

from postgrey_exporter.decision import CLIENT_AWL, CLIENT_WHITELIST, PASS, TRIPLET_FOUND
from postgrey_exporter.lists import Lists
from postgrey_exporter.summary.domain import standings

if TYPE_CHECKING:
    from pathlib import Path

START: Final = 1_700_000_000
HOUR: Final = 3600
KNOWN: Final = ("mta1.mail.example.com", "198.51.100.7")
NEW: Final = ("mta2.mail.example.com", "203.0.113.7")
WRITTEN: Final = ("mta3.mail.example.com", "192.0.2.7")
AUTO_WHITELIST: Final = 5
"""Deliveries after which postgrey lets a client through, at most one an hour counted."""


def test_passes_by_the_auto_whitelist_and_by_the_whitelist_deliver_what_was_greylisted_before(tmp_path: Path) -> None:
    whitelist = tmp_path / "whitelist_clients"
    whitelist.touch()
    with Postgrey(whitelist_files=[whitelist]) as postgrey:
        lines: list[str] = []

        def tried(client: tuple[str, str], sender: str, at: int) -> None:
            before = len(postgrey.log_lines())
            postgrey.ask(*client, f"{sender}@example.com", "office@example.org", at=at)
            said = [line for line in postgrey.log_lines()[before:] if "action=" in line]
            stamp = datetime.fromtimestamp(at, UTC).isoformat()
            lines.extend(f"{stamp} mx postgrey[1]: {line}\n" for line in said)

        for number in range(AUTO_WHITELIST):
            sender = f"letter-{'abcde'[number]}"
            tried(KNOWN, sender, START + 2 * number * HOUR)
            tried(KNOWN, sender, START + (2 * number + 1) * HOUR)
        later = START + 20 * HOUR
        tried(NEW, "moves", later)
        tried(KNOWN, "moves", later + HOUR)
        tried(WRITTEN, "waits", later)
        whitelist.write_text("mta3.mail.example.com\n")
        postgrey.reload()
        tried(WRITTEN, "waits", later + 3 * HOUR)
        tried(KNOWN, "never-greylisted", later + 4 * HOUR)

    tally = tally_of_log("".join(lines), later)
    passes = {
        reason: count for (action, reason), count in tally.decision_totals().items() if action == PASS and count
    }
    assert passes == {TRIPLET_FOUND: AUTO_WHITELIST, CLIENT_AWL: 2, CLIENT_WHITELIST: 1}

    now = later + 5 * HOUR
    (domain,) = standings(tally.facts(), Lists(), now).domains
    known = domain.evidence
    assert (known.messages, known.delivered, known.lost) == (AUTO_WHITELIST + 2, AUTO_WHITELIST + 2, 0)
    assert known.delays is not None
    assert known.delays.most == 3 * HOUR
