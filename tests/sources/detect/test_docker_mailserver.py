"""As in docker-mailserver: postgrey's lines have no header, and supervisord writes and rotates the log."""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.detect.discover import Detector
from postgrey_exporter.sources.file.source import FileSource
from sources.detect.roots import NOW, headerless, message, rfc3339, traditional
from sources.detect.supervisord import Supervised
from sources.journal.serving import Serve

if TYPE_CHECKING:
    from pathlib import Path

DECISIONS = "postgrey_decisions_total"


def test_supervisords_own_rotation_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "var/log/supervisor/postgrey.log"
    log.parent.mkdir(parents=True)
    with Supervised(log, size=1500) as supervised:
        for number in range(30):
            supervised.ask(number)
        supervised.logged(29)
        found = Detector("postgrey", UTC, tmp_path, lambda _: None).detect(log.stat().st_mtime)
        assert found.chosen is not None
        assert found.chosen.path == log
        with Serve([f"--mail-log={log}"]) as serve:
            serve.caught_up()
            assert serve.value(DECISIONS) == 30
            for round_ in range(1, 4):
                numbers = range(30 * round_, 30 * round_ + 30)
                if round_ == 2:
                    serve.kill()
                for number in numbers:
                    supervised.ask(number)
                supervised.logged(numbers[-1])
                if round_ == 2:
                    serve.run()
                    serve.caught_up()
                assert serve.value(DECISIONS) == numbers[-1] + 1
            assert serve.value("postgrey_exporter_source_rotations_total") > 1
            assert serve.value("postgrey_exporter_source_lost_bytes_total") == 0
    assert len(list(log.parent.glob("postgrey.log.*"))) > 5


def read(source: FileSource, now: float) -> list[tuple[str, float]]:
    parser = Parser(zone=UTC)
    return sorted(
        (decision.client.name, decision.time)
        for batch in source.batches(now)
        for decision in parser.parse(batch.lines, batch.seen_at).decisions
    )


def test_lines_without_a_header_are_dated_by_their_reading_or_their_archive(tmp_path: Path) -> None:
    log, archive = tmp_path / "postgrey.log", tmp_path / "postgrey.log.1"
    archive.write_bytes(headerless([1]))
    os.utime(archive, (NOW - 7200, NOW - 7200))
    log.write_bytes(headerless([2]))
    source = FileSource(log, 86400)
    source.resume(None)
    assert read(source, NOW) == [("m1.example.com", NOW - 7200), ("m2.example.com", NOW)]
    with log.open("ab") as file:
        file.write(headerless([3]))
    assert read(source, NOW + 60) == [("m3.example.com", NOW + 60)]


@pytest.mark.parametrize("end", [pytest.param(b"\n", id="LF"), pytest.param(b"\r\n", id="CRLF")])
def test_lines_with_and_without_a_header_stand_in_one_file(tmp_path: Path, end: bytes) -> None:
    log = tmp_path / "postgrey.log"
    queue_id = f"4B3C2D: {message(4)}\n".encode()
    log.write_bytes((traditional([10]) + headerless([2]) + rfc3339([30]) + queue_id).replace(b"\n", end))
    source = FileSource(log, 86400)
    source.resume(None)
    times = dict(read(source, NOW))
    assert times.keys() == {"m10.example.com", "m2.example.com", "m30.example.com", "m4.example.com"}
    assert times["m10.example.com"] == NOW - 10
    assert times["m30.example.com"] == pytest.approx(NOW - 30, abs=1)
    # A bare line has the stamp of the line before it.
    assert times["m2.example.com"] == times["m10.example.com"]
    assert times["m4.example.com"] == times["m30.example.com"]
