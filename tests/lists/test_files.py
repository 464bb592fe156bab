"""List files are watched: every edit is seen at the next look, and what can't be read keeps its last content."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.lists import ListFiles, ListFileStatus, files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 4_000_000_000.0
"""Later than any modification time in these tests."""
MAIL = ("mail.example.com", "192.0.2.1")


class Watched:
    """A whitelist and an ignore file under watch."""

    def __init__(self, directory: Path) -> None:
        self.whitelist = directory / "whitelist_clients"
        self.local = directory / "whitelist_clients.local"
        self.ignore = directory / "ignore"
        self.whitelist.write_text("example.com\n")
        self.ignore.write_text("example.net\n")
        self.files = ListFiles([self.whitelist, self.local], [self.ignore])

    def refresh(self, now: float = NOW) -> bool:
        return self.files.refresh(now)

    @property
    def status(self) -> ListFileStatus:
        return self.files.statuses()[0]

    def covers(self, name: str = MAIL[0]) -> str | None:
        cover = self.files.lists.covers(name, MAIL[1])
        return None if cover is None else cover.entry


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def edit_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def edit_by_rename(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def edit_and_set_back_the_time(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_nothing_is_read_before_the_first_look(watched: Watched) -> None:
    assert watched.covers() is None
    assert not watched.status.up
    assert watched.refresh()
    assert watched.covers() == "example.com"


def test_a_second_look_at_unchanged_files_finds_no_change(watched: Watched) -> None:
    watched.refresh()
    before = watched.files.lists
    assert not watched.refresh()
    assert watched.files.lists is before


@pytest.mark.parametrize("edit", [edit_in_place, edit_by_rename, edit_and_set_back_the_time])
@pytest.mark.parametrize("text", ["example.org\n", "sample.com.\n", ""])
def test_an_edit_is_seen_at_the_next_look(watched: Watched, edit: Callable[[Path, str], None], text: str) -> None:
    watched.refresh()
    edit(watched.whitelist, text)
    assert watched.refresh()
    assert watched.covers() is None


def test_an_edit_of_the_same_length_within_a_tick_of_the_clock_is_seen(watched: Watched) -> None:
    for domain in ("aaaa.com", "bbbb.com") * 20:
        watched.whitelist.write_text(domain)
        watched.refresh(time.time())
        assert watched.covers(domain) == domain


def test_an_edit_that_leaves_the_same_time_is_seen(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system's clock stands still for some milliseconds."""
    before = watched.whitelist.stat()
    watched.files = ListFiles([watched.whitelist], [])
    watched.refresh(before.st_ctime + 1)
    watched.whitelist.write_text("example.org\n")
    monkeypatch.setattr(type(watched.whitelist), "stat", lambda _: before)
    monkeypatch.setattr(os, "fstat", lambda _: before)
    assert watched.files.is_due()
    watched.refresh(before.st_ctime + 3)
    assert watched.covers("example.org") == "example.org"
    assert not watched.files.is_due()


