"""A plain file read in stretches: together they are its lines, each once, wherever the file is cut."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.sources.blocks import Stretch, whole_lines, without_holes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 64
TEXTS = st.lists(st.sampled_from([b"", b"a", b"line", b"\0\0hole", b"x" * 70, b"y" * 200]), max_size=30)


def stretches(file: int, cuts: list[int]) -> Iterator[bytes]:
    buffer = bytearray(BLOCK)
    for begin, end in zip([0, *cuts], [*cuts, inf], strict=True):
        for block in Stretch(file, begin, end, buffer).blocks():
            yield bytes(block)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stretch") / "mail.log"


@given(texts=TEXTS, ends=st.booleans(), cuts=st.sets(st.integers(1, 3000), max_size=6))
def test_stretches_hold_what_the_file_holds(log: Path, texts: list[bytes], cuts: set[int], *, ends: bool) -> None:
    log.write_bytes(b"\n".join(texts) + b"\n" * ends)
    with log.open("rb", buffering=0) as file:
        whole = b"".join(whole_lines(file, BLOCK))
        found = without_holes(b"".join(stretches(file.fileno(), sorted(cuts))))

    # Of a line that is longer than a block the beginning is kept, as much of it as the blocks happen to hold.
    assert [line[:BLOCK] for line in found.split(b"\n")] == [line[:BLOCK] for line in whole.split(b"\n")]


def test_a_stretch_begins_behind_the_line_that_it_begins_in_and_ends_its_last_line(log: Path) -> None:
    log.write_bytes(b"first\nsecond\nthird\n")
    with log.open("rb") as file:
        assert list(stretches(file.fileno(), [6, 8])) == [b"first\n", b"second\n", b"third\n"]
        assert list(stretches(file.fileno(), [7, 8, 9])) == [b"first\nsecond\n", b"third\n"]


def test_a_stretch_tells_how_far_it_was_read_in_a_file_that_shrank(log: Path) -> None:
    log.write_bytes(b"a\n" * 100)
    with log.open("rb+") as file:
        stretch = Stretch(file.fileno(), 0, 200, bytearray(BLOCK))
        blocks = stretch.blocks()
        assert bytes(next(blocks)) == b"a\n" * 32
        os.truncate(log, 10)
        assert list(blocks) == []
    assert stretch.at == 64


def test_a_stretch_inside_a_hole_looks_no_farther_than_its_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    pread = os.pread

    def counted(file: int, size: int, at: int) -> bytes:
        looked.append(size)
        return pread(file, size, at)

    monkeypatch.setattr(os, "pread", counted)
    log.write_bytes(bytes(1 << 20))
    with log.open("rb") as file:
        assert list(Stretch(file.fileno(), 4096, 8192, bytearray(BLOCK)).blocks()) == []
    assert sum(looked) <= 2 * 4096
