"""As on Debian 12: a real postgrey's standard output goes to a real journald, `serve` reads it on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.parts import Postgrey

from sources.journal.journald import Journald
from sources.journal.journals import greylisted
from sources.journal.serving import Serve

if TYPE_CHECKING:
    from collections.abc import Iterator

DECISIONS = "postgrey_decisions_total"
NEW = 'postgrey_decisions_total{action="greylist",reason="new"}'


@pytest.fixture
def journald() -> Iterator[Journald]:
    with Journald() as part:
        yield part


def test_every_answer_of_postgreys_is_counted_through_rotation_and_vacuum(journald: Journald) -> None:
    answers: Counter[str] = Counter()
    with (
        Postgrey() as postgrey,
        journald.stream("postgrey", "postgrey.service") as unit,
        Serve([f"--journal-directory={journald.files}"]) as serve,
    ):
        forwarded = 0
        serve.caught_up()
        for round_ in range(4):
            for number in range(50):
                answer = postgrey.ask(
                    f"m{number}.example.com", "192.0.2.1", f"s{number % 20}@example.com", "r@x.example"
                )
                answers[answer.split()[0]] += 1
            lines = postgrey.log_lines()
            unit.sendall("".join(f"{line}\n" for line in lines[forwarded:]).encode())
            forwarded = len(lines)
            unit.sendall(f"end of round {round_}\n".encode())
            journald.holds(f"end of round {round_}")
            assert serve.value(DECISIONS) == answers.total()
            journald.control("--rotate")
            if round_ % 2:
                journald.control("--vacuum-files=1")
                serve.kill()
                serve.run()
                serve.caught_up()
        assert serve.value('postgrey_decisions_total{action="greylist"') == answers["DEFER_IF_PERMIT"]
        assert serve.value(DECISIONS) == answers.total() == 200
        assert serve.value("postgrey_exporter_source_gaps_total") == 0
        assert "level=error" not in serve.log()


def test_only_journalds_own_word_makes_an_entry_postgreys(journald: Journald) -> None:
    with (
        journald.stream("postgrey", "postgrey.service") as ours,
        journald.stream("postfix/cleanup", "postfix.service") as theirs,
        Serve([f"--journal-directory={journald.files}"]) as serve,
    ):
        theirs.sendall(f"warning: header Subject: postgrey[1]: {greylisted(1)}\n{greylisted(2)}\n".encode())
        journald.send([("SYSLOG_IDENTIFIER", b"x"), ("MESSAGE", f"a\npostgrey[1]: {greylisted(3)}".encode())])
        journald.send([("SYSLOG_IDENTIFIER", b"postgrey"), ("MESSAGE", f"a\n{greylisted(4)}".encode())])
        ours.sendall(f"{greylisted(5)}\ncleaning up old logs...\n".encode())
        journald.holds("cleaning up old logs")
        serve.caught_up()
        assert serve.value(DECISIONS) == 1
        assert serve.value(NEW) == 1
        assert serve.value('postgrey_exporter_source_lines_total{outcome="no_decision"') == 2
