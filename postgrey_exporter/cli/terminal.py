"""The keyboard of a terminal: a key at once, or a line to edit. What was typed ahead is kept."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from postgrey_exporter.cli.output import has_colours

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE: Final = "\x1b"
_END: Final = "\x04"
_REST_SECONDS: Final = 0.05
_LONGEST_SEQUENCE: Final = 32


class Keyboard:
    """Standard input, which has to be a terminal."""

    def __init__(self) -> None:
        """Take the terminal as it is, to leave it so."""
        self._descriptor = sys.stdin.fileno()
        self._modes = termios.tcgetattr(self._descriptor)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hand out keys as they are typed; what was typed before, at a prompt that nobody saw, is dropped."""
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        try:
            yield
        finally:
            self._restore()

    def key(self) -> str:
        """Return the next key, empty for an arrow. Raises `EOFError` for Ctrl-D, `KeyboardInterrupt` for Ctrl-C."""
        tty.setcbreak(self._descriptor, termios.TCSADRAIN)
        key = os.read(self._descriptor, 1).decode("latin-1")
        if key in {"", _END}:
            raise EOFError
        if key == _ESCAPE:
            # An arrow is this and more, all at once; the letters in it are no keys.
            while select.select([self._descriptor], [], [], _REST_SECONDS)[0]:
                if not os.read(self._descriptor, _LONGEST_SEQUENCE):
                    break
            return ""
        return key

    def line(self, prompt: str, text: str) -> str:
        """Return a line as the user leaves it, who begins with some text; Ctrl-D and Ctrl-C raise as in `key`."""
        self._restore()
        try:
            import readline  # noqa: PLC0415 - some Pythons come without it
        except ImportError:
            return str(click.prompt(prompt, default=text, prompt_suffix=""))
        if not has_colours(sys.stdout):
            readline.parse_and_bind("set enable-active-region off")  # what is pasted is not shown in reverse
        readline.set_startup_hook(lambda: readline.insert_text(text))
        try:
            return input(prompt)
        finally:
            readline.set_startup_hook(None)

    def _restore(self) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)
