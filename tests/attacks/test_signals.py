"""Signals: SIGHUP reads lists again and never ends the process."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import TYPE_CHECKING

import pytest
from support.loglines import decision
from support.parts.waiting import free_port, wait_until
from support.running import EXPORTER, NOW, Files, Serve, environment

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.append(decision(NOW))
    return files


def test_lists_are_read_again_at_once_whatever_their_stamps_say(files: Files) -> None:
    files.whitelist.write_text("a.example\n")
    with Serve(files) as serve:
        wait_until(lambda: f"{files.whitelist}: 1 entries are in force" in serve.words())
        before = serve.words().count("entries are in force")
        os.kill(serve.pid, SIGHUP)
        wait_until(lambda: serve.words().count("entries are in force") == 2 * before)
        assert "the lists are read again" in serve.words()


def test_an_edit_is_in_force_right_after_the_signal(files: Files) -> None:
    with Serve(files) as serve:
        files.whitelist.write_text("a.example\nb.example\n")
        os.kill(serve.pid, SIGHUP)
        # Nobody scrapes: the signal ends the pause.
        wait_until(lambda: f"{files.whitelist}: 2 entries are in force" in serve.words())


def test_any_number_of_signals_at_any_moment(files: Files, at_length: Callable[[int, int], int]) -> None:
    files.log.write_text(decision(NOW) * at_length(20_000, 2_000_000))
    with Serve(files, ready="/-/healthy") as serve:  # still reading for the first time
        for _ in range(at_length(2_000, 200_000)):
            os.kill(serve.pid, SIGHUP)
        wait_until(lambda: serve.ask("/-/ready").status == 200, limit=120)
        for _ in range(at_length(2_000, 200_000)):
            os.kill(serve.pid, SIGHUP)
        assert serve.ask("/metrics").status == 200
        assert serve.ask("/metrics").status == 200


def is_deaf(pid: int) -> bool:
    """Tell whether SIGHUP does not end a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Ign|Cgt):\t([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (SIGHUP - 1) & 1 for mask in masks)


def test_signals_from_its_start_to_its_end(files: Files, tmp_path: Path) -> None:
    """Only while Python itself starts, for some hundredths of a second, does one end it."""
    said = tmp_path / "said"
    address = f"127.0.0.1:{free_port()}"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*EXPORTER, "serve", *files.options, "--web.listen-address", address], env=environment(), stderr=output
        )

    def still_runs() -> bool:
        process.send_signal(SIGHUP)
        return process.poll() is None

    wait_until(lambda: is_deaf(process.pid))
    wait_until(lambda: not still_runs() or "listening" in said.read_text())
    process.send_signal(SIGTERM)
    wait_until(lambda: not still_runs())
    assert process.returncode == 0, said.read_text()
