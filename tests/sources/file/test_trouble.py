"""What is no log, or can't be read: said once, counted in a metric, and the rest goes on."""

from __future__ import annotations

import grp  # noqa: F401 - loaded late otherwise, when the test may not read Python's own files any more
import gzip
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.sources.compression import LogFileError
from sources.file.scene import COMPRESS, SECONDS_UNTIL_SETTLED, counted_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sources.file.scene import Log, Reader

    Meanwhile = Callable[[], None]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Give up root's rights for the test, as the service does for good."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def a_binary(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (x)")
    database.commit()
    database.close()


def a_binary_archive(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\x7fELF\x02\x01\x01\0\0\0\x03\0>\0\x01\0\0\0"))


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_broken_archive(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08\x00broken")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(a_binary, "is a binary file; name a log file", id="a database"),
        pytest.param(a_binary_archive, "is a binary file; name a log file", id="a compressed program"),
        pytest.param(a_folder, "is a directory; name a log file", id="a folder"),
        pytest.param(a_link_to_nothing, "no such file", id="a dangling link"),
        pytest.param(a_link_to_itself, "Too many levels of symbolic links", id="a link loop"),
        pytest.param(a_pipe, "is no regular file; name a log file", id="a pipe"),
        pytest.param(a_broken_archive, "the archive is damaged or cut short", id="a broken archive"),
    ],
)
def test_a_sibling_that_is_no_log(
    log: Log, reader: Reader, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None], words: str
) -> None:
    log.write(2)
    make(log.named(".1"))
    reader.read()
    assert reader.status.unreadable == (), "it may be on its way still"
    for _ in range(3):
        reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
        assert len(reader.status.unreadable) == 1
        assert words in reader.status.unreadable[0]
        assert str(log.named(".1")) in reader.status.unreadable[0]
        assert reader.status.up
        reader.restart()
    assert len(warnings(caplog)) == 1
    assert counted_once(log, reader)


@pytest.mark.parametrize("kind", sorted(COMPRESS))
@pytest.mark.parametrize("when", ["first start", "part was read"])
def test_a_damaged_archive_in_the_chain(
    log: Log, reader: Reader, caplog: pytest.LogCaptureFixture, kind: str, when: str
) -> None:
    if when == "part was read":
        log.write(10)
        reader.read()
    log.write(40_000)
    damaged = log.compress(log.rename(), kind, to=log.named(f".2.{kind}"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    log.set_time(damaged, reader.now - 3600)
    log.write(5)
    before_damage = len(log.written)
    log.rename()
    log.write(5)
    reader.restart()
    reader.read()
    assert set(reader.lines[-10:]) == set(log.written[-10:])
    assert len(set(reader.lines)) == len(reader.lines)
    assert len(reader.lines) < before_damage
    if kind == "gz":
        assert len(reader.lines) > 10_000, "what comes before the damage is read"
    for _ in range(2):
        assert len(reader.status.unreadable) == 1
        assert "damaged or cut short" in reader.status.unreadable[0]
        reader.restart()
        log.write(1)
        assert len(reader.read(seconds_later=1000)) == 1
    assert len(warnings(caplog)) == 1


def test_an_archive_that_is_damaged_in_what_was_read_already(
    log: Log, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    log.write(20_000)
    reader.read()
    archive = log.compress(log.rename())
    archive.write_bytes(archive.read_bytes()[:-5000])
    log.set_time(archive, reader.now - 3600)
    log.write(1)
    reader.restart()
    for _ in range(3):
        reader.read(seconds_later=1000)
        assert len(reader.status.unreadable) == 1
    assert counted_once(log, reader)
    assert len(warnings(caplog)) == 1
    assert reader.commits == 2, "nothing changes any more"


def test_a_damaged_archive_is_read_on_once_it_was_mended(log: Log, reader: Reader) -> None:
    log.write(20_000)
    archive = log.compress(log.rename())
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-2000])
    log.set_time(archive, reader.now - 3600)
    log.write(1)
    reader.read()
    assert len(reader.status.unreadable) == 1
    archive.write_bytes(whole)
    reader.restart()
    reader.read(seconds_later=1000)
    assert counted_once(log, reader)
    assert list(reader.status.unreadable) == []


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_an_archive_that_is_still_being_written(log: Log, reader: Reader, meanwhile: Meanwhile, kind: str) -> None:
    log.write(20_000)
    reader.read()
    log.write(20_000)
    archive = log.compress(log.rename(), kind)
    whole = archive.read_bytes()
    log.write(1)
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 1, len(whole)):
        archive.write_bytes(whole[:size])
        meanwhile()
        reader.read()
        assert reader.status.unreadable == ()
        assert reader.status.gaps == 0
    assert counted_once(log, reader)


def test_an_archive_that_is_being_written_beside_its_original(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(20_000)
    reader.read()
    log.write(10)
    rotated = log.rename()
    whole = gzip.compress(rotated.read_bytes())
    log.write(1)
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 1, len(whole)):
        log.named(".1.gz").write_bytes(whole[:size])
        meanwhile()
        reader.read()
    rotated.unlink()
    meanwhile()
    reader.read()
    assert counted_once(log, reader)
    assert reader.status.unreadable == ()


