from __future__ import annotations

import fcntl
import os
import stat
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import require

from postgrey_exporter.lists import read_ignore, read_whitelist
from postgrey_exporter.lists.edit import (
    EntryError,
    ListChangedError,
    ListEditError,
    ListEditor,
    ListPermissionError,
    NewEntry,
    listfile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgrey_exporter.lists import ListKind

NEW: Final = NewEntry("example.com", "2026-11-20 asked for")
ADDED: Final = b"# 2026-11-20 asked for\nexample.com\n"
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away and mount")


def no_pause(seconds: float) -> None:
    pytest.fail(f"waited for {seconds} s")


def editor(
    path: Path, kind: ListKind = "whitelist", pause: Callable[[float], object] = no_pause, **others: list[Path]
) -> ListEditor:
    files: dict[str, list[Path]] = {"whitelist": [], "ignore": []} | others
    files[kind] = [*files[kind], path]
    return ListEditor(kind, path, whitelist=files["whitelist"], ignore=files["ignore"], pause=pause)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "whitelist_clients.local"
    path.write_bytes(b"# ours\nexample.net\n")
    return path


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = [require("mount"), "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount here")
    yield folder
    subprocess.run([require("umount"), str(folder)], check=True)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Have something happen after the new file is written and before it takes the old one's place."""
    original = os.fsync

    def fsync(descriptor: int) -> None:
        original(descriptor)
        monkeypatch.setattr(os, "fsync", original)
        act()

    monkeypatch.setattr(os, "fsync", fsync)


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# --- what is added


def test_an_entry_is_added_at_the_end_with_date_and_reason_above(path: Path) -> None:
    edit = editor(path).add([NEW])
    assert path.read_bytes() == b"# ours\nexample.net\n" + ADDED
    assert (edit.added, edit.known) == (("example.com",), ())
    assert files(path.parent) == [path.name]


def test_several_entries_are_added_at_once(path: Path) -> None:
    editor(path).add([NEW, NewEntry("192.0.2.0/24", "no name")])
    assert path.read_bytes().endswith(ADDED + b"# no name\n192.0.2.0/24\n")


def test_of_several_entries_a_refused_one_keeps_out_all(path: Path) -> None:
    with pytest.raises(EntryError, match="dies"):
        editor(path).add([NEW, NewEntry("/(/", "")])
    assert path.read_bytes() == b"# ours\nexample.net\n"


@pytest.mark.parametrize(
    ("entry", "by"),
    [
        pytest.param("example.net", ("whitelist_clients.local", 2, "example.net"), id="in the file"),
        pytest.param("mx.example.net", ("whitelist_clients.local", 2, "example.net"), id="in the file, wider"),
        pytest.param("mx.example.org", ("whitelist_clients", 1, "example.org"), id="in the file before it"),
    ],
)
def test_what_is_covered_already_is_told_and_not_added(path: Path, entry: str, by: tuple[str, int, str]) -> None:
    first = path.with_name("whitelist_clients")
    first.write_text("example.org\n")
    before = path.stat()
    edit = editor(path, whitelist=[first]).add([NewEntry(entry, "")])
    assert [(text, Path(cover.file).name, cover.line, cover.entry) for text, cover in edit.known] == [(entry, *by)]
    assert (edit.added, edit.diff()) == ((), b"")
    assert path.stat() == before


def test_an_entry_given_twice_is_added_once(path: Path) -> None:
    edit = editor(path).add([NEW, NewEntry("mx.example.com", "")])
    assert edit.added == ("example.com",)
    assert [(text, cover.line) for text, cover in edit.known] == [("mx.example.com", 4)]
    assert path.read_bytes().splitlines()[3] == b"example.com"


def test_a_whitelisted_domain_need_not_be_ignored(path: Path) -> None:
    ignore = path.with_name("ignore")
    edit = editor(ignore, "ignore", whitelist=[path]).add([NewEntry("example.net", "")])
    assert [cover.list for _, cover in edit.known] == ["whitelist"]
    assert not ignore.exists()


def test_an_ignored_domain_can_be_whitelisted(path: Path) -> None:
    ignore = path.with_name("ignore")
    ignore.write_text("example.com\n")
    assert editor(path, ignore=[ignore]).add([NEW]).added == ("example.com",)


@given(
    before=st.lists(
        st.sampled_from(["# comment", "example.net", "/y/", "/(/", "", "192.0.2.1", "a b", "café"]), max_size=6
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
)
def test_all_other_lines_stay_and_mean_what_they_meant(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], end: str, last: bool, encoding: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    text = (end.join(before) + (end if last else "")).encode(encoding)
    path.write_bytes(text)
    editor(path).add([NEW])
    after = path.read_bytes()
    assert after.startswith(text)
    entries = [entry.text for entry in read_whitelist(after, "").entries]
    assert entries == [*(entry.text for entry in read_whitelist(text, "").entries), "example.com"]


def test_lines_that_would_change_their_meaning_are_never_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "postgrey_exporter.lists.edit.text.appended",
        lambda before, lines: before[:-3] + b"\n".join(line.encode() for line in lines),
    )
    with pytest.raises(ListEditError, match="would no longer say"):
        editor(path).add([NEW])
    assert path.read_bytes() == b"# ours\nexample.net\n"


# --- the file


@pytest.mark.parametrize(
    ("kind", "read"), [pytest.param("whitelist", read_whitelist, id="w"), pytest.param("ignore", read_ignore, id="i")]
)
def test_a_missing_file_is_created_for_all_to_read(tmp_path: Path, kind: ListKind, read: Any) -> None:
    path = tmp_path / "list"
    mask = os.umask(0o077)
    try:
        editor(path, kind).add([NEW])
    finally:
        os.umask(mask)
    text = path.read_bytes()
    assert text.startswith(b"# ")
    assert text.endswith(ADDED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.text for entry in read(text, "").entries] == ["example.com"]
    assert read(text, "").warnings == ()
    assert files(tmp_path) == ["list"]


def test_the_mode_is_kept(path: Path) -> None:
    path.chmod(0o4640)
    editor(path).add([NEW])
    assert stat.S_IMODE(path.stat().st_mode) == 0o4640


@only_root
def test_owner_and_group_are_kept(path: Path) -> None:
    os.chown(path, 65534, 4)
    editor(path).add([NEW])
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 4)


