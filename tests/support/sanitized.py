"""The package built with gcc's address and undefined-behaviour sanitizers, and run so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import postgrey_exporter
from support.parts import lacking, require

ROOT: Final = Path(postgrey_exporter.__file__).parent.parent
SANITIZERS: Final = "-fsanitize=address,undefined"
LIMIT_SECONDS: Final = 300


def library() -> str:
    """Return the library that has to be there before Python's own memory is."""
    gcc = require("gcc")
    asked = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    found = asked.stdout.strip()
    if not Path(found).is_absolute():
        lacking("libasan", "libasan8")
    return found


def build(folder: Path) -> Path:
    """Build the package with sanitizers in a folder of its own; what Cython made before is used again."""
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


def run(built: Path, *arguments: str, limit: float = LIMIT_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run Python with what was built, to its end."""
    environment = {
        **os.environ,
        "LD_PRELOAD": library(),
        # Python keeps what it allocates to its end, and its own allocator would hide what lies beyond a piece.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(map(str, (built, ROOT / "tests"))),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=built, env=environment, capture_output=True, text=True, check=False, timeout=limit
    )
