from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sources.file.scene import Log, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike ``tmp_path``, and in memory where there is such a place."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made unique below
    with tempfile.TemporaryDirectory(prefix="postgrey-exporter-", dir=place) as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def log(folder: Path) -> Log:
    return Log(folder / "log")


@pytest.fixture
def reader(log: Log) -> Reader:
    return Reader(log)


@pytest.fixture(params=["running", "stopped"])
def meanwhile(request: pytest.FixtureRequest, reader: Reader) -> Callable[[], None]:
    """What happens to the reader around a rotation: it runs on, or it is started again afterwards."""
    return reader.restart if request.param == "stopped" else lambda: None
