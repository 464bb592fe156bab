"""What all tests share: golden files, how long a run is, and how long hypothesis may take on a busy machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

GOLDEN: Final = Path(__file__).parent / "golden"

# A busy machine is no failure, and examples that failed before are no part of the repository.
settings.register_profile("shared", deadline=None, database=None)
# For a run that is many times as slow, see test_memory.
settings.register_profile("few", settings.get_profile("shared"), max_examples=25)
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files; read the diff then")
    parser.addoption("--long", action="store_true", help="attack at full length, and print figures: `make attack`")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Undo what a command that is called in this process does to the program's log: the next test reads it."""
    logger = logging.getLogger("postgrey_exporter")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate, level = before
    logger.setLevel(level)


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


@pytest.fixture
def at_length(request: pytest.FixtureRequest) -> Callable[[T, T], T]:
    """Choose between the size of an attack in every run and its size in `make attack`."""
    is_long = request.config.getoption("--long")

    def choose(usual: T, long: T) -> T:
        return long if is_long else usual

    return choose


_FIGURES: Final = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note a figure that a test has measured; `make attack` prints all of them at its end."""
    return request.config.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(_FIGURES, [])
    if figures and config.getoption("--long"):
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.write_line(text)
