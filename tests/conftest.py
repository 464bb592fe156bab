"""What all tests share: golden files, and a limit to what hypothesis may do on a busy machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN: Final = Path(__file__).parent / "golden"

# A busy machine is no failure, and examples that failed before are no part of the repository.
settings.register_profile("shared", deadline=None, database=None)
# For a run that is many times as slow, see test_memory.
settings.register_profile("few", settings.get_profile("shared"), max_examples=25)
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files; read the diff then")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of a name, or make it that file's content."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{path.name} differs; if that is meant: pytest --update-golden"

    return compare
