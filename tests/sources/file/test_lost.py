"""What is truly gone: said by a log line and a metric, and reading goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sources.file.scene import SECONDS_UNTIL_SETTLED, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from sources.file.scene import Log, Reader

    Meanwhile = Callable[[], None]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_deleted_while_stopped(log: Log, reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    log.write(3)
    log.append(b"half a line")
    reader.read()
    log.rename().unlink()
    log.write(2)
    reader.restart()
    for _ in range(3):
        reader.read()
        reader.restart()
    assert counted_once(log, reader)
    assert reader.status.lost_bytes == len("half a line")
    assert reader.status.gaps == 1
    (message,) = errors(caplog)
    assert str(log.path) in message
    assert "11 bytes" in message


def test_an_archive_deleted_before_it_was_read_to_its_end(log: Log, reader: Reader) -> None:
    log.write(100_000)
    archive = log.compress(log.rename())
    log.write(1)
    reader.read_one_block_and_crash()
    assert 0 < len(reader.lines) < 100_000
    archive.unlink()
    assert reader.read() == log.written[-1:]
    assert reader.status.gaps == 1


def test_an_archive_deleted_before_anything_of_it_was_read(log: Log, reader: Reader) -> None:
    for ending in (".2", ".1"):
        log.write(100_000)
        log.compress(log.rename(ending))
    log.write(1)
    size = log.named(".1.gz").stat().st_size
    reader.read_one_block_and_crash()
    log.named(".1.gz").unlink()
    reader.read()
    assert sorted(reader.lines) == sorted(log.written[:100_000] + log.written[-1:])
    assert (reader.status.gaps, reader.status.lost_bytes) == (1, size)


def test_what_was_read_to_its_end_may_go(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    for _ in range(3):
        log.write(3)
        reader.read()
        log.rename()
        log.write(1)
        meanwhile()
        reader.read()
        meanwhile()
        reader.read()
        log.named(".1").unlink()
        meanwhile()
        reader.read()
    assert counted_once(log, reader)
    assert (reader.status.lost_bytes, reader.status.gaps) == (0, 0)


def test_what_was_rotated_and_read_may_go_though_the_log_stays_empty(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.rename()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    log.named(".1").unlink()
    reader.restart()
    reader.read(seconds_later=3600)
    assert reader.status.gaps == 0


def test_found_again_after_it_was_given_up(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.path.rename(log.away)
    log.write(1)
    reader.restart()
    reader.read()
    assert reader.status.gaps == 1
    log.away.rename(log.named(".1"))
    reader.restart()
    reader.read(seconds_later=3600)
    assert counted_once(log, reader)


def test_the_log_itself_lost_its_end(log: Log, reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    log.write(100)
    reader.read()
    log.path.write_bytes(log.path.read_bytes()[:2000])
    reader.restart()
    reader.read()
    log.write(2)
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.gaps == 1
    assert "is shorter than what was read of it" in errors(caplog)[0]
