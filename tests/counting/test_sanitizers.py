"""The compiled modules read and write only what is theirs: the tests that compare them, under gcc's sanitizers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from support import sanitized
from support.parts import require

if TYPE_CHECKING:
    from pathlib import Path

TESTS: Final = (
    *("parsing/test_usual.py", "parsing/test_hashing.py", "counting/test_tally.py", "counting/test_facts.py"),
    *("counting/test_oddities.py", "clients/test_classify.py"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sanitized.library()  # or there is no use in it
    return sanitized.build(tmp_path_factory.mktemp("sanitized"))


def test_nothing_is_read_or_written_beyond_its_place(built: Path) -> None:
    module = sanitized.run(built, "-c", "from postgrey_exporter.counting import tally; print(tally.__file__)")
    assert module.stdout.startswith(str(built)), module.stderr

    # What a sanitizer says goes past Python, so the descriptor of standard error is left alone.
    options = ["-q", "-x", "--capture", "sys", "-p", "no:cacheprovider", "--hypothesis-profile", "few"]
    config = ["-c", str(sanitized.ROOT / "pyproject.toml"), "--rootdir", str(sanitized.ROOT)]
    tests = [str(sanitized.ROOT / "tests" / name) for name in TESTS]
    done = sanitized.run(built, "-m", "pytest", *options, *config, *tests)

    assert done.returncode == 0, done.stderr[:6000] + done.stdout[-4000:]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param("char *place = malloc(8); return place[argc + 7];", "heap-buffer-overflow", id="address"),
        pytest.param("return 0x7fffffff + argc;", "signed integer overflow", id="undefined"),
    ],
)
def test_the_sanitizers_find_what_they_are_there_for(tmp_path: Path, statement: str, words: str) -> None:
    assert sanitized.library()
    source = tmp_path / "wrong.c"
    source.write_text(f"#include <stdlib.h>\nint main(int argc, char **argv) {{ {statement} }}\n")
    subprocess.run(
        [
            require("gcc"),
            *sanitized.SANITIZERS.split(),
            "-fno-sanitize-recover=all",
            source,
            "-o",
            tmp_path / "wrong",
        ],
        check=True,
        capture_output=True,
    )
    done = subprocess.run([tmp_path / "wrong"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert words in done.stderr
