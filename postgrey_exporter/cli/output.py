"""The one place where the command line prints text: printable, in colour only where it is wanted."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from postgrey_exporter.wording import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Styled(NamedTuple):
    """A piece of a line in a style of `click.style`."""

    text: str
    style: Mapping[str, Any]


def styled(text: str, **style: Any) -> Styled:
    """Return text in a style, where there are styles."""
    return Styled(text, style)


def say(*pieces: str | Styled, err: bool = False, nl: bool = True) -> None:
    """Print one line; whatever in it does not print is escaped."""
    in_colour = has_colours(sys.stderr if err else sys.stdout)
    shown = [piece if isinstance(piece, Styled) else Styled(piece, {}) for piece in pieces]
    line = "".join(
        click.style(printable(text), **style) if in_colour and style else printable(text) for text, style in shown
    )
    click.echo(line, err=err, nl=nl, color=True)  # nothing is left to strip


def complain(text: str) -> None:
    """Print an error or a warning as one line on standard error."""
    say(f"postgrey-exporter: {text}", err=True)


def one_line(text: str) -> str:
    """Return a message of click's, which may list choices below each other, as one line."""
    return re.sub(r"\s*\n\s*", " ", text)


def has_colours(stream: Any) -> bool:
    """Tell whether a stream is a terminal whose user did not turn colours off (https://no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
