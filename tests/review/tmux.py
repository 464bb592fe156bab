"""A terminal that a person could sit at: a program in tmux, keys sent to it, and what it shows."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from support.parts import require, wait_until
from support.running import environment, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMIT: Final = 30.0


class Terminal:
    """A program on a terminal of its own, which stays when the program ends."""

    def __init__(self, command: Sequence[str | Path], width: int = 100) -> None:
        self._tmux = require("tmux")
        self._command = shlex.join(map(str, command))
        self._width = width
        self._folder = tempfile.TemporaryDirectory(prefix="tmux-")
        self._seen = 0

    def __enter__(self) -> Self:
        program = f"{self._command}; echo EXIT=$?; exec sleep 1000"
        size = ["-x", str(self._width), "-y", "50"]
        self._call("-f", "/dev/null", "new-session", "-d", *size, program)
        return self

    def __exit__(self, *_: object) -> None:
        self._call("kill-server")
        self._folder.cleanup()

    def press(self, *keys: str) -> None:
        """Press keys, named as tmux names them: ``w``, ``Enter``, ``C-c``."""
        self._call("send-keys", *keys)

    def type(self, text: str) -> None:
        self._call("send-keys", "-l", text)

    def expect(self, text: str) -> str:
        """Wait until a text is shown, behind the last that was waited for; return all since then.

        The text must be there to stay: no part of a line that is edited.
        """
        found = self.see(text)
        self._seen += len(found)
        return found

    def see(self, text: str) -> str:
        """Do the same for a text that may go away again."""
        return wait_until(lambda: self._since(text), seconds(_LIMIT), f"{text!r} on the terminal")

    @property
    def shown(self) -> str:
        """Everything that was shown, without the blanks at the ends of lines."""
        return self._call("capture-pane", "-p", "-S", "-")

    @property
    def styled(self) -> str:
        """The same with its styles, as escape sequences."""
        return self._call("capture-pane", "-e", "-p", "-S", "-")

    def _since(self, text: str) -> str:
        new = self.shown[self._seen :]
        place = new.find(text)
        return new[: place + len(text)] if place >= 0 else ""

    def _call(self, *arguments: str) -> str:
        socket = Path(self._folder.name) / "socket"
        return subprocess.run(
            [self._tmux, "-S", socket, *arguments],
            env=environment(TERM="screen", LANG="C.UTF-8"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
