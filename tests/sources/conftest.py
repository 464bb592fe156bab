from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sources.scene import Log, Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.fixture
def reader(log: Log) -> Reader:
    return Reader(log)


@pytest.fixture(params=["running", "stopped"])
def meanwhile(request: pytest.FixtureRequest, reader: Reader) -> Callable[[], None]:
    """What happens to the reader around a rotation: it runs on, or it is started again afterwards."""
    return reader.restart if request.param == "stopped" else lambda: None
