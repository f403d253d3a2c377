"""Write settings, remember what stood there before, and put it back.

The memory is one JSON file a boot: a reboot undoes every run-time setting, so older memories are
of no use. Writing the same value twice changes neither host nor memory.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from lowlat.app.tuning.host import Host
from lowlat.app.tuning.rows import Change
from lowlat.core.errors import ConfigError

__all__ = ["Memory", "Outcome", "apply", "revert"]

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


class Outcome(msgspec.Struct, frozen=True):
    """What one write came to; ``error`` is "" when the setting now reads as wanted."""

    path: str
    before: str
    value: str
    error: str


class Memory:
    """What was there before we wrote, by path, for this boot."""

    def __init__(self, file: Path, host: Host) -> None:
        self._file = file
        self._boot = host.read(_BOOT_ID) or ""
        self.before: dict[str, str] = {}
        if not file.exists():
            return
        try:
            kept = json.loads(file.read_text())
            boot, before = kept["boot_id"], dict(kept["before"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{file} is not what `lowlat tune apply` wrote ({error}): look at it, remove it"
            ) from error
        if boot == self._boot:
            self.before = before

    def save(self) -> None:
        """Write the memory, or remove it when there is nothing left to revert."""
        if not self.before:
            self._file.unlink(missing_ok=True)
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_suffix(".new")
        text = json.dumps({"boot_id": self._boot, "before": self.before}, indent=1)
        with draft.open("w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file)


def apply(host: Host, changes: Iterable[Change], memory: Memory) -> list[Outcome]:
    """Write each change and read it back. What was there is kept before the write."""
    outcomes = []
    for change in changes:
        before = host.switch(change.path)
        if before is None:
            outcomes.append(Outcome(change.path, "", change.value, "not there"))
            continue
        fresh = change.path not in memory.before
        if fresh:
            memory.before[change.path] = before
            memory.save()
        error = _write(host, change.path, change.value)
        if error and fresh and host.switch(change.path) == before:
            del memory.before[change.path]
            memory.save()
        outcomes.append(Outcome(change.path, before, change.value, error))
    return outcomes


def revert(host: Host, memory: Memory) -> list[Outcome]:
    """Write back what was there; what cannot be written back stays in the memory."""
    outcomes = []
    for path, value in list(memory.before.items()):
        now = host.switch(path) or ""
        error = "" if now == value else _write(host, path, value)
        outcomes.append(Outcome(path, now, value, error))
        if not error:
            del memory.before[path]
            memory.save()
    return outcomes


def _write(host: Host, path: str, value: str) -> str:
    try:
        host.write(path, value)
    except OSError as error:
        return error.strerror or str(error)
    found = host.switch(path)
    return "" if found == value else f"reads {found!r} after the write"
