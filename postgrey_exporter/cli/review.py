"""``review``: the domains that need a decision, one by one on a terminal, or as a list."""

from __future__ import annotations

import sys
from typing import Any

import click

from postgrey_exporter import review
from postgrey_exporter.cli import options
from postgrey_exporter.cli.editing import EditingSettings
from postgrey_exporter.cli.gathering import GatheringSettings, gather
from postgrey_exporter.cli.output import complain, say
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.review import text


@click.command("review")
@options.gathering_options
@options.threshold
def command(threshold: int, **gathering_options: Any) -> int:
    """Decide on each unreviewed domain, worst first.

    The command shows each domain with its evidence, the advice and the proposed whitelist entry. One key whitelists,
    ignores or skips the domain.

    LOG is a file, plain or compressed by gzip, bzip2, xz or zstd. Without LOG the command reads the exporter's state;
    without a state it finds postgrey's log and reads the last --window of it.

    Without a terminal, the command prints the list. Exit status then: 0 if there is nothing to review, 1 if there is
    something, 2 if the answer is not certain.
    """
    settings = GatheringSettings(**gathering_options)
    gathered = gather(settings, propose=True)
    errors = [status.error for status in gathered.lists.statuses() if status.error]
    errors += [gathered.blind] if gathered.blind else []
    if errors:
        raise PostgreyExporterError("; ".join(errors))
    everyone = review.uncovered(gathered.clients(), gathered.lists.lists)
    due = review.items(gathered.standings.unreviewed(threshold), everyone)
    for problem in gathered.problems:
        complain(f"{problem}; the counts are partial")
    if not due and gathered.problems:
        return 2
    if not due:
        say("Okay, the top domains are whitelisted or ignored.")
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for line in text.listing(due, threshold):
            say(line)
        return 1
    from postgrey_exporter.cli.review_session import Session  # noqa: PLC0415 - a list needs no terminal

    return Session(
        review.Review(due, threshold), everyone, EditingSettings(settings.whitelist_files, settings.ignore_files)
    ).run()
