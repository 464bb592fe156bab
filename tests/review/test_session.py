from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.running import EXPORTER, as_other_account, run

from review import scene
from review.tmux import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS: Final = "? help >"
CLEAR: Final = "C-u"
DATED: Final = re.compile(r"# \d{4}-\d\d-\d\d postgrey-exporter: (.*)")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with the scene, which other accounts may enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        scene.write(path)
        yield path


def command(folder: Path, *options: str) -> list[str | Path]:
    return [*EXPORTER, "review", *scene.options(folder), *options, folder / "mail.log"]


def entries(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_a_review_from_the_first_domain_to_the_summary(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        first = terminal.expect(KEYS)
        assert f"{scene.POOL}  (1 of 3)" in first
        assert "20 messages: 20 changed network, 20 arrived" in first
        assert "Advice: whitelist." in first
        assert "+ 1  mx1.out.example.com [198.18.11.1]" in first
        assert f"Entry:  {scene.POOL_ENTRY}" in first
        assert "covers 40 of 40 unreviewed clients, 40 of 40 attempts" in first

        terminal.press("w")
        terminal.expect(f"Entry: {scene.POOL_ENTRY}")
        terminal.press("Enter")
        second = terminal.expect(KEYS)
        assert f"{scene.POOL_ENTRY}: added to {folder}/whitelist" in second
        assert f"{scene.ISP}  (2 of 3)" in second

        # The ISP's pool is whitelisted; its customers are left, and stay greylisted.
        terminal.press("w")
        terminal.expect(f"Entry: {scene.ISP_ENTRY}")
        terminal.press("Enter")
        rest = terminal.expect(KEYS)
        assert "18 attempts by 18 clients are on no list yet" in rest
        assert "dyn.example.net [198.18.30.1]" in rest
        terminal.press("i")
        third = terminal.expect(KEYS)
        assert f"{scene.ISP}: added to {folder}/ignore" in third
        assert f"{scene.HOST}  (3 of 3)" in third
        assert "Advice: ignore." in third

        terminal.press("s")
        terminal.expect("That was the last domain.")
        terminal.press("b")
        assert "Decided already: skipped." in terminal.expect(KEYS)
        terminal.press("i")
        terminal.expect("That was the last domain.")
        terminal.press("u")
        assert f"{scene.HOST}: {scene.HOST} was taken out again" in terminal.expect(KEYS)
        terminal.press("q")
        ending = terminal.expect("EXIT=0")

    assert "3 domains: 2 whitelisted, 1 ignored, 1 left undecided." in ending
    assert re.search(rf"whitelisted +{re.escape(scene.POOL)} +{re.escape(scene.POOL_ENTRY)} +in ", ending)
    assert "postgrey obeys once it has read it: " in ending
    assert entries(folder / "whitelist") == [scene.POOL_ENTRY, scene.ISP_ENTRY]
    assert entries(folder / "ignore") == [scene.ISP]
    (reason, _) = DATED.findall((folder / "whitelist").read_text())
    assert reason.startswith("example.com, 40 attempts: 20 of 20 messages changed network")
    again = run("review", *scene.options(folder), folder / "mail.log")
    assert (again.returncode, again.stdout.count("unreviewed (")) == (1, 1)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("/(/", "Perl refuses this pattern", id="that postgrey dies of"),
        pytest.param("*.example.com", "never matches", id="that never matches"),
        pytest.param("com", "would cover every domain under .com", id="that is too wide"),
        pytest.param("example.edu", "covers none of the clients of example.com", id="for another domain"),
    ],
)
def test_an_entry_is_refused_with_the_reason_and_asked_for_again(folder: Path, typed: str, reason: str) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect("Entry: ")
        terminal.press(CLEAR)
        terminal.type(typed)
        terminal.press("Enter")
        terminal.expect("Refused: ")
        assert reason in terminal.expect("Entry: ")
        terminal.see(typed)
        assert (folder / "whitelist").read_text() == ""
        terminal.press(CLEAR)
        terminal.type(scene.POOL)
        terminal.press("Enter")
        terminal.expect(f"{scene.POOL}: added to")
    assert entries(folder / "whitelist") == [scene.POOL]


