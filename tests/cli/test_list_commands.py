from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.parts import Postgrey, require
from support.running import NOBODY, as_other_account, environment, run

from postgrey_exporter.cli import editing
from postgrey_exporter.settings import list_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATED: Final = re.compile(r"# \d{4}-\d\d-\d\d postgrey-exporter: (.*)")
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can play other accounts")


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / name for name in ("whitelist", "local", "ignore")}
    paths["whitelist"].write_text("example.net\n")
    return paths


@pytest.fixture
def act(lists: dict[str, Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def act(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options: list[str | Path] = ["--whitelist-file", lists["whitelist"], "--whitelist-file", lists["local"]]
        return run(command, *options, "--ignore-file", lists["ignore"], *arguments)

    return act


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other accounts may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_name_is_whitelisted_in_the_last_file(act: Any, lists: dict[str, Path]) -> None:
    done = act("whitelist", "example.com", "--reason", "ticket 7")
    assert (done.returncode, done.stderr) == (0, "")
    added, reload = done.stdout.splitlines()
    assert added == f"example.com: added to {lists['local']}"
    assert reload == f"postgrey obeys once it has read it: {editing.reload_command()}"
    assert lists["whitelist"].read_text() == "example.net\n"
    *_, comment, entry = lists["local"].read_text().splitlines()
    assert entry == "example.com"
    assert DATED.fullmatch(comment)[1] == "ticket 7"  # type: ignore[index]


def test_a_name_is_ignored(act: Any, lists: dict[str, Path]) -> None:
    done = act("ignore", "example.com", "example.org")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"example.com: added to {lists['ignore']}\nexample.org: added to {lists['ignore']}\n"
    assert [line for line in lists["ignore"].read_text().splitlines() if line[0] != "#"] == [
        "example.com",
        "example.org",
    ]
    assert not lists["local"].exists()


def test_what_is_there_already_is_no_failure(act: Any, lists: dict[str, Path]) -> None:
    done = act("whitelist", "mx.example.net", "example.net")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"mx.example.net: covered already by example.net in {lists['whitelist']}, line 1; nothing to add",
        f"example.net: covered already in {lists['whitelist']}, line 1; nothing to add",
    ]
    assert not lists["local"].exists()


def test_a_dry_run_prints_what_patch_takes_and_changes_nothing(act: Any, lists: dict[str, Path]) -> None:
    lists["local"].write_text("example.org")
    done = act("whitelist", "--dry-run", "example.com", "mx.example.net")
    assert done.returncode == 0
    assert "mx.example.net: covered already" in done.stderr
    assert lists["local"].read_text() == "example.org"
    require("patch")
    subprocess.run(["patch", "-s", "-p0", lists["local"]], input=done.stdout, text=True, check=True)
    assert lists["local"].read_text().splitlines()[::2] == ["example.org", "example.com"]


def test_a_dry_run_with_nothing_to_add_prints_nothing(act: Any) -> None:
    assert act("whitelist", "--dry-run", "example.net").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("whitelist", "example.com", "/(/"), "/(/: Perl refuses this pattern", id="pattern"),
        pytest.param(("whitelist", "com"), "com: would cover every domain under .com", id="public suffix"),
        pytest.param(("whitelist", "a\nb"), "one line of ASCII", id="two lines"),
        pytest.param(("ignore", "192.0.2.1"), "not by address", id="address ignored"),
        pytest.param(("whitelist",), "Missing argument 'NAME...'", id="nothing"),
    ],
)
def test_a_refused_name_is_one_line_and_nothing_is_written(
    act: Any, lists: dict[str, Path], arguments: tuple[str, ...], words: str
) -> None:
    done = act(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not lists["local"].exists()
    assert not lists["ignore"].exists()


def test_a_missing_folder_is_told(lists: dict[str, Path]) -> None:
    done = run("whitelist", "--whitelist-file", lists["local"] / "x", "example.com")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "folder" in done.stderr


# --- other accounts


def as_nobody(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run(*arguments, before=as_other_account(), cwd=folder)


@only_root
@pytest.mark.parametrize("writable_folder", [False, True], ids=["in root's folder", "in a folder of all"])
def test_a_list_of_root_s_names_the_command_to_run(open_folder: Path, *, writable_folder: bool) -> None:
    path = open_folder / "a list"
    path.write_text("example.net\n")
    open_folder.chmod(0o777 if writable_folder else 0o755)
    pattern = r"/\.example\.com$/"
    done = as_nobody(open_folder, "whitelist", "--whitelist-file", "a list", pattern)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("postgrey-exporter: a list: belongs to root")
    assert done.stderr.count("\n") == 1
    command = done.stderr.partition("run: ")[2]
    assert shlex.split(command) == [
        *("sudo", "postgrey-exporter", "whitelist", "--whitelist-file", str(path), pattern)
    ]
    assert path.read_text() == "example.net\n"
    assert [entry.name for entry in open_folder.iterdir()] == ["a list"]


@only_root
def test_a_list_in_a_folder_of_root_s_names_the_command_too(open_folder: Path) -> None:
    path = open_folder / "list"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    done = as_nobody(open_folder, "whitelist", "--whitelist-file", path, "example.com")
    assert done.returncode == 2
    assert "may not write to its folder, and a list is replaced as a whole; run: sudo postgrey-exp" in done.stderr


@only_root
def test_the_named_command_does_it(open_folder: Path) -> None:
    path = open_folder / "list"
    path.touch()
    refused = as_nobody(open_folder, "whitelist", "--whitelist-file", path, r"/\.example\.com$/")
    _sudo, _program, *arguments = shlex.split(refused.stderr.partition("run: ")[2])
    assert run(*arguments).returncode == 0
    assert path.read_text().endswith("/\\.example\\.com$/\n")


@only_root
def test_a_dry_run_needs_no_permission_to_write(open_folder: Path) -> None:
    path = open_folder / "list"
    path.touch()
    done = as_nobody(open_folder, "whitelist", "--dry-run", "--whitelist-file", path, "example.com")
    assert (done.returncode, done.stderr) == (0, "")
    assert "+example.com" in done.stdout


@only_root
def test_root_changes_a_list_of_another_account_and_leaves_it_theirs(open_folder: Path) -> None:
    path = open_folder / "list"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o600)
    assert run("whitelist", "--whitelist-file", path, "example.com").returncode == 0
    about = path.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (NOBODY, NOBODY, 0o600)


@only_root
def test_an_account_changes_its_own_list(open_folder: Path) -> None:
    path = open_folder / "list"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    os.chown(open_folder, NOBODY, NOBODY)
    done = as_nobody(open_folder, "whitelist", "--whitelist-file", path, "example.com")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sudo " in done.stdout.splitlines()[-1]
    assert path.read_text().endswith("example.com\n")


# --- where, and what then


def test_new_entries_go_to_the_local_whitelist_and_our_own_ignore_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "ours", tmp_path / "article's"]
    monkeypatch.setattr("postgrey_exporter.settings.IGNORE_FILES", [str(path) for path in files])
    assert list_paths([], []).edited_whitelist.name == "whitelist_clients.local"
    assert list_paths([], []).edited_ignore == files[0]
    files[1].touch()
    assert list_paths([], []).edited_ignore == files[1]
    files[0].touch()
    assert list_paths([], []).edited_ignore == files[0]


