"""Lines and archives of any size are read in little memory: what they unpack to is never held at once."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import struct
import subprocess
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.loglines import decision
from support.parts import require, wait_until
from support.running import Files, Serve, run, seconds

from attacks.limited import MIB, least, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOM_MIB: Final = 48
WRITERS: Final[dict[str, Callable[[Path, str], Any]]] = {
    "plain": open,
    "gz": partial(gzip.open, compresslevel=1),
    "bz2": partial(bz2.open, compresslevel=1),
    "xz": partial(lzma.open, preset=1),
}


def bomb(mib: int) -> Iterator[bytes]:
    """Yield a log of three decisions with a line of so many MiB between the first two."""
    now = time.time()
    yield decision(now - 3600).encode()
    yield from [b"x" * MIB] * mib
    yield b"\n" + decision(now - 1800).encode() + decision(now - 60).encode()


def write(kind: str, path: Path, mib: int) -> None:
    if kind == "zst":
        content = b"".join(bomb(mib))
        subprocess.run([require("zstd"), "-q", "-1", "-f", "-o", path], input=content, check=True)
        return
    with WRITERS[kind](path, "wb") as file:
        file.writelines(bomb(mib))


@pytest.mark.parametrize("kind", [*WRITERS, "zst"])
def test_a_line_without_end_costs_no_memory(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path, kind: str
) -> None:
    mib = at_length(96, 1024)
    files = Files(tmp_path)
    archive = tmp_path / "mail.log.1"
    write(kind, archive, mib)
    files.append(decision(time.time()))
    before, limit = limited(least() + ROOM_MIB), seconds(at_length(60, 600))

    lists = files.options[-4:]
    told = run("report", archive, "--format", "json", *lists, before=before, limit=limit)
    checked = run("check", archive, *lists, before=before, limit=limit)
    with Serve(files, before=before, ready="/-/healthy") as serve:
        wait_until(lambda: serve.ask("/-/ready").status == 200, limit)
        assert serve.value('postgrey_decisions_total{action="greylist",reason="new"}') == 4

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["decisions"]["greylist"]["new"] == 3
    assert checked.returncode == 0, checked.stdout
    figure(f"a line of {mib} MiB, {kind}: report, check and serve read it with {least() + ROOM_MIB} MiB")


def test_a_line_that_grows_without_end_costs_no_memory(
    at_length: Callable[[Any, Any], Any], figure: Callable[[str], None], tmp_path: Path
) -> None:
    mib = at_length(96, 1024)
    files = Files(tmp_path)
    files.append(decision(time.time()))
    with Serve(files, before=limited(least() + ROOM_MIB)) as serve:
        for _ in range(16):
            with files.log.open("ab") as log:
                log.writelines([b"x" * MIB] * (mib // 16))
            assert serve.value("postgrey_exporter_state_up") == 1
        files.append("\n", decision(time.time()))
        new = 'postgrey_decisions_total{action="greylist",reason="new"}'
        wait_until(lambda: serve.value(new) == 2, seconds(at_length(60, 600)))
    figure(f"a line that grew to {mib} MiB while it was followed: with {least() + ROOM_MIB} MiB")


def test_an_archive_that_asks_for_too_much_memory_is_named(tmp_path: Path) -> None:
    content = bytearray(lzma.compress(decision(time.time()).encode()))
    size = 4 * (content[12] + 1)
    at = content.index(b"\x21\x01", 12) + 2
    content[at] = 40  # a dictionary of 4 GiB
    content[8 + size : 12 + size] = struct.pack("<I", zlib.crc32(bytes(content[12 : 8 + size])))
    archive = tmp_path / "mail.log.1.xz"
    archive.write_bytes(content)
    done = run("report", archive)

    assert done.returncode == 1
    assert "mail.log.1.xz" in done.stderr
    assert "memory" in done.stderr.lower()


def test_an_archive_of_several_streams_is_read_to_its_end(tmp_path: Path) -> None:
    streams = [lzma.compress(decision(time.time() - 60 * number).encode()) for number in range(5)]
    archive = tmp_path / "mail.log.1"
    archive.write_bytes(b"\0\0\0\0".join(streams) + b"no stream")
    assert json.loads(run("report", archive, "--format", "json").stdout)["domains"][0]["greylisted"] == 5
    archive.write_bytes(b"".join(streams)[:-9])
    assert "cut short" in run("report", archive).stderr
