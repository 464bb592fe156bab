"""Lists that root edits in folders that a stranger can write to: links, locks and other files laid in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.parts import wait_until
from support.running import EXPORTER, environment

from postgrey_exporter.lists.edit import ListEditError, ListEditor, NewEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has strangers to fear here")

STRANGER: Final = 65534
NEW: Final = NewEntry("example.com", "why")
PRECIOUS: Final = b"root:precious\n"
LOCK: Final = ".whitelist.postgrey-exporter.lock"
TEMPORARY: Final = ".whitelist.postgrey-exporter"

# Python may lie where no stranger gets, so it becomes one only when it runs.
AS_STRANGER: Final = f"""\
import ctypes, fcntl, os, sys, time
os.setgroups([])
os.setresgid({STRANGER}, {STRANGER}, {STRANGER})
os.setresuid({STRANGER}, {STRANGER}, {STRANGER})
"""
# Exchanges two names for ever (renameat2 with RENAME_EXCHANGE), one of them a link to root's folder.
SWAPPER: Final = """\
libc = ctypes.CDLL(None)
one, other = (name.encode() for name in sys.argv[1:])
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""
# Plants one thing after another under a name, for ever.
PLANTER: Final = """\
name, victim = sys.argv[1:]
while True:
    for plant in (os.mkfifo, lambda name: os.symlink(victim, name), lambda name: open(name, "x").close()):
        try:
            plant(name)
        except OSError:
            pass
        try:
            os.unlink(name)
        except OSError:
            pass
"""
# Locks a file, or a folder, for ever.
HOLDER: Final = """\
created = 0 if os.path.exists(sys.argv[1]) else os.O_CREAT
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY | created, 0o600), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(1000)
"""


def editor(path: Path, pause: Callable[[float], object] = time.sleep) -> ListEditor:
    return ListEditor("whitelist", path, whitelist=[path], ignore=[], pause=pause)


def no_pause(seconds: float) -> None:
    raise AssertionError(f"waited for {seconds} s")


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder that everybody may write to, in one that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "ground"
        folder.mkdir()
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def treasure(ground: Path) -> Path:
    """Root's own folder, with a file of the list's name."""
    folder = ground.parent / "treasure"
    folder.mkdir(mode=0o700)
    (folder / "whitelist").write_bytes(PRECIOUS)
    return folder


