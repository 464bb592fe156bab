"""The source that finds its place by itself: looks on until there is one, and never reads the same line in two."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from postgrey_exporter.cli import composition
from postgrey_exporter.cli import root as program
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.lists import ListFiles
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.pipeline.ingest import Ingest
from postgrey_exporter.sources.detect.discover import Detector, Finding
from postgrey_exporter.sources.detect.source import NOTHING_FOUND, RETRY_SECONDS, SILENCE_SECONDS, DetectingSource
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.state.store import Store
from postgrey_exporter.window import Window
from sources.detect.roots import NOW, Root, headerless, rfc3339, traditional

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.sources import Source

WEEK = 7 * 86400.0


def open_file(found: Finding) -> Source:
    assert found.path is not None
    return FileSource(found.path, WEEK)


class Service:
    """A state and what reads into it from the places below a root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.start()

    def start(self) -> None:
        self.store = Store(self._root.path / "state.sqlite3", window=Window(7 * 24), max_domains=100)
        self.source = DetectingSource(
            Detector("postgrey", UTC, self._root.path, lambda _: None), open_file, self.store.followed(), UTC
        )
        self.ingest = Ingest(self.store, [self.source], Parser(zone=UTC), ListFiles([], []))

    def stop(self) -> None:
        self.ingest.close()
        self.store.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def counted(self, seconds_later: float = 0) -> int:
        """Read on, and return how many decisions the state holds."""
        self.ingest.advance(NOW + seconds_later)
        (total,) = self.store._file.db.execute("SELECT coalesce(sum(total), 0) FROM decision").fetchone()  # noqa: SLF001
        assert isinstance(total, int)
        return total


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def service(root: Root) -> Iterator[Service]:
    made = Service(root)
    yield made
    made.stop()


def test_it_looks_on_until_there_is_something(root: Root, service: Service) -> None:
    root.write("var/log/mail.log", traditional([5], "postfix/smtpd[1]"))
    assert service.counted() == 0
    status = service.ingest.statuses[NOTHING_FOUND]
    assert not status.up
    assert "no decision of postgrey's was found" in str(status.error)
    assert "mail.log: no line of postgrey's" in str(status.error)
    assert "--mail-log or --journal" in str(status.error)
    log = root.write("var/log/syslog", rfc3339([4, 3]))
    assert service.counted(RETRY_SECONDS - 1) == 0
    assert service.counted(RETRY_SECONDS) == 2
    assert set(service.ingest.statuses) == {str(log)}
    status = service.ingest.statuses[str(log)]
    assert status.up
    assert status.reason == "detected: the only place with decisions of postgrey's"
    root.append(log, [rfc3339([2])])
    assert service.counted(RETRY_SECONDS + 1) == 3


def test_two_places_with_the_same_lines_are_one_over_restarts_too(root: Root, service: Service) -> None:
    first = root.write("var/log/syslog", rfc3339([50, 40, 30]))
    assert service.counted() == 3
    assert service.source.name == str(first)
    root.write("var/log/mail.log", traditional([50, 40, 30, 20]))  # a second rule of rsyslog's, the preferred place
    root.append(first, [rfc3339([20])])
    service.restart()
    assert service.counted() == 4
    assert service.source.name == str(first)


@pytest.mark.parametrize("crash", [pytest.param(False, id="running"), pytest.param(True, id="stopped meanwhile")])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(rfc3339, traditional, id="to stamps of full seconds"),
        pytest.param(traditional, rfc3339, id="from stamps of full seconds"),
        pytest.param(rfc3339, rfc3339, id="exact stamps"),
    ],
)
def test_a_place_taken_up_later_is_read_from_where_the_silent_one_ended(
    root: Root, service: Service, before: object, after: object, crash: bool
) -> None:
    assert callable(before)
    assert callable(after)
    silent = root.write("var/log/mail.log", before([9000, 8000, 7000]))
    assert service.counted(-6000) == 3
    if crash:
        service.restart()
    other = root.write("var/log/syslog", after([9000, 8000, 7000, 6000, 20, 10]))
    assert service.counted() == 6
    assert service.source.name == str(other)
    assert set(service.ingest.statuses) == {str(other)}
    root.append(other, [after([0])])
    assert service.counted(1) == 7
    service.restart()
    assert service.counted(2) == 7
    root.append(silent, [before([-5000])])  # rsyslog's old rule is back, with what it alone has
    service.restart()
    assert service.counted(6000) == 8
    assert service.source.name == str(silent)


def test_a_silent_place_without_another_one_is_kept(root: Root, service: Service) -> None:
    log = root.write("var/log/mail.log", traditional([10]))
    assert service.counted() == 1
    assert service.counted(SILENCE_SECONDS * 3) == 1
    log.unlink()
    service.counted(SILENCE_SECONDS * 5)
    assert service.source.name == str(log)
    assert "no such file" in str(service.ingest.statuses[str(log)].error)


def test_the_limit_of_a_cut_over_is_kept_over_a_crash_before_its_end(root: Root) -> None:
    detector = Detector("postgrey", UTC, root.path, lambda _: None)
    root.write("var/log/syslog.1", rfc3339([9000, 8000]), 8000)
    root.write("var/log/syslog", rfc3339([20, 10]))
    followed = {"journal": ({"since": 0.0}, NOW - 8500)}
    source = DetectingSource(detector, open_file, followed, UTC)
    first = next(source.batches(NOW))
    assert first.lines.count(b"\n") == 1
    position = source.position()
    again = DetectingSource(detector, open_file, followed | {source.name: (position, NOW - 8000)}, UTC)
    rest = b"".join(batch.lines for batch in again.batches(NOW))
    assert (first.lines + rest).count(b"\n") == 3
    again.resume(again.position())
    assert b"".join(batch.lines for batch in again.batches(NOW)) == b""


def test_lines_without_a_header_are_as_old_as_their_reading(root: Root) -> None:
    root.write("var/log/supervisor/postgrey.log", headerless([2, 1]), 1)
    detector = Detector("postgrey", UTC, root.path, lambda _: None)
    source = DetectingSource(detector, open_file, {"journal": ({}, NOW - 9000)}, UTC)
    assert b"".join(batch.lines for batch in source.batches(NOW)).count(b"\n") == 2


@pytest.fixture
def without_a_place(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "Detector", lambda tag, zone: Detector(tag, zone, root.path, lambda _: None))


@pytest.mark.usefixtures("without_a_place")
def test_collect_fails_where_nothing_is_found(root: Root) -> None:
    with pytest.raises(
        PostgreyExporterError, match=r"no decision of postgrey's was found: not on this machine: .*mail"
    ):
        CliRunner().invoke(
            program,
            ["collect", f"--state={root.path / 'state.sqlite3'}"],
            catch_exceptions=False,
            standalone_mode=False,
        )


@pytest.mark.usefixtures("without_a_place")
def test_collect_reads_what_is_found_and_says_why(root: Root) -> None:
    log = root.write("var/log/maillog", rfc3339([3, 2, 1]))
    arguments = ["collect", f"--state={root.path / 'state.sqlite3'}", "--window=36500d"]
    printed = CliRunner().invoke(program, arguments, catch_exceptions=False).stdout
    assert 'postgrey_decisions_total{action="greylist",reason="new"} 3.0' in printed
    assert (
        "postgrey_exporter_source_info{"
        f'reason="detected: the only place with decisions of postgrey\'s",source="{log}"}} 1.0'
    ) in printed