@only_root
def test_an_access_list_is_kept(path: Path) -> None:
    # Version 2; entries of (tag, permissions, id): owner, user 65534, group, mask, other.
    entries = [(1, 6, -1), (2, 4, 65534), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("no access lists on this file system")
    editor(path).add([NEW])
    assert os.getxattr(path, "system.posix_acl_access") == acl
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_symbolic_link_stays_and_its_target_is_changed(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "list"
    link.symlink_to("../whitelist_clients.local")
    editor(link).add([NEW])
    assert link.is_symlink()
    assert path.read_bytes().endswith(ADDED)
    assert files(elsewhere) == ["list"]


def test_the_target_of_a_dangling_link_is_created(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("target")
    editor(link).add([NEW])
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes().endswith(ADDED)


def test_a_reader_never_sees_half_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"example.net\n" * 1000)
    seen: list[bytes] = []
    meanwhile(monkeypatch, lambda: seen.append(path.read_bytes()))
    with path.open("rb") as held:
        editor(path).add([NEW])
        assert held.read() == b"example.net\n" * 1000
    assert seen == [b"example.net\n" * 1000]


def test_what_a_killed_editor_left_is_swept_up(path: Path) -> None:
    left = path.with_name(f".{path.name}.postgrey-exporter")
    left.write_bytes(b"half")
    editor(path).add([NEW])
    assert files(path.parent) == [path.name]
    assert path.read_bytes().endswith(b"example.net\n" + ADDED)


def test_a_link_laid_in_the_new_files_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path.with_name(f".{path.name}.postgrey-exporter").symlink_to(victim)
    editor(path).add([NEW])
    assert victim.read_bytes() == b"precious"


# --- someone else


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x\n"), id="appended to"),
        pytest.param(lambda path: path.write_bytes(b"# ours\nexample.neX\n"), id="overwritten, same size"),
        pytest.param(lambda path: path.with_name("new").rename(path), id="replaced"),
        pytest.param(lambda path: path.chmod(0o600), id="closed"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("new")), id="made a link"),
    ],
)
def test_a_file_changed_meanwhile_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], object]
) -> None:
    path.with_name("new").write_bytes(b"# ours\nexample.net\n")
    left: list[tuple[bytes, int]] = []

    def act_and_look() -> None:
        act(path)
        left.append((path.read_bytes(), path.stat().st_mode))

    meanwhile(monkeypatch, act_and_look)
    with pytest.raises(ListChangedError, match="changed by someone else"):
        editor(path).add([NEW])
    assert [(path.read_bytes(), path.stat().st_mode)] == left
    assert not list(path.parent.glob(".*"))


