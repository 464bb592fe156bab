"""Signals: SIGHUP reads lists again and never ends the process."""

from __future__ import annotations

import os
from signal import SIGHUP, SIGTERM
from typing import TYPE_CHECKING

import pytest
from loglines import decision
from parts.waiting import wait_until
from running import NOW, Files, Serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        os.kill(serve.pid, SIGHUP)
        assert serve.end(SIGTERM) == 0