def test_an_archive_that_was_kept_beside_its_original(log: Log, reader: Reader, meanwhile: Meanwhile) -> None:
    log.write(20)
    rotated = log.rename()
    log.named(".1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    log.write(1)
    reader.read()
    reader.read(seconds_later=SECONDS_UNTIL_SETTLED)
    meanwhile()
    reader.read()
    rotated.unlink()
    meanwhile()
    reader.read()
    assert counted_once(log, reader)


@pytest.mark.usefixtures("unprivileged")
def test_an_archive_that_only_root_can_read(
    log: Log, reader: Reader, meanwhile: Meanwhile, caplog: pytest.LogCaptureFixture
) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    archive = log.compress(log.rename())
    archive.chmod(0)
    log.set_time(archive, reader.now - 100)
    log.write(1)
    reader.restart()
    assert len(reader.read()) == 1
    for _ in range(3):
        meanwhile()
        reader.read(seconds_later=1000)
        assert list(reader.status.unreadable) == [f"{archive}: permission denied; only its owner may read it"]
        assert reader.status.gaps == 0, "it may come yet"
    assert len(warnings(caplog)) == 1
    archive.chmod(0o640)
    meanwhile()
    assert len(reader.read(seconds_later=SECONDS_UNTIL_SETTLED)) == 2
    assert reader.status.unreadable == ()
    assert counted_once(log, reader)


@pytest.mark.usefixtures("unprivileged")
def test_what_only_root_could_read_is_gone_in_the_end(log: Log, reader: Reader) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    archive = log.compress(log.rename())
    archive.chmod(0)
    log.write(1)
    reader.restart()
    reader.read()
    archive.unlink()
    reader.read()
    assert reader.status.gaps == 1


@pytest.mark.usefixtures("unprivileged")
def test_a_folder_below_that_is_closed(log: Log, reader: Reader) -> None:
    private = log.path.with_name("private")
    private.mkdir(mode=0)
    log.write(2)
    reader.source.check()
    reader.read()
    private.chmod(0o700)
    assert reader.status.up
    assert counted_once(log, reader)


@pytest.mark.usefixtures("unprivileged")
def test_a_log_without_permission_is_named_with_the_group_that_has_it(log: Log, reader: Reader) -> None:
    log.write(2)
    log.path.chmod(0)
    with pytest.raises(LogFileError, match="permission denied"):
        reader.source.check()
    reader.read()
    assert reader.status.error == f"{log.path}: permission denied; only its owner may read it"
    log.path.chmod(0o644)
    reader.read()
    assert reader.status.up
    assert counted_once(log, reader)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(a_folder, "is a directory; name a log file", id="a folder"),
        pytest.param(a_link_to_itself, "Too many levels of symbolic links", id="a link loop"),
        pytest.param(a_pipe, "is no regular file; name a log file", id="a pipe"),
        pytest.param(a_binary, "is a binary file; name a log file", id="a database"),
        pytest.param(a_broken_archive, "the archive is damaged or cut short", id="an archive"),
    ],
)
def test_the_log_is_replaced_by_something_else_for_a_while(
    log: Log, reader: Reader, meanwhile: Meanwhile, make: Callable[[Path], None], words: str
) -> None:
    log.write(3)
    reader.read()
    log.write(2)
    log.rename(create=False)
    make(log.path)
    with pytest.raises(LogFileError, match=words):
        reader.source.check()
    meanwhile()
    assert len(reader.read()) == 2
    for _ in range(2):
        assert not reader.status.up
        assert words in str(reader.status.error)
        meanwhile()
        reader.read(seconds_later=1000)
    if log.path.is_dir() and not log.path.is_symlink():
        log.path.rmdir()
    else:
        log.path.unlink()
    log.write(1)
    meanwhile()
    reader.read()
    assert reader.status.up
    assert counted_once(log, reader)


def test_a_missing_log_is_waited_for(log: Log, reader: Reader) -> None:
    reader.source.check()
    assert reader.read() == []
    assert reader.status.error == f"{log.path}: no such file"
    log.write(1)
    reader.read()
    assert reader.status.up
    assert counted_once(log, reader)


def test_a_missing_folder_is_waited_for(log: Log, reader: Reader, folder: Path) -> None:
    log.path = folder / "none" / "mail.log"
    reader.path = log.path
    reader.restart()
    reader.source.check()
    reader.read()
    assert "no such file" in str(reader.status.error)
    log.path.parent.mkdir()
    log.write(1)
    reader.read()
    assert counted_once(log, reader)


def test_a_hole_in_the_middle_of_a_log_does_not_make_it_binary(log: Log, reader: Reader) -> None:
    log.write(2)
    log.append(b"\0" * 300)
    log.write(2)
    reader.read()
    assert reader.status.up
    assert counted_once(log, reader)
