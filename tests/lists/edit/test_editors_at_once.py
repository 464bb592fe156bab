from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from support.parts import wait_until
from support.running import EXPORTER, environment

from postgrey_exporter.lists.edit import ListEditor, NewEntry

if TYPE_CHECKING:
    from pathlib import Path

EDITORS: Final = 8
KILLS: Final = 12

# Adds entries one by one and takes them back, for ever.
RESTLESS: Final = """\
import sys, time
from pathlib import Path
from postgrey_exporter.lists.edit import ListEditor, NewEntry
path = Path(sys.argv[1])
editor = ListEditor("whitelist", path, whitelist=[path], ignore=[], pause=time.sleep)
while True:
    edits = [editor.add([NewEntry(f"n{n}.example.com", "why")]) for n in range(3)]
    for edit in reversed(edits):
        editor.undo(edit)
"""


def test_editors_at_once_lose_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "whitelist"
    path.write_text("example.net\n")
    names = [f"n{number}.example.com" for number in range(EDITORS)]
    options = ["--whitelist-file", str(path), "--ignore-file", str(tmp_path / "ignore")]
    editors = [
        subprocess.Popen([*EXPORTER, "whitelist", *options, name], env=environment(), stdout=subprocess.DEVNULL)
        for name in names
    ]
    assert [editor.wait(timeout=60) for editor in editors] == [0] * EDITORS
    lines = path.read_text().splitlines()
    assert lines[0] == "example.net"
    assert sorted(lines[2::2]) == names
    assert len(lines) == 1 + 2 * EDITORS


def test_an_editor_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "whitelist"
    base = b"".join(b"host%d.example.net\n" % number for number in range(300))
    blocks = [b"# why\nn%d.example.com\n" % number for number in range(3)]
    whole = {base + b"".join(blocks[:count]) for count in range(4)}
    seed = random.Random(7)
    seen = set()
    for _ in range(KILLS):
        path.write_bytes(base)
        process = subprocess.Popen([sys.executable, "-c", RESTLESS, str(path)], env=environment())
        try:
            moments = seed.randrange(200)
            wait_until(lambda: path.read_bytes() != base, what="the first edit")
            for _ in range(moments):
                assert path.read_bytes() in whole
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        seen.add(path.read_bytes())
    assert seen <= whole
    ListEditor("whitelist", path, whitelist=[path], ignore=[], pause=time.sleep).add([NewEntry("example.org", "why")])
    assert [entry.name for entry in tmp_path.iterdir()] == ["whitelist"]