def test_a_file_is_not_read_again_while_nothing_happens_to_it(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.refresh()
    assert not watched.files.is_due()
    monkeypatch.delattr(os, "open")
    assert not watched.refresh(NOW + 1)
    assert watched.status.up


@pytest.mark.parametrize("edit", [edit_in_place, edit_by_rename, edit_and_set_back_the_time])
def test_a_look_is_due_after_an_edit(watched: Watched, edit: Callable[[Path, str], None]) -> None:
    watched.refresh()
    edit(watched.ignore, "example.org\n")
    assert watched.files.is_due()


def test_a_look_is_due_when_a_file_comes_or_goes(watched: Watched) -> None:
    watched.refresh()
    watched.local.touch()
    assert watched.files.is_due()
    watched.refresh()
    assert not watched.files.is_due()
    watched.local.unlink()
    assert watched.files.is_due()


def test_a_look_is_due_before_the_first_one_and_while_a_file_cannot_be_read(watched: Watched) -> None:
    assert watched.files.is_due()
    watched.whitelist.unlink()
    watched.refresh()
    assert watched.files.is_due()


def test_a_file_that_is_back_as_it_was_is_up_again(tmp_path: Path) -> None:
    """Its folder was away: nothing tells that from a file to which nothing happened."""
    folder = tmp_path / "postgrey"
    folder.mkdir()
    watched = Watched(folder)
    watched.refresh()
    folder.rename(tmp_path / "away")
    watched.refresh()
    assert not watched.status.up
    (tmp_path / "away").rename(folder)
    assert watched.files.is_due()
    watched.refresh()
    assert watched.status.up
    assert not watched.files.is_due()


def test_an_edit_of_a_large_list_is_seen(watched: Watched) -> None:
    names = "\n".join(f"host{number}.example.org" for number in range(60_000))
    watched.whitelist.write_text(f"{names}\nexample.com\n")
    watched.refresh()
    assert watched.whitelist.stat().st_size > 1 << 20
    edit_by_rename(watched.whitelist, f"{names}\nexample.edu\n")
    assert watched.refresh()
    assert (watched.covers(), watched.covers("mail.example.edu")) == (None, "example.edu")


def test_an_edit_of_the_ignore_file_is_seen(watched: Watched) -> None:
    watched.refresh()
    watched.whitelist.write_text("")
    watched.ignore.write_text("example.com\n")
    watched.refresh()
    cover = watched.files.lists.covers(*MAIL)
    assert cover is not None
    assert (cover.list, cover.file) == ("ignore", str(watched.ignore))


def test_a_missing_local_whitelist_is_no_fault_and_may_come_and_go(watched: Watched) -> None:
    watched.whitelist.write_text("")
    watched.refresh()
    local = watched.files.statuses()[1]
    assert (local.up, local.error, local.entries, local.last_change) == (True, None, 0, None)
    watched.local.write_text("example.com\n")
    watched.refresh(NOW + 1)
    assert watched.covers() == "example.com"
    watched.local.unlink()
    watched.refresh(NOW + 2)
    local = watched.files.statuses()[1]
    assert (watched.covers(), local.up, local.last_change) == (None, True, NOW + 2)


def test_an_optional_file_may_be_missing_but_is_missed_once_it_was_there(watched: Watched) -> None:
    watched.ignore.unlink()
    listed = ListFiles([], [watched.ignore], optional=[watched.ignore])
    listed.refresh(NOW)
    assert listed.statuses()[0].up
    watched.ignore.write_text("example.com\n")
    listed.refresh(NOW)
    watched.ignore.unlink()
    listed.refresh(NOW)
    status = listed.statuses()[0]
    assert (status.up, status.entries) == (False, 1)
    assert listed.lists.covers(*MAIL)


def make_missing(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def make_huge(path: Path) -> None:
    os.truncate(path, files.LARGEST_LIST + 1)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(make_missing, "is not there: create it, or name the right file", id="missing"),
        pytest.param(make_directory, "is a directory: name the list file itself", id="directory"),
        pytest.param(make_fifo, "is no regular file: a list can't be read from a pipe", id="FIFO"),
        pytest.param(make_socket, "is no regular file: a list can't be read from a pipe", id="socket"),
        pytest.param(make_device, "is no regular file: a list can't be read from a pipe", id="device"),
        pytest.param(make_loop, "can't be read: Too many levels of symbolic links", id="symlink loop"),
        pytest.param(make_huge, "is larger than 32 MiB: name a list, not a log", id="huge"),
    ],
)
def test_a_list_that_cannot_be_read_keeps_its_content_and_says_why(
    watched: Watched, spoil: Callable[[Path], None], error: str
) -> None:
    watched.refresh()
    before = watched.status
    spoil(watched.whitelist)
    assert not watched.refresh(NOW + 1)
    status = watched.status
    assert watched.covers() == "example.com"
    assert (status.up, status.entries, status.last_change) == (False, 1, before.last_change)
    assert status.error is not None
    assert status.error.startswith(f"{watched.whitelist} {error}")
    assert watched.files.statuses()[2].up