def test_an_entry_that_covers_other_domains_is_asked_about(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        for answer, words in (("n", "Nothing was written."), ("y", "added to")):
            terminal.press("w")
            terminal.expect("Entry: ")
            terminal.press(CLEAR)
            terminal.type("/^mx/")
            terminal.press("Enter")
            terminal.expect("It covers example.net as well. Write it? (y/n) >")
            terminal.press(answer)
            terminal.expect(words)
    assert entries(folder / "whitelist") == ["/^mx/"]


def test_ctrl_c_at_a_question_is_a_no(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect("Entry: ")
        terminal.press(CLEAR)
        terminal.type("/^mx/")
        terminal.press("Enter")
        terminal.expect("Write it? (y/n) >")
        terminal.press("C-c")
        terminal.expect("Nothing was written.")
        terminal.expect(KEYS)
        terminal.press("C-c")
        terminal.expect("EXIT=130")
    assert (folder / "whitelist").read_text() == ""


def test_a_read_only_list_is_named_and_the_review_goes_on(folder: Path) -> None:
    (folder / "whitelist").chmod(0o444)
    with Terminal(command(folder), width=300) as terminal:
        terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect(scene.POOL_ENTRY)
        terminal.press("Enter")
        assert f"{folder}/whitelist: is read-only" in terminal.expect(KEYS)
        terminal.press("i")
        assert f"{scene.POOL}: added to {folder}/ignore" in terminal.expect(KEYS)
        terminal.press("q")
        terminal.expect("EXIT=0")
    assert (folder / "whitelist").read_text() == ""
    assert entries(folder / "ignore") == [scene.POOL]


def test_ctrl_c_leaves_the_line_then_the_review(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect(scene.POOL_ENTRY)
        terminal.press("C-c")
        terminal.expect("Nothing was written.")
        terminal.expect(KEYS)
        terminal.press("C-c")
        assert "3 domains: 3 left undecided." in terminal.expect("EXIT=130")
        assert "Traceback" not in terminal.shown
    assert sorted(path.name for path in folder.iterdir()) == ["ignore", "mail.log", "whitelist"]
    assert (folder / "whitelist").read_text() == ""


@pytest.mark.parametrize("key", ["Down", "Enter", "x", "F1"])
def test_other_keys_do_nothing(folder: Path, key: str) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press(key)
        terminal.expect(KEYS)
        terminal.press("q")
        ending = terminal.expect("EXIT=0")
    assert "3 left undecided" in ending
    assert "This is the first domain." not in ending
    assert (folder / "ignore").read_text() == ""


def test_help_undo_and_back_say_what_they_can_not_do(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press("u")
        terminal.expect("There is nothing to undo.")
        terminal.press("b")
        terminal.expect("This is the first domain.")
        terminal.press("?")
        terminal.expect("take the last entry out of its file again")


def test_keys_typed_ahead_count_in_their_order(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.type("sisq")
        assert "3 domains: 1 ignored, 2 skipped." in terminal.expect("EXIT=0")
    assert entries(folder / "ignore") == [scene.ISP]


def test_the_terminal_is_left_as_it_was(folder: Path) -> None:
    line = " ".join(map(str, command(folder)))
    with Terminal(["sh", "-c", f"stty -g; {line}; stty -g"]) as terminal:
        terminal.expect(KEYS)
        terminal.press("q")
        terminal.expect("EXIT=0")
        modes = re.findall(r"^(?:[0-9a-f]+:){10,}[0-9a-f]+", terminal.shown.replace("\n", "\n"), re.MULTILINE)
    assert len(modes) == 2
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can play other accounts")
def test_who_may_not_write_may_look_and_is_told_the_command(folder: Path) -> None:
    with Terminal([*as_other_account(), *command(folder)], width=300) as terminal:
        assert f"This user may not change {folder}/whitelist and {folder}/ignore" in terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect(scene.POOL_ENTRY)
        terminal.press("Enter")
        named = terminal.expect(KEYS)
        assert f"run: sudo postgrey-exporter whitelist --whitelist-file {folder}/whitelist" in named
        assert f"'{scene.POOL_ENTRY}'" in named
        terminal.press("q")
        assert "3 left undecided" in terminal.expect("EXIT=0")
    assert (folder / "whitelist").read_text() == ""


def test_entries_come_and_go_in_a_list_that_others_edit(folder: Path) -> None:
    whitelist = folder / "whitelist"
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        terminal.press("w")
        terminal.expect(scene.POOL_ENTRY)
        whitelist.write_text("# theirs\nexample.edu")
        terminal.press("Enter")
        terminal.expect(KEYS)
        whitelist.write_text(whitelist.read_text() + "\nmx.example.edu")
        terminal.press("u")
        terminal.expect("was taken out again")
    assert whitelist.read_text() == "# theirs\nexample.edu\nmx.example.edu"


def test_undoing_what_was_covered_already_takes_nothing_out_and_says_so(folder: Path) -> None:
    with Terminal(command(folder)) as terminal:
        terminal.expect(KEYS)
        (folder / "ignore").write_text(f"{scene.POOL}\n")
        terminal.press("i")
        assert f"{scene.POOL}: covered already in {folder}/ignore" in terminal.expect("(2 of 3)").replace("\n", "")
        terminal.expect(KEYS)
        terminal.press("u")
        shown = terminal.expect(KEYS)
        assert f"{scene.POOL}: {scene.POOL} had added nothing" in shown
        assert "taken out" not in shown
    assert entries(folder / "ignore") == [scene.POOL]
