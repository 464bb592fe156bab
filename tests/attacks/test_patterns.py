"""A stranger's names against patterns that backtrack: each costs little, and none switches a pattern off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.lists import Lists, read_whitelist

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SECONDS = 0.5
"""Of processor time, for a name: ten times what was seen."""

PATTERNS = [
    pytest.param(r"(a+)+$", "aaa", id="nested repetition"),
    pytest.param(r"^(?:(?:a|aa)+)+$", "aa", id="nested branches"),
    pytest.param(r"(\w+\.)*(\w+\.)*(\w+\.)*x$", "a.x", id="many ways to split"),
    pytest.param(r"(.*)(.*)(.*)(.*)\1\2\3\4x$", "aax", id="references"),
    pytest.param(r"(?=(?:a|a)*b)a", "ab", id="lookahead"),
    pytest.param(r".*a.*a.*a.*a.*a.*\d$", "aaaaa7", id="many gaps"),
    pytest.param(r"(?:a?){50}a{50}", "a" * 100, id="counts"),
]


def hostile_names(count: int) -> list[str]:
    """Return names as long as postgrey keeps them, and as DNS has them, that nearly match in many ways."""
    shapes = ("a", "aa.", "a.b.", "ab", "a7.", "a-a.", "aaaaaaaaab.")
    ends = ("!", "b", ".x!", "x", ".", "7!", "aax!")
    names = []
    for n in range(count):
        length = (512, 255, 120)[n % 3]
        end = ends[n % len(ends)]
        names.append(
            (shapes[n // 3 % len(shapes)] * length)[: length - len(end) - 3] + f"{n % 1000:03}"[: n % 4] + end
        )
    return names


@pytest.mark.parametrize(("pattern", "covered"), PATTERNS)
def test_hostile_names_neither_stall_the_lists_nor_switch_a_pattern_off(
    pattern: str, covered: str, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    content = read_whitelist(f"/{pattern}/\n".encode(), "list")
    lists = Lists([content])
    longest = 0.0
    names = hostile_names(at_length(42, 2000))
    for name in names:
        begun = time.thread_time()
        lists.covers(name, "192.0.2.1")
        longest = max(longest, time.thread_time() - begun)

    undecided = content.entries[0].covers.undecided  # type: ignore[union-attr]
    figure(f"{pattern}: {len(names)} names, {undecided} undecided, {longest * 1000:.1f} ms for the worst")
    assert longest < MOST_SECONDS
    assert lists.covers(covered, "192.0.2.1") is not None
