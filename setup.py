"""Build the compiled core. Everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

if not sys.platform.startswith("linux"):
    sys.exit(
        f"lowlat runs on Linux only, this is {sys.platform}: it needs futex-era shared memory,"
        " open-file-description locks and /proc"
    )

from Cython.Build import cythonize
from setuptools import Extension, setup

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-cast-function-type",
    "-Wno-missing-field-initializers",
    "-Wno-sign-compare",
]
FLAGS = ["-O2", "-fno-strict-aliasing", "-std=c11", "-D_GNU_SOURCE", *WARNINGS]
# Errors are what unlikely() marks: their code goes elsewhere, so that an order, which finds cold
# caches, loads fewer lines of what it does run.
FLAGS += ["--param=builtin-expect-probability=100", "-fno-plt", "-fno-semantic-interposition"]
ONLY = os.environ.get("LOWLAT_EXT", "")
"""Build only sources whose path contains this (while developing one package)."""
PLAIN = [path for path in sorted(map(str, Path("lowlat").rglob("*.pyx"))) if ONLY in path]


def fault_macros(source: str) -> dict[str, str]:
    """Build the test-only twin of the core with a hook behind every store."""
    return {"LL_FAULT_HOOK": "1"} if "_faulty" in source else {}


def extension(
    source: str, name: str | None = None, macros: dict[str, str] | None = None
) -> Extension:
    return Extension(
        name or source.removesuffix(".pyx").replace("/", "."),
        [source],
        include_dirs=["lowlat/core", "lowlat/shm"],
        define_macros=list((macros or fault_macros(source)).items()),
        extra_compile_args=FLAGS,
    )


CORES = len(os.sched_getaffinity(0))

setup(
    options={"build_ext": {"parallel": CORES}},
    ext_modules=cythonize(
        [extension(source) for source in PLAIN],
        compiler_directives={"language_level": "3", "autotestdict": False},
        build_dir="build",
        nthreads=CORES,
    ),
)