def test_a_fifo_put_in_place_at_the_last_moment_does_not_block(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.refresh()
    watched.whitelist.write_text("example.org\n")
    before = watched.whitelist.stat()
    make_fifo(watched.whitelist)
    monkeypatch.setattr(type(watched.whitelist), "stat", lambda _: before)
    assert not watched.refresh()
    assert "is no regular file" in str(watched.status.error)


def test_a_list_without_permission_keeps_its_content_and_says_what_to_do(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.refresh()
    watched.whitelist.write_text("example.org\n")

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    watched.refresh()
    assert watched.covers() == "example.com"
    assert watched.status.error == f"{watched.whitelist} can't be read: give this program's user the permission"


def test_a_list_that_can_be_read_again_is_up_again(watched: Watched) -> None:
    watched.refresh()
    make_fifo(watched.whitelist)
    watched.refresh()
    watched.whitelist.unlink()
    watched.whitelist.write_text("example.com\n")
    assert not watched.refresh()
    assert (watched.status.up, watched.status.error) == (True, None)


def test_a_list_that_changes_while_it_is_read_keeps_its_content(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.refresh()
    watched.whitelist.write_text("example.com\n\n")
    fstat = os.fstat

    def growing(descriptor: int) -> os.stat_result:
        with watched.whitelist.open("a") as file:
            file.write("example.org\n")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", growing)
    assert not watched.refresh()
    assert watched.status.error == f"{watched.whitelist} changes while it is read: it is read again at the next look"
    assert (watched.covers(), watched.covers("example.org"), watched.status.up) == ("example.com", None, False)
    monkeypatch.undo()
    assert watched.refresh()
    assert (watched.covers("example.org"), watched.status.up) == ("example.org", True)


def test_the_first_content_is_as_old_as_its_file(watched: Watched) -> None:
    os.utime(watched.whitelist, (1000, 1000))
    watched.refresh(NOW)
    assert watched.status.last_change == 1000


def test_a_change_is_as_young_as_the_look_that_found_it(watched: Watched) -> None:
    watched.refresh(NOW)
    watched.whitelist.write_text("example.org\n")
    os.utime(watched.whitelist, (1000, 1000))
    watched.refresh(NOW + 60)
    watched.refresh(NOW + 120)
    assert watched.status.last_change == NOW + 60


def test_a_file_that_was_only_touched_counts_as_changed_then(watched: Watched) -> None:
    watched.refresh(NOW)
    os.utime(watched.whitelist, (NOW + 30, NOW + 30))
    assert not watched.refresh(NOW + 60)
    assert watched.status.last_change == NOW + 30


def test_entries_and_warnings_are_told_by_file(watched: Watched) -> None:
    watched.whitelist.write_text("example.com\n.example.org\n/(/\n")
    watched.refresh()
    white, local, ignore = watched.files.statuses()
    assert [(status.path, status.list) for status in (white, local, ignore)] == [
        (watched.whitelist, "whitelist"),
        (watched.local, "whitelist"),
        (watched.ignore, "ignore"),
    ]
    assert (white.entries, [warning.line for warning in white.warnings]) == (2, [2, 3])
    assert (ignore.entries, ignore.warnings) == (1, ())


def test_a_pattern_that_takes_too_long_for_a_name_is_warned_of_and_counted_and_stays_in_force(
    watched: Watched,
) -> None:
    watched.whitelist.write_text("example.org\n/^(?:(?:a|aa)+)+$/\n")
    watched.refresh()
    before = watched.files.fingerprint
    assert watched.covers("a" * 200 + "!") is None
    assert watched.covers("aaa") is not None
    assert (watched.status.entries, watched.status.undecided) == (2, 1)
    assert [str(warning) for warning in watched.status.warnings] == [
        f"{watched.whitelist}:2: this pattern takes too long for some names: it covers none of them"
    ]
    assert watched.files.fingerprint == before
    watched.ignore.write_text("example.edu\n")
    watched.refresh()
    assert watched.status.warnings
    watched.whitelist.write_text("example.org\n")
    watched.refresh()
    assert (watched.status.warnings, watched.status.undecided) == ((), 1)


def test_the_fingerprint_stands_for_the_contents(watched: Watched) -> None:
    watched.refresh()
    first = watched.files.fingerprint
    watched.whitelist.write_text("example.org\n")
    watched.refresh()
    second = watched.files.fingerprint
    watched.whitelist.write_text("example.com\n")
    watched.refresh()
    assert second != first
    assert watched.files.fingerprint == first
    other = ListFiles([watched.ignore], [watched.whitelist])
    other.refresh(NOW)
    assert other.fingerprint != first


def test_a_list_of_ten_megabytes_is_read(watched: Watched) -> None:
    lines = [f"host-{number}.example.org" for number in range(430_000)]
    lines[100_000] = "two words"
    watched.whitelist.write_text("\n".join(lines))
    assert watched.whitelist.stat().st_size > 9_900_000
    watched.refresh()
    assert watched.status.entries == 429_999
    assert [warning.line for warning in watched.status.warnings] == [100_001]
    assert watched.covers("a.host-429999.example.org") == "host-429999.example.org"
