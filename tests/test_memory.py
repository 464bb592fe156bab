"""The compiled modules read and write only what is theirs: the tests that compare them, under gcc's sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from parts import lacking, require

import postgrey_exporter

ROOT: Final = Path(postgrey_exporter.__file__).parent.parent
TESTS: Final = (
    *("test_usual.py", "test_tally.py", "test_places.py", "test_facts.py", "test_hashing.py"),
    "test_counting_oddities.py",
)
SANITIZERS: Final = "-fsanitize=address,undefined"
LIMIT_SECONDS: Final = 300


@pytest.fixture(scope="module")
def preloaded() -> str:
    """Return the library that has to be there before Python's own memory is."""
    gcc = require("gcc")
    asked = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = asked.stdout.strip()
    if not Path(library).is_absolute():
        lacking("libasan", "libasan8")
    return library


@pytest.fixture(scope="module")
def built(preloaded: str, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - or there is no use in it
    """Build the package with sanitizers in a folder of its own; what Cython made before is used again."""
    folder = tmp_path_factory.mktemp("sanitized")
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "postgrey_exporter", folder / "postgrey_exporter", ignore=ignored)
    if (ROOT / "build/postgrey_exporter").is_dir():
        shutil.copytree(ROOT / "build/postgrey_exporter", folder / "build/postgrey_exporter")
    flags = f"{SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1"
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--parallel", "2"]
    environment = {**os.environ, "CFLAGS": flags, "LDFLAGS": SANITIZERS}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(built: Path, preloaded: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LD_PRELOAD": preloaded,
        # Python keeps what it allocates to its end, and its own allocator would hide what lies beyond a piece.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(map(str, (built, ROOT / "tests"))),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=built, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )


def test_nothing_is_read_or_written_beyond_its_place(built: Path, preloaded: str) -> None:
    module = run(built, preloaded, "-c", "from postgrey_exporter.counting import tally; print(tally.__file__)")
    assert module.stdout.startswith(str(built)), module.stderr

    # What a sanitizer says goes past Python, so the descriptor of standard error is left alone.
    options = ["-q", "-x", "--capture", "sys", "-p", "no:cacheprovider", "--hypothesis-profile", "few"]
    config = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    tests = [str(ROOT / "tests" / name) for name in TESTS]
    done = run(built, preloaded, "-m", "pytest", *options, *config, *tests)

    assert done.returncode == 0, done.stderr[:6000] + done.stdout[-4000:]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param("char *place = malloc(8); return place[argc + 7];", "heap-buffer-overflow", id="address"),
        pytest.param("return 0x7fffffff + argc;", "signed integer overflow", id="undefined"),
    ],
)
def test_the_sanitizers_find_what_they_are_there_for(
    preloaded: str, tmp_path: Path, statement: str, words: str
) -> None:
    assert preloaded
    source = tmp_path / "wrong.c"
    source.write_text(f"#include <stdlib.h>\nint main(int argc, char **argv) {{ {statement} }}\n")
    subprocess.run(
        [require("gcc"), *SANITIZERS.split(), "-fno-sanitize-recover=all", source, "-o", tmp_path / "wrong"],
        check=True,
        capture_output=True,
    )
    done = subprocess.run([tmp_path / "wrong"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert words in done.stderr
