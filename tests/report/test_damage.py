"""Archives and pipes that are cut, damaged, or hold what journalctl prints: read as far as they go, and told."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sources.journal.journals import BEGIN, decisions
from support.loglines import decision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_795_950_000.0
LINES = "".join(decision(NOW + second) for second in range(3)).encode()
EXPORT = decisions(range(5))
CUT_EXPORT = EXPORT[EXPORT.index(b"SYSLOG_IDENTIFIER") :]


def counted(*arguments: object, stdin: bytes = b"") -> tuple[int, int, str]:
    """Return how many decisions `report` counts, its exit status, and what it says on standard error."""
    command = [sys.executable, "-m", "postgrey_exporter", "report", "--format=json", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    return json.loads(done.stdout)["decisions"]["greylist"]["new"], done.returncode, done.stderr.decode()


PACKERS = [
    pytest.param(gzip.compress, id="gzip"),
    pytest.param(bz2.compress, id="bzip2"),
    pytest.param(lzma.compress, id="xz"),
]


@pytest.mark.parametrize("pack", PACKERS)
def test_every_stream_of_an_archive_counts(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "log").write_bytes(pack(LINES) + pack(LINES))
    assert counted(tmp_path / "log") == (6, 0, "")


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda packed: packed[: len(packed) // 2], id="cut"),
        pytest.param(lambda packed: b"x" + packed[1:], id="damaged-at-its-begin"),
        pytest.param(
            lambda packed: packed[:-20] + bytes([packed[-20] ^ 255]) + packed[-19:], id="damaged-at-its-end"
        ),
        pytest.param(lambda _: b"garbage", id="garbage"),
    ],
)
def test_a_later_stream_that_is_damaged_is_told(tmp_path: Path, pack: Callable[[bytes], bytes], spoil: Any) -> None:
    (tmp_path / "log").write_bytes(pack(LINES) + spoil(pack(LINES)))
    new, status, said = counted(tmp_path / "log")
    assert new in {3, 6}
    assert status == 1
    assert f"{tmp_path / 'log'}: the archive is damaged or cut short" in said


def test_padding_between_and_behind_the_streams_of_xz_is_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(lzma.compress(LINES) + bytes(70_000) + lzma.compress(LINES) + bytes(4))
    assert counted(tmp_path / "log") == (6, 0, "")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param(EXPORT, 5, id="whole"),
        pytest.param(CUT_EXPORT, 5, id="first-entry-without-its-time"),
        pytest.param(EXPORT[EXPORT.index(b"client_name") :], 4, id="first-entry-cut-in-its-message"),
    ],
)
@pytest.mark.parametrize(
    "pack", [pytest.param(lambda text: text, id="plain"), pytest.param(gzip.compress, id="gzip")]
)
def test_an_export_counts_as_a_file_and_through_a_pipe_though_its_begin_is_cut(
    tmp_path: Path, pack: Callable[[bytes], bytes], text: bytes, count: int
) -> None:
    (tmp_path / "journal.export").write_bytes(pack(text))
    expected = count - (text is CUT_EXPORT)  # without a time it is malformed
    assert counted(tmp_path / "journal.export")[:2] == (expected, 0)
    assert counted("-", stdin=pack(text))[:2] == (expected, 0)


def test_journalctls_json_counts_as_a_file_though_its_begin_is_cut(tmp_path: Path) -> None:
    line = json.dumps(
        {
            "__REALTIME_TIMESTAMP": f"{BEGIN}000000",
            "SYSLOG_IDENTIFIER": "postgrey",
            "_SYSTEMD_UNIT": "postgrey.service",
            "MESSAGE": "action=greylist, reason=new, client_name=mail.example.com, client_address=192.0.2.1",
        }
    )
    (tmp_path / "log.json").write_text(f"{line[40:]}\n{line}\n{line}\n")
    assert counted(tmp_path / "log.json") == (2, 0, "")


def test_an_archive_that_needs_an_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(40))
    (tmp_path / "good").write_bytes(LINES)
    hidden = "import sys; sys.modules['backports.zstd'] = None; from postgrey_exporter.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "report", tmp_path / "log.zst", tmp_path / "good"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tmp_path / 'log.zst'}: zstd archives need an extra" in done.stderr
