"""The hardened unit under a systemd that booted: real postgrey, real journald, and journalctl inside the sandbox.

What boots is this machine's own system, in a container without a network; all that it writes goes to a folder that is
thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.parts import require

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[3]
SYSTEMD = PROJECT / "deploy" / "systemd"
LIMIT = 180.0
NOTED = "/opt/noted"
PROGRAM = """#!/opt/python/bin/python{version} -I
import sys
sys.path[:0] = ["/opt/project", "/opt/packages"]
from postgrey_exporter.cli import main
main()
"""
LIBRARIES = """[Service]
Environment=LD_LIBRARY_PATH=/opt/python/lib
"""
TARGET = """[Unit]
Requires=basic.target
Wants=postgrey.service postgrey-exporter.service probe.service
"""
PROBE = f"""[Unit]
After=postgrey.service postgrey-exporter.service
[Service]
Type=oneshot
Environment=LD_LIBRARY_PATH=/opt/python/lib
ExecStart=/opt/python/bin/python3 /opt/project/tests/sources/journal/booted_probe.py {NOTED}
ExecStopPost=/usr/bin/systemctl --no-block poweroff
"""


@contextmanager
def overlay(folder: Path) -> Iterator[Path]:
    """Mount this machine's files so that what is written to them goes elsewhere."""
    root, upper, work = (folder / name for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        path.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "overlay", root], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"the machine's own files can't be mounted as an overlay here: {mounted.stderr.strip()}")
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def boot(root: Path) -> dict[str, Any]:
    """Boot, let the probe do its work, and return what it noted."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    write(root / "opt/postgrey-exporter/bin/postgrey-exporter", PROGRAM.format(version=version), 0o755)
    units = root / "etc/systemd/system"
    shutil.copy(SYSTEMD / "postgrey-exporter.service", units)
    shutil.copy(SYSTEMD / "postgrey-exporter.default", root / "etc/default/postgrey-exporter")
    write(units / "postgrey-exporter.service.d" / "python.conf", LIBRARIES)
    write(units / "probe.target", TARGET)
    write(units / "probe.service", PROBE)
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)
    bound = {"/opt/python": sys.base_prefix, "/opt/packages": sysconfig.get_path("purelib"), "/opt/project": PROJECT}
    for place in bound:
        (root / place[1:]).mkdir(parents=True, exist_ok=True)
    booted = subprocess.run(
        [
            *(require("systemd-nspawn", "systemd-container"), f"--directory={root}", "--boot"),
            *("--private-network", "--register=no", "--keep-unit"),
            *(f"--bind-ro={source}:{place}" for place, source in bound.items()),
            "systemd.unit=probe.target",
        ],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    noted = root / NOTED[1:]
    if not noted.exists():
        pytest.skip(f"no system boots in a container here: {(booted.stdout + booted.stderr)[-300:]}")
    found: dict[str, Any] = json.loads(noted.read_text())
    return found


def test_the_hardened_unit_reads_the_journal_over_rotation_and_kill(tmp_path: Path) -> None:
    require("systemd-nspawn", "systemd-container")
    require("postgrey")
    if os.geteuid() != 0:
        pytest.skip("needs root, to boot a system in a container")
    with overlay(tmp_path) as root:
        noted = boot(root)
    for moment, asked in (("at first", 30), ("rotated", 50), ("killed", 55)):
        assert noted.get(moment) == {
            "postgrey_decisions_total": asked,
            "postgrey_exporter_source_up": 1,
            "postgrey_exporter_source_gaps_total": 0,
        }, (moment, noted)
    status = noted["status"]
    assert status["Uid"].split()[0] != "0"
    assert int(status["CapEff"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "level=warn" not in noted["log"]
    assert "level=error" not in noted["log"]