def test_a_change_within_one_tick_of_the_clock_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listfile, "identity", lambda _: ())
    meanwhile(monkeypatch, lambda: path.write_bytes(b"# ours\nexample.neX\n"))
    with pytest.raises(ListChangedError):
        editor(path).add([NEW])


def test_a_file_removed_meanwhile_stays_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, path.unlink)
    with pytest.raises(ListChangedError):
        editor(path).add([NEW])
    assert files(path.parent) == []


def test_a_file_created_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list"
    # Even one that appears after the last look.
    monkeypatch.setattr(listfile.LockedList, "_check_unchanged", lambda *_: path.write_bytes(b"example.org\n"))
    with pytest.raises(ListChangedError):
        editor(path).add([NEW])
    assert path.read_bytes() == b"example.org\n"
    assert files(tmp_path) == ["list"]


@pytest.fixture
def lock(path: Path) -> Iterator[int]:
    """The lock of an editor at work; what it is closed by gives it up."""
    descriptor = os.open(path.with_name(f".{path.name}.postgrey-exporter.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    with suppress(OSError):
        os.close(descriptor)


def test_an_editor_that_goes_on_for_ever_is_told(path: Path, lock: int) -> None:
    pauses: list[float] = []
    with pytest.raises(ListEditError, match=r"another editor is at work, by its lock .*\.lock; nothing was changed"):
        editor(path, pause=pauses.append).add([NEW])
    os.fstat(lock)
    assert sum(pauses) == pytest.approx(10)
    assert path.read_bytes() == b"# ours\nexample.net\n"


def test_an_editor_at_work_is_waited_for(path: Path, lock: int) -> None:
    editor(path, pause=lambda _: os.close(lock)).add([NEW])
    assert path.read_bytes().endswith(ADDED)
    assert files(path.parent) == [path.name]


def test_a_plan_needs_no_lock_and_changes_nothing(path: Path) -> None:
    before = path.stat()
    with listfile.locked(path, no_pause):
        edit = editor(path).plan([NEW])
    assert edit.diff().splitlines()[-2:] == [b"+# 2026-11-20 asked for", b"+example.com"]
    assert path.stat() == before


# --- trouble


@only_root
def test_a_full_disk_leaves_the_file_as_it_was(tmpfs: Path) -> None:
    path = tmpfs / "list"
    text = b"".join(b"host%d.example.net\n" % number for number in range(500))
    path.write_bytes(text)
    with pytest.raises(ListEditError, match="disk is full; nothing was changed"):
        editor(path).add([NEW])
    assert path.read_bytes() == text
    assert files(tmpfs) == ["list"]


@only_root
def test_a_read_only_file_system_is_told(tmpfs: Path) -> None:
    path = tmpfs / "list"
    path.write_bytes(b"example.net\n")
    subprocess.run([require("mount"), "-o", "remount,ro", str(tmpfs)], check=True)
    with pytest.raises(ListEditError, match="file system is read-only"):
        editor(path).add([NEW])


@only_root
def test_a_file_that_is_a_mount_point_is_told(tmpfs: Path) -> None:
    source, path = tmpfs / "source", tmpfs / "list"
    source.write_bytes(b"example.net\n")
    path.touch()
    subprocess.run([require("mount"), "--bind", str(source), str(path)], check=True)
    try:
        with pytest.raises(ListEditError, match="is a mount point"):
            editor(path).add([NEW])
    finally:
        subprocess.run([require("umount"), str(path)], check=True)
    assert source.read_bytes() == b"example.net\n"


@only_root
def test_a_file_that_not_even_root_may_change_is_told(path: Path) -> None:
    chattr = require("chattr", "e2fsprogs")
    if subprocess.run([chattr, "+i", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("no immutable files on this file system")
    try:
        with pytest.raises(ListPermissionError, match="immutable"):
            editor(path).add([NEW])
    finally:
        subprocess.run([chattr, "-i", str(path)], check=True)
    assert files(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(Path.mkdir, "Is a directory|no regular file", id="directory"),
        pytest.param(os.mkfifo, "no regular file", id="FIFO"),
        pytest.param(lambda path: path.symlink_to(path.name), "circle", id="link to itself"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "list"
    make(path)
    with pytest.raises(ListEditError, match=words):
        editor(path).add([NEW])


def test_a_read_only_file_is_left_alone_even_by_root(path: Path) -> None:
    path.chmod(0o444)
    with pytest.raises(ListEditError, match="is read-only: chmod"):
        editor(path).add([NEW])
    assert path.read_bytes() == b"# ours\nexample.net\n"


def test_a_file_with_another_name_is_refused(path: Path) -> None:
    path.with_name("other").hardlink_to(path)
    with pytest.raises(ListEditError, match="hard links"):
        editor(path).add([NEW])


def test_a_missing_folder_is_told_or_made(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "ignore"
    with pytest.raises(ListEditError, match="its folder is not there"):
        editor(path, "ignore").add([NEW])
    ListEditor("ignore", path, whitelist=[], ignore=[path], pause=no_pause, makes_folder=True).add([NEW])
    assert path.read_bytes().endswith(ADDED)


def test_ctrl_c_while_writing_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        editor(path).add([NEW])
    assert path.read_bytes() == b"# ours\nexample.net\n"
    assert files(path.parent) == [path.name]
    editor(path).add([NEW])  # and the lock is free again


# --- undo


@given(before=st.none() | st.sampled_from([b"", b"a\n", b"a", b"a\r\nb\r\n", b"a\r\nb", b"caf\xe9"]))
def test_undoing_gives_back_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, before: bytes | None) -> None:
    path = tmp_path_factory.getbasetemp() / "undone"
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)
    change = editor(path)
    change.undo(change.add([NEW]))
    assert (path.read_bytes() if path.exists() else None) == before


def test_undoing_keeps_what_others_did_since(path: Path) -> None:
    change = editor(path)
    edit = change.add([NEW])
    path.write_bytes(b"# first\n" + path.read_bytes() + b"example.org\n")
    change.undo(edit)
    assert path.read_bytes() == b"# first\n# ours\nexample.net\nexample.org\n"


def test_undoing_one_of_two_edits_keeps_the_other(path: Path) -> None:
    change = editor(path)
    first = change.add([NEW])
    change.add([NewEntry("example.org", "second")])
    change.undo(first)
    assert path.read_bytes() == b"# ours\nexample.net\n# second\nexample.org\n"


def test_what_others_took_out_can_not_be_undone(path: Path) -> None:
    change = editor(path)
    edit = change.add([NEW])
    path.write_bytes(b"example.com\n")
    with pytest.raises(ListEditError, match="not there any more"):
        change.undo(edit)
    assert path.read_bytes() == b"example.com\n"


def test_undoing_an_edit_that_added_nothing_does_nothing(path: Path) -> None:
    change = editor(path)
    edit = change.add([NewEntry("example.net", "")])
    path.unlink()
    change.undo(edit)
    assert not path.exists()


def test_undoing_does_not_overwrite_either(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = editor(path)
    edit = change.add([NEW])
    meanwhile(monkeypatch, lambda: path.write_bytes(b"example.org\n"))
    with pytest.raises(ListChangedError):
        change.undo(edit)
    assert path.read_bytes() == b"example.org\n"