@pytest.fixture
def stranger() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run Python as another account, until the test is over."""
    running: list[subprocess.Popen[str]] = []

    def run(program: str, *arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", AS_STRANGER + program, *arguments], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def lay_by_stranger(link: Path, target: Path | str) -> None:
    link.symlink_to(target)
    os.lchown(link, STRANGER, STRANGER)


def untouched(treasure: Path) -> bool:
    return [(path.name, path.read_bytes()) for path in treasure.iterdir()] == [("whitelist", PRECIOUS)]


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o755])
@pytest.mark.parametrize("part", ["file", "folder", "folder above", "dangling file"])
def test_a_link_in_a_folder_that_others_can_write_is_not_followed(
    ground: Path, treasure: Path, mode: int, part: str
) -> None:
    (treasure / "inner").mkdir()
    (treasure / "inner" / "whitelist").write_bytes(PRECIOUS)
    links = {
        "file": ("whitelist", treasure / "whitelist", "whitelist"),
        "folder": ("lists", treasure, "lists/whitelist"),
        "folder above": ("lists", treasure, "lists/inner/whitelist"),
        "dangling file": ("whitelist", treasure / "new", "whitelist"),
    }
    name, target, path = links[part]
    ground.chmod(mode)
    if mode == 0o755:
        os.chown(ground, STRANGER, STRANGER)
    lay_by_stranger(ground / name, target)
    for act in (editor(ground / path).add, editor(ground / path).plan):
        with pytest.raises(ListEditError) as error:
            act([NEW])
        assert f"{ground / name} is a symbolic link in a folder that others can write" in str(error.value)
        assert "\n" not in str(error.value)
    assert sorted(path.name for path in treasure.iterdir()) == ["inner", "whitelist"]
    assert [path.read_bytes() for path in treasure.rglob("whitelist")] == [PRECIOUS, PRECIOUS]


def test_links_in_roots_own_folders_are_followed_wherever_they_lead(ground: Path, treasure: Path) -> None:
    (treasure / "link").symlink_to("whitelist")
    (treasure / "up").symlink_to("../treasure")
    assert editor(treasure / "up" / "link").add([NEW]).added
    assert (treasure / "link").is_symlink()
    assert (treasure / "whitelist").read_bytes().startswith(PRECIOUS + b"# why\n")
    (treasure / "out").symlink_to(ground / "in")
    lay_by_stranger(ground / "in", treasure / "whitelist")
    with pytest.raises(ListEditError, match="in is a symbolic link in a folder that others can write"):
        editor(treasure / "out").add([NewEntry("example.net", "")])


@pytest.mark.parametrize("command", ["whitelist", "ignore"])
def test_the_commands_say_it_in_one_line(ground: Path, treasure: Path, command: str) -> None:
    lay_by_stranger(ground / "list", treasure / "whitelist")
    lists = {
        f"--{name}-file": str(ground / ("list" if name == command else name)) for name in ("whitelist", "ignore")
    }
    (ground / ("ignore" if command == "whitelist" else "whitelist")).touch()
    done = subprocess.run(
        [*EXPORTER, command, *(word for pair in lists.items() for word in pair), "example.com"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{ground / 'list'} is a symbolic link" in done.stderr
    assert "Traceback" not in done.stderr
    assert untouched(treasure)


def plant_directory(path: Path) -> None:
    path.mkdir()
    (path / "full").touch()


@pytest.mark.parametrize("name", [LOCK, TEMPORARY])
@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(os.mkfifo, id="FIFO"),
        pytest.param(lambda path: path.write_bytes(b"x" * 1000), id="file"),
        pytest.param(lambda path: path.symlink_to("../treasure/whitelist"), id="link"),
        pytest.param(lambda path: path.symlink_to("../treasure/new"), id="dangling link"),
        pytest.param(lambda path: os.mknod(path, 0o140666), id="socket"),
        pytest.param(lambda path: path.touch(0o000), id="closed"),
        pytest.param(plant_directory, id="directory"),
    ],
)
def test_what_lies_under_the_name_of_lock_or_new_file_is_neither_followed_nor_waited_for(
    ground: Path, treasure: Path, name: str, plant: Callable[[Path], Any]
) -> None:
    path = ground / "whitelist"
    path.write_bytes(b"example.net\n")
    plant(ground / name)
    os.lchown(ground / name, STRANGER, STRANGER)
    if (ground / name).is_dir():
        with pytest.raises(ListEditError, match=r"is in the way: remove it$"):
            editor(path, no_pause).add([NEW])
        shutil.rmtree(ground / name)
    else:
        assert editor(path).add([NEW]).added
        assert path.read_bytes() == b"example.net\n# why\nexample.com\n"
    assert [entry.name for entry in ground.iterdir()] == ["whitelist"]
    assert untouched(treasure)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(os.mkfifo, "no regular file", id="FIFO"),
        pytest.param(Path.mkdir, "no regular file", id="directory"),
        pytest.param(lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)), "no regular file", id="device"),
        pytest.param(
            lambda path: path.hardlink_to(path.parent.parent / "treasure" / "whitelist"), "hard links", id="hard link"
        ),
    ],
)
def test_what_lies_under_the_lists_name_neither_hangs_nor_shows_its_content(
    ground: Path, treasure: Path, make: Callable[[Path], Any], words: str
) -> None:
    make(ground / "whitelist")
    for act in (editor(ground / "whitelist", no_pause).plan, editor(ground / "whitelist", no_pause).add):
        with pytest.raises(ListEditError, match=words):
            act([NEW])
    assert untouched(treasure)


@pytest.mark.parametrize("held", ["folder", "list", "lock"])
def test_no_stranger_keeps_root_from_editing_by_a_lock(
    ground: Path, stranger: Callable[..., subprocess.Popen[str]], held: str
) -> None:
    path = ground / "whitelist"
    path.write_bytes(b"example.net\n")
    process = stranger(HOLDER, {"folder": ground, "list": path, "lock": ground / LOCK}[held])
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    pauses: list[float] = []
    assert editor(path, pauses.append).add([NEW]).added
    assert len(pauses) <= 1


def test_a_folder_swapped_for_a_link_while_root_edits_leads_nowhere(
    ground: Path,
    treasure: Path,
    stranger: Callable[..., subprocess.Popen[str]],
    at_length: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    ground.chmod(0o777)
    (ground / "lists").mkdir()
    os.chown(ground / "lists", STRANGER, STRANGER)
    lay_by_stranger(ground / "other", treasure)
    stranger(SWAPPER, ground / "lists", ground / "other")
    wait_until((ground / "lists").is_symlink, what="the swapping")
    rounds, refused = at_length(500, 20_000), 0
    change = editor(ground / "lists" / "whitelist", lambda _: None)
    for _ in range(rounds):
        try:
            change.undo(change.add([NEW]))
        except ListEditError:
            refused += 1
        assert untouched(treasure)
    assert refused > 0
    figure(f"a folder swapped for a link while root edits a list: {rounds:,} edits, {refused:,} refused, 0 astray")


@pytest.mark.parametrize("name", [LOCK, TEMPORARY, "whitelist"])
def test_names_planted_in_a_loop_while_root_edits_lead_nowhere(
    ground: Path,
    treasure: Path,
    stranger: Callable[..., subprocess.Popen[str]],
    at_length: Callable[[int, int], int],
    figure: Callable[[str], None],
    name: str,
) -> None:
    process = stranger(PLANTER, ground / name, treasure / "whitelist")
    wait_until(lambda: os.path.lexists(ground / name), what="the planting")
    rounds, refused = at_length(200, 5_000), 0
    change = editor(ground / "whitelist", lambda _: None)
    for _ in range(rounds):
        try:
            change.undo(change.add([NEW]))
        except ListEditError:
            refused += 1
        assert untouched(treasure)
    process.send_signal(signal.SIGKILL)
    process.wait()
    figure(f"{name} planted in a loop while root edits a list: {rounds:,} edits, {refused:,} refused, 0 astray")


def test_a_list_made_beside_a_planted_folder_is_not_made_there(ground: Path, treasure: Path) -> None:
    path = ground / "etc" / "ignore"
    lay_by_stranger(ground / "etc", treasure)
    change = ListEditor("ignore", path, whitelist=[], ignore=[path], pause=no_pause, makes_folder=True)
    with pytest.raises(ListEditError, match="is a symbolic link in a folder that others can write"):
        change.add([NEW])
    assert untouched(treasure)


def test_collect_follows_no_planted_folder(ground: Path, treasure: Path, tmp_path: Path) -> None:
    lay_by_stranger(ground / "textfile", treasure)
    log = tmp_path / "mail.log"
    log.touch()
    options = [
        "--mail-log",
        str(log),
        "--state",
        str(tmp_path / "state"),
        "--output",
        str(ground / "textfile" / "x.prom"),
    ]
    done = subprocess.run(
        [*EXPORTER, "collect", *options, "--whitelist-file", str(log)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"{ground}/textfile is a symbolic link in a folder that others can write" in done.stderr
    assert done.stderr.count("\n") == 1
    assert untouched(treasure)


def collect_into(state: Path, log: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXPORTER, "collect", "--mail-log", log, "--state", state, "--whitelist-file", os.devnull],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("dangling", [False, True], ids=["a file", "dangling"])
@pytest.mark.parametrize("suffix", ["", ".lock", "-wal", "-shm", "-journal", ".copy"])
def test_the_state_follows_no_planted_link(
    ground: Path, treasure: Path, tmp_path: Path, suffix: str, dangling: bool
) -> None:
    ground.chmod(0o777)  # a kernel that protects links does so in sticky folders
    log = tmp_path / "mail.log"
    log.touch()
    collect_into(ground / "state.sqlite3", log)
    (ground / f"state.sqlite3{suffix}").unlink(missing_ok=True)
    lay_by_stranger(ground / f"state.sqlite3{suffix}", treasure / ("new" if dangling else "whitelist"))
    done = collect_into(ground / "state.sqlite3", log)

    assert untouched(treasure)
    if suffix in {"", ".lock"}:
        assert done.returncode == 2
        assert f"state.sqlite3{suffix} is a symbolic link in a folder that others can write" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_state_behind_a_link_of_roots_own_is_used(treasure: Path, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.touch()
    (tmp_path / "linked").symlink_to(treasure)
    (tmp_path / "state.sqlite3").symlink_to(treasure / "elsewhere")
    for state in (tmp_path / "linked" / "state.sqlite3", tmp_path / "state.sqlite3"):
        done = collect_into(state, log)
        assert done.returncode == 0, done.stderr
