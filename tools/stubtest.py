"""Run mypy's stubtest over every compiled module of lowlat: stubs and extension must agree."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
modules = [
    str(stub.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for stub in sorted((ROOT / "lowlat").rglob("*.pyi"))
]
sys.exit(
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            "--concise",
            "--ignore-positional-only",
            "--mypy-config-file",
            "pyproject.toml",
            *modules,
        ],
        cwd=ROOT,
        check=False,
    ).returncode
)
