"""What strangers write into logs, lists and names, on a terminal: none of it is obeyed, and no colour is forced."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest
from review import scene
from support.running import EXPORTER, environment

from postgrey_exporter.wording import as_json_text, command, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EVIL: Final = "\x1b]0;title\x07\x1b[2J\u009b31m\u202e"
STYLE: Final = re.compile(rb"\x1b\[[0-9;]*m")
OBEYED: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def on_terminal(
    arguments: Sequence[str | Path], answers: Sequence[tuple[bytes, bytes]] = (), **variables: str
) -> bytes:
    """Return all that a command writes to a terminal, where each of some texts is answered with keys."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*EXPORTER, *map(str, arguments)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=environment(**{"TERM": "xterm-256color", **variables}),
    )
    os.close(terminal)
    shown, seen, ahead = bytearray(), 0, list(answers)
    with suppress(OSError):
        while part := os.read(controller, 65536):
            shown += part
            if ahead and ahead[0][0] in shown[seen:]:
                seen = len(shown)
                os.write(controller, ahead.pop(0)[1])
    os.close(controller)
    process.wait(timeout=60)
    return bytes(shown)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scene.write(tmp_path)
    with (tmp_path / "mail.log").open("a") as log:
        for number in range(20):
            host = f"mx{number}{EVIL}.example.com"
            log.write(
                f"Oct  1 10:00:00 mx1 postgrey[1]: action=greylist, reason=new, client_name={host}, "
                f"client_address=198.51.100.{number}, sender={EVIL}@example.com, recipient=b@example.org\n"
            )
    return tmp_path


def commands(folder: Path) -> list[list[str | Path]]:
    lists = scene.options(folder)
    log = folder / "mail.log"
    return [
        ["report", *lists, log, folder / f"missing{EVIL}"],
        ["report", "--format=json", *lists, log, folder / f"missing{EVIL}"],
        ["report", "--format=csv", *lists, log],
        ["check", "--max-age=9000d", *lists, log, folder / f"missing{EVIL}"],
        ["explain", f"mx{EVIL}.example.com", "198.51.100.1", *lists],
        ["explain", "--format=json", f"mx{EVIL}.example.com", "198.51.100.1", *lists],
        ["explain", "mx.example.com", EVIL, *lists],
        ["whitelist", "--dry-run", "example.com", "--whitelist-file", folder / f"list{EVIL}"],
        ["whitelist", EVIL, *lists],
        ["ignore", "example.com", "--ignore-file", folder / f"none{EVIL}" / "ignore"],
        ["review", *lists, log],
        ["doctor", "--mail-log", folder / f"missing{EVIL}", *lists],
        [f"command{EVIL}"],
    ]


@pytest.mark.parametrize("number", range(13))
@pytest.mark.parametrize("variable", ["NO_COLOR=1", "TERM=dumb"])
def test_no_command_writes_what_a_stranger_wrote_or_a_colour_that_is_not_wanted(
    folder: Path, number: int, variable: str
) -> None:
    (folder / f"list{EVIL}").write_bytes(b"# \x1b[2J\x9b\nexample.net\n")
    name, _, value = variable.partition("=")
    shown = on_terminal(commands(folder)[number], [(b" > ", b"q")], **{name: value})
    assert shown
    text = re.sub("\r+\n", "\n", shown.decode())  # RFC 4180 ends lines in CR LF, and the terminal adds one
    assert not OBEYED.search(text), ascii(text)


def test_colours_are_there_where_nobody_minds(folder: Path) -> None:
    for arguments in (commands(folder)[0], commands(folder)[11]):
        assert STYLE.search(on_terminal(arguments))
        assert not STYLE.search(on_terminal(arguments, NO_COLOR="1"))


def test_the_line_editor_writes_no_style_either(folder: Path) -> None:
    arguments: list[str | Path] = ["review", *scene.options(folder), folder / "mail.log"]
    shown = on_terminal(arguments, [(b" > ", b"w"), (b"Entry: ", b"\r"), (b" > ", b"q")], NO_COLOR="1")
    assert b"Entry: " in shown
    assert not STYLE.search(shown)


@pytest.mark.parametrize("text", [EVIL, "\udce9", "\U000e0001", "a\nb", "caf\u00e9 \u4f60", "\u2028", "\x7f"])
def test_escaped_text_prints_and_json_means_the_same(text: str) -> None:
    import json  # noqa: PLC0415

    assert printable(text).isprintable()
    shown = as_json_text([text])
    assert shown.isprintable()
    assert json.loads(shown) == [text]


@pytest.mark.parametrize("word", ["a b", "$(id)", "`id`", "';id;'", "\x1b';id #", "-x", "", "caf\u00e9", "\udce9\\"])
def test_a_command_is_words_for_every_shell(word: str) -> None:
    line = command("printf", "%s\\0", word)
    assert line.isprintable()
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
        assert done.stdout.count(b"\0") == 1
    assert done.stdout == word.encode("utf-8", "surrogateescape") + b"\0"
