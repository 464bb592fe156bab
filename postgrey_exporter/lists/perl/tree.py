"""What a pattern means, as a tree: the one form between Perl's text and Python's, and what can be told from it."""

from __future__ import annotations

from enum import Enum
from math import inf, prod
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from postgrey_exporter.lists.perl import byteset
from postgrey_exporter.lists.perl.anchor import Anchor

if TYPE_CHECKING:
    from collections.abc import Iterator


class Greed(Enum):
    """How a repetition takes what it can get; the value is the suffix."""

    GREEDY = ""
    LAZY = "?"
    POSSESSIVE = "+"


class Chars(NamedTuple):
    """One byte out of a set of `byteset`."""

    members: int


class Text(NamedTuple):
    """Certain bytes in a row, lower case where either case of a letter will do."""

    text: bytes
    fold: bool


class Sequence(NamedTuple):
    """One after another; the empty sequence matches the empty string."""

    parts: tuple[Node, ...]


class Choice(NamedTuple):
    """The first branch that lets the whole match."""

    branches: tuple[Node, ...]


class Repeat(NamedTuple):
    """From `least` to `most` times; `most` is ``None`` where there is no bound."""

    body: Node
    least: int
    most: int | None
    greed: Greed


class Capture(NamedTuple):
    """A numbered group."""

    body: Node
    number: int


class Reference(NamedTuple):
    """What the numbered group matched; in either case of each letter with `fold`."""

    number: int
    fold: bool


class Atomic(NamedTuple):
    """Matched once, never reconsidered."""

    body: Node


class Look(NamedTuple):
    """A condition on what follows, or on what stands before."""

    body: Node
    behind: bool
    negated: bool


Node: TypeAlias = Anchor | Chars | Text | Sequence | Choice | Repeat | Capture | Reference | Atomic | Look

EMPTY: Final = Sequence(())
LONGEST_NAME: Final = 255
"""Bytes of the longest host name that DNS can hold (RFC 1035, section 2.3.4): what costs are reckoned for."""


def width(node: Node) -> tuple[int, float]:
    """Return the fewest and the most bytes that a node can match."""
    least: int = 0
    most: float = 0
    match node:
        case Chars():
            least = most = 1
        case Text(text):
            least = most = len(text)
        case Sequence(parts):
            widths = [width(part) for part in parts]
            least, most = sum(least for least, _ in widths), sum(most for _, most in widths)
        case Choice(branches):
            widths = [width(branch) for branch in branches]
            least, most = min(least for least, _ in widths), max(most for _, most in widths)
        case Repeat(body, fewest_times, most_times):
            fewest, longest = width(body)
            least = fewest * fewest_times
            if longest and most_times != 0:
                most = inf if most_times is None else longest * most_times
        case Capture(body) | Atomic(body):
            least, most = width(body)
        case Reference():
            most = inf
        case Anchor() | Look():
            pass
    return least, most


def ways(node: Node) -> float:
    """Return in how many ways a backtracking matcher can try a node from one place, at worst, for a host name.

    Infinite where a repetition can split the same text in more than polynomially many ways.
    """
    match node:
        case Sequence(parts):
            return prod(ways(part) for part in parts)
        case Choice(branches):
            return sum(ways(branch) for branch in branches)
        case Repeat(body, least, most, _):
            return _ways_to_repeat(body, least, most)
        case Capture(body, _) | Atomic(body) | Look(body, _, _):
            return ways(body)
        case Anchor() | Chars() | Text() | Reference():
            return 1


def _ways_to_repeat(body: Node, least: int, most: int | None) -> float:
    fewest, _ = width(body)
    if not fewest:
        return inf
    longest_run = LONGEST_NAME // fewest
    times = longest_run if most is None else min(most, longest_run)
    each = ways(body)
    if each == 1:
        return max(1, times - least + 1)
    try:
        return float(each) ** times * (times - min(least, times) + 1)
    except OverflowError:
        return inf


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all that it is made of."""
    yield node
    match node:
        case Sequence(inner) | Choice(inner):
            for part in inner:
                yield from walk(part)
        case Repeat(body) | Capture(body) | Atomic(body) | Look(body):
            yield from walk(body)


def is_case_blind(node: Node) -> bool:
    """Tell whether nothing in the pattern tells upper from lower case."""
    return all(map(_is_case_blind_itself, walk(node)))


def _is_case_blind_itself(node: Node) -> bool:
    match node:
        case Chars(members):
            return byteset.fold(members) == members
        case Text(text, fold):
            return fold or text.lower() == text.upper()
        case Reference(_, fold):
            return fold
        case _:
            return True


def never_reconsiders(node: Node) -> bool:
    """Tell whether the pattern has atomic groups or possessive quantifiers."""
    return any(
        isinstance(part, Atomic) or (isinstance(part, Repeat) and part.greed is Greed.POSSESSIVE)
        for part in walk(node)
    )


def has_reference(node: Node) -> bool:
    """Tell whether the pattern refers to what a group of it matched."""
    return any(isinstance(part, Reference) for part in walk(node))
