"""Where an instance keeps what outlives its segments: logs, journal, and who its children are.

``$XDG_STATE_HOME/lowlat/<instance>``, 0700. The list of children lets a later supervisor adopt
them and `lowlat clean` end them; a pid alone proves nothing, so each carries its start time.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from lowlat.core.errors import SegmentError
from lowlat.shm.locks import Identity, boot_id, probe_lock
from lowlat.shm.places import check_instance, instance_dir, private_dir, segment_names

__all__ = [
    "ChildRecord",
    "forget_children",
    "living_children",
    "living_holders",
    "save_children",
    "state_dir",
    "state_root",
]

_FILE: Final = "children.json"


class ChildRecord(msgspec.Struct, frozen=True):
    """One life of one child, as the state directory remembers it."""

    name: str
    pid: int
    start_ticks: int
    boot_id: str
    argv: tuple[str, ...]

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return Identity(self.name, self.pid, self.start_ticks, self.boot_id).alive


def state_root() -> Path:
    """Return the folder of every instance's state directory, made or not."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "lowlat"


def state_dir(instance: str, *, make: bool = True) -> Path:
    """Return the instance's state directory, private to us; made when missing.

    Raises SegmentError when it belongs to somebody else, is open to others or is no directory.
    """
    path = state_root() / check_instance(instance)
    if not make:
        return path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SegmentError(f"state directory {path} cannot be made: {error.strerror}") from error
    private_dir(str(path), "state directory")
    return path


def save_children(instance: str, children: Iterable[ChildRecord]) -> None:
    """Note who runs now; the file is replaced whole, so a reader never sees half of it."""
    path = state_dir(instance) / _FILE
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(list(children)))
    draft.replace(path)


def living_children(instance: str) -> list[ChildRecord]:
    """Return the children of the last supervisor that still run."""
    path = state_dir(instance, make=False) / _FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        found = msgspec.json.decode(raw, type=list[ChildRecord])
    except msgspec.MsgspecError as error:
        raise SegmentError(f"{path} is damaged ({error}): remove it") from error
    return [each for each in found if each.boot_id == boot_id() and each.alive]


def living_holders(instance: str) -> Iterator[tuple[str, Identity]]:
    """Yield each segment that a living process writes, and that process."""
    directory = instance_dir(instance)
    for name in segment_names(instance):
        holder = probe_lock(directory, name)
        if holder is not None and holder.alive:
            yield name, holder


def forget_children(instance: str) -> None:
    """Remove the note: everybody on it is gone."""
    (state_dir(instance, make=False) / _FILE).unlink(missing_ok=True)
