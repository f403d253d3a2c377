"""Captures on disk, life by life: the blocks of a tape folder joined again.

A capture is a tape (``store.tape``) whose frames are blocks of one process's log, numbered from 0
in each life of the process. Nothing here knows what is in a block.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lowlat.store.tape import TapeReader

__all__ = ["Life", "read_lives"]


class Life(NamedTuple):
    """What was captured of one life of a process."""

    number: int
    """From 1, oldest first."""
    wall_ns: int
    """When its first block was written."""
    data: bytes
    gap: str
    """Why nothing is known behind ``data``; "" when nothing is missing."""


def read_lives(source: Path) -> Iterator[Life]:
    """Yield the lives in a folder or a file, oldest first; FileNotFoundError when there is none.

    A life whose beginning is gone (the oldest tapes are deleted) is left out.
    """
    reader = TapeReader(source)
    life: list[bytes] | None = None
    wall_ns = number = due = 0
    gap = ""
    for frame in reader:
        if frame.connection == 0:
            if life is not None:
                yield Life(number, wall_ns, b"".join(life), gap)
            number += 1
            life, wall_ns, due, gap = [], frame.wall_ns, 0, ""
        if life is None or gap:
            continue
        if frame.connection != due:
            gap = f"block {due} is missing: the recorder died, or a tape was damaged"
            continue
        life.append(frame.data)
        due += 1
    if reader.torn and not gap:
        path, why = reader.torn[-1]
        gap = f"{path.name} ends early: {why}"
    if life is not None:
        yield Life(number, wall_ns, b"".join(life), gap)
