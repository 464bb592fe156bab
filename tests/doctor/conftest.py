"""Shared by the doctor's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doctor.fakes import FakeMachine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)
