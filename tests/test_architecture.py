"""What import contracts can't say: compiled modules import one way too, and only `cli` prints, reads the environment,
asks the clock and exits.

Of a compiled module its imports are read; its stub imports what the face for Python names.
"""

from __future__ import annotations

import ast
import graphlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import postgrey_exporter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(postgrey_exporter.__file__).parent
PROGRAMS: Final = ("cli", "sample")


SOURCES: Final = sorted(path for path in ROOT.rglob("*.p*") if path.suffix in {".py", ".pyx", ".pxd", ".pyi"})
_IMPORT: Final = re.compile(r"^ *(?:from ([\w.]+) )?c?import (\([^)]*\)|[^(\n]+)$", re.MULTILINE)


def name_of(path: Path) -> str:
    return ".".join(("postgrey_exporter", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def parsed(path: Path) -> list[ast.stmt]:
    """Return a module's statements; of one in Cython, which Python can't parse, what it imports."""
    text = path.read_text()
    if path.suffix in {".pyx", ".pxd"}:
        found = [(f"from {module} " if module else "") + f"import {names}" for module, names in _IMPORT.findall(text)]
        text = "\n".join(found)
    return ast.parse(text).body


MODULES: Final = {
    name: ast.Module([one for path in SOURCES if name_of(path) == name for one in parsed(path)], [])
    for name in map(name_of, SOURCES)
}


def room(module: str) -> str:
    """Return the part of a module's name below the package: ``sources`` for ``…sources.file.source``."""
    return module.removeprefix("postgrey_exporter").removeprefix(".").partition(".")[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, at its top, inside its functions and for type checking alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in MODULES else node.module


IMPORTS: Final = {module: set(imported(tree)) & MODULES.keys() for module, tree in MODULES.items()}


def test_no_import_leads_back_to_where_it_began() -> None:
    # A package's own __init__ shows what its modules make.
    graph = {module: {one for one in found if not module.startswith(f"{one}.")} for module, found in IMPORTS.items()}

    list(graphlib.TopologicalSorter(graph).static_order())


def layers() -> dict[str, int]:
    """Return how far down each room lies: the import contract of Python's modules, which holds for all others too."""
    contracts = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    return {name: depth for depth, layer in enumerate(names) for name in layer.split(" | ")}


def test_compiled_modules_and_stubs_import_down_as_well() -> None:
    depths = layers()
    unseen = {name_of(path) for path in SOURCES if path.suffix != ".py"}
    wrong = {
        (module, one)
        for module in unseen
        for one in IMPORTS[module]
        if room(one) != room(module) and depths[room(one)] <= depths[room(module)]
    }

    assert unseen
    assert wrong == set()


# What only the command line may ask or do.
OUTER: Final = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "localtime", "gmtime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "os": {"environ", "environb", "getenv", "getcwd", "_exit"},
    "sys": {"stdin", "stdout", "stderr", "exit", "argv"},
    "Path": {"cwd", "home"},
}
BUILT_IN: Final = {"print", "input", "exit", "quit"}
REASONS: Final = {
    "postgrey_exporter.sources.journal.journalctl": {"os.environ"},  # what journalctl is started with
    "postgrey_exporter.__main__": {"sys.argv"},  # what a signal means, from the very beginning
}


def outer(tree: ast.Module) -> Iterator[str]:
    """Yield each use of the clock, the environment, the terminal and the process's end."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in OUTER.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in OUTER:
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name in OUTER[node.module])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILT_IN:
            yield node.func.id
        elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Call)):
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and raised.id == "SystemExit":
                yield raised.id


def test_only_the_programs_print_exit_and_ask_for_the_clock_and_the_environment() -> None:
    used = {
        module: set(outer(tree)) - REASONS.get(module, set())
        for module, tree in MODULES.items()
        if room(module) not in PROGRAMS
    }

    assert {module: found for module, found in used.items() if found} == {}


def test_the_search_for_it_finds_it() -> None:
    code = """
import time, os
from time import monotonic
def f() -> None:
    print(time.time(), os.environ["HOME"], datetime.now(UTC), sys.stderr)
    raise SystemExit(2)
"""

    assert set(outer(ast.parse(code))) == {
        *("print", "time.time", "os.environ", "time.monotonic", "datetime.now", "sys.stderr", "SystemExit")
    }


def test_compiled_modules_do_none_of_it_either() -> None:
    compiled = {path.name: path.read_text() for path in SOURCES if path.suffix == ".pyx"}
    outside = re.compile(
        r"^ *(?:from|c?import) (?:time|datetime|os(?! import urandom$)|sys|pathlib|posix)\b|\bprint\(", re.MULTILINE
    )

    assert compiled
    assert {name: found for name, text in compiled.items() if (found := outside.findall(text))} == {}


def test_the_imports_of_a_compiled_module_are_found() -> None:
    found = IMPORTS["postgrey_exporter.counting.increment"]

    assert found > {
        f"postgrey_exporter.{name}" for name in ("lists.verdict", "counting.message", "counting.evidence", "lists")
    }


def test_no_module_is_longer_than_a_reader_can_bear() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}

    assert {module: lines for module, lines in lengths.items() if lines > 400} == {}


def test_no_compiled_module_is_longer_than_a_reader_can_bear() -> None:
    # In Cython a line more is a type more to keep in mind.
    lengths = {path.name: len(path.read_text().splitlines()) for path in SOURCES if path.suffix in {".pyx", ".pxd"}}

    assert lengths
    assert {module: lines for module, lines in lengths.items() if lines > 300} == {}
