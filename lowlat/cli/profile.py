"""`lowlat profile`: a flame graph of one process while it works, native frames included."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, app
from lowlat.core.errors import ConfigError


@app.command(epilog="Example: lowlat profile engine --seconds 20 --output engine.svg")
def profile(
    process: Annotated[str, typer.Argument(help="Process of the instance, as status names it.")],
    *,
    instance: Instance = "demo",
    seconds: Annotated[int, typer.Option(min=1, help="How long to look.")] = 10,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="Samples a second.")] = 500,
    output: Annotated[str, typer.Option(help="Where the picture goes: .svg, or .txt raw.")] = "",
) -> None:
    """Sample where a process spends its time, with py-spy; the process goes on meanwhile.

    The executor hides its memory from other processes of its user: to look at it takes root.
    Sampling stops the process for microseconds each time, so the figures of that while are off.
    """
    pid = find(instance, process)
    target = Path(output or f"{instance}-{process}.svg")
    kind = {".svg": "flamegraph", ".txt": "raw"}.get(target.suffix)
    if kind is None:
        raise ConfigError(f"profile: --output was {str(target)!r}, expected .svg or .txt")
    command = [_py_spy(), "record", "--native", "--pid", str(pid), "--output", str(target)]
    command += ["--duration", str(seconds), "--rate", str(rate), "--format", kind]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode or not target.exists():
        print(done.stderr.strip() or done.stdout.strip(), file=sys.stderr)
        if os.geteuid():
            print("profile: as root, or with CAP_SYS_PTRACE, it may look", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)
    print(f"{process} (pid {pid}): {target}")


def find(instance: str, process: str) -> int:
    """Return the pid of a living process; raises ConfigError that names those there are."""
    from lowlat.app.state import living_holders

    living = {
        name.removeprefix("stats."): holder.pid
        for name, holder in living_holders(instance)
        if name.startswith("stats.")
    }
    if process not in living:
        there = ", ".join(sorted(living)) or "none"
        raise ConfigError(
            f"profile: instance {instance!r} has no running process {process!r}; running: {there}"
        )
    return living[process]


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ConfigError(
            f"profile: py-spy is not installed: {sys.executable} -m pip install py-spy"
        )
    return found
