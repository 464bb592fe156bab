"""Whatever goes wrong in the middle of a reading, the next one makes up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import loglines
from support.running import NOW, Files, Scripted

from postgrey_exporter.state.connection import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def once(error: Exception) -> Callable[..., Any]:
    """Return a function that raises, at its first call."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        # It ends no step but the smallest.
        pytest.param(MemoryError("no room"), StateError, id="no memory"),
        pytest.param(RuntimeError("a fault of ours"), RuntimeError, id="a fault"),
        pytest.param(StateError("locked"), StateError, id="the state"),
    ],
)
def test_an_error_of_any_kind_takes_no_line_with_it(
    files: Files, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception]
) -> None:
    source = Scripted("log", [loglines.decision(NOW), loglines.decision(NOW)])
    with files.ingest(source) as ingest:
        with monkeypatch.context() as patched:
            patched.setattr(ingest.store, "merge", once(error))
            with pytest.raises(raised):
                ingest.advance(NOW)
        ingest.advance(NOW)
    assert files.counted() == 2


def test_a_position_that_can_not_be_read_right_after_the_error(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted("log", [loglines.decision(NOW)])
    with files.ingest(source) as ingest:
        with monkeypatch.context() as patched:
            patched.setattr(ingest.store, "merge", once(StateError("locked")))
            patched.setattr(ingest.store, "position", once(StateError("locked")))
            for _ in range(3):
                with pytest.raises(StateError):
                    ingest.advance(NOW)
        ingest.advance(NOW)
    assert files.counted() == 1
