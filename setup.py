"""The modules that are compiled: those that every line of a log goes through. All else stands in pyproject.toml."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

# Debian's Python builds with -O2, which leaves loops over texts as they are. Whoever builds with flags of his own, as
# a sanitizer's, has these alone.
FLAGS = [] if "CFLAGS" in os.environ else ["-O3", "-g0"]

setup(
    ext_modules=cythonize(
        [
            Extension(f"postgrey_exporter.{room}.*", [f"postgrey_exporter/{room}/*.pyx"], extra_compile_args=FLAGS)
            for room in ("counting", "memory", "parsing")
        ],
        compiler_directives={"language_level": 3, "wraparound": False, "cdivision": True},
        build_dir="build",
    )
)
