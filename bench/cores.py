"""Which core each process of a bench runs on."""

import os

__all__ = ["CORES", "pin", "unpin"]

CORES = sorted(os.sched_getaffinity(0))


def pin(core_index: int) -> None:
    """Pin this process to one of the cores it may use (nothing on a one-core machine)."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, {CORES[core_index % len(CORES)]})


def unpin() -> None:
    """Undo pin, so that children may use every core."""
    os.sched_setaffinity(0, set(CORES))