def test_of_the_files_that_are_named_the_last_is_edited() -> None:
    files = [Path("/a"), Path("/b")]
    paths = list_paths(files, files)
    assert (paths.edited_whitelist, paths.edited_ignore) == (files[1], files[1])


@pytest.mark.parametrize(
    ("systemd", "pid_file", "command"),
    [
        pytest.param(True, True, "systemctl kill --signal=HUP postgrey", id="systemd"),
        pytest.param(False, True, "kill -HUP $(cat PID)", id="pid file"),
        pytest.param(False, False, "pkill -HUP -f '^postgrey '", id="neither"),
    ],
)
@pytest.mark.parametrize(("user", "sudo"), [pytest.param(0, "", id="root"), pytest.param(7, "sudo ", id="not root")])
def test_the_reload_command_fits_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: bool, pid_file: bool, command: str, user: int, sudo: str
) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "postgrey.pid").touch()
    nowhere = tmp_path / "nowhere"
    monkeypatch.setattr(editing, "_SYSTEMD", tmp_path / "systemd" if systemd else nowhere)
    monkeypatch.setattr(editing, "_PID_FILES", (nowhere, tmp_path / "postgrey.pid" if pid_file else nowhere))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert editing.reload_command() == sudo + command.replace("PID", str(tmp_path / "postgrey.pid"))


def test_debians_unit_can_not_be_reloaded_otherwise() -> None:
    require("postgrey")
    unit = Path("/lib/systemd/system/postgrey.service")
    if not unit.exists():
        pytest.skip("this postgrey comes without a unit")
    assert "ExecReload" not in unit.read_text()


def test_a_real_postgrey_is_found_by_its_title_and_obeys_after_a_reload(act: Any, lists: dict[str, Path]) -> None:
    lists["local"].write_text("# ours")
    client = ("mx7.pool.example.com", "192.0.2.7")
    with Postgrey(whitelist_files=[lists["whitelist"], lists["local"]]) as postgrey:
        assert postgrey.ask(*client, "a@example.com", "b@example.org").startswith("DEFER")
        pattern = shlex.split(editing._RELOAD_ANYWHERE)[-1]  # noqa: SLF001 - as it is printed
        found = subprocess.run(
            [require("pgrep", "procps"), "-f", pattern], capture_output=True, text=True, check=True
        )
        assert str(postgrey.pid) in found.stdout.split()
        for names in ([r"/\.pool\.example\.com$/"], ["example.org"], ["198.51.100.0/24"]):
            assert act("whitelist", *names).returncode == 0
        assert postgrey.ask(*client, "c@example.com", "b@example.org").startswith("DEFER")
        postgrey.reload()
        assert postgrey.ask(*client, "d@example.com", "b@example.org") == "DUNNO"
        assert postgrey.ask("example.org", "192.0.2.8", "d@example.com", "b@example.org") == "DUNNO"
        assert postgrey.ask("a.b.example.org", "192.0.2.8", "d@example.com", "b@example.org") == "DUNNO"
        assert postgrey.ask("unknown", "198.51.100.9", "d@example.com", "b@example.org") == "DUNNO"
        assert postgrey.ask("poolXexample.org", "192.0.2.9", "d@example.com", "b@example.org").startswith("DEFER")


def test_the_environment_names_the_lists(lists: dict[str, Path]) -> None:
    done = run("whitelist", "example.com", POSTGREY_EXPORTER_WHITELIST_FILE=f"{lists['whitelist']}:{lists['local']}")
    assert done.returncode == 0, environment()
    assert lists["local"].read_text().endswith("example.com\n")
