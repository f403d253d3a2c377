"""Config generations on disk: whole, checked, immutable, numbered upwards for ever.

``generations/<number>.json`` in the state directory, 0400. Written by the supervisor after the
whole was validated, before any process is told; read by every process when its word says so, also
after its own restart. Orders and decisions carry the number, so a file is never written twice and
numbers are not used again; the newest _KEPT stay.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from lowlat.app.config import EngineConfig
from lowlat.app.names import SUPERVISOR, generation_word
from lowlat.app.state import state_dir
from lowlat.core.config import build_config
from lowlat.core.errors import ConfigError, LayoutError, SegmentError
from lowlat.shm import _core
from lowlat.shm.memory import open_segment
from lowlat.shm.stats import StatsReader

__all__ = [
    "Generation",
    "config_in_force",
    "newest_number",
    "numbers_from",
    "read_generation",
    "told_generation",
    "write_generation",
]

_FOLDER: Final = "generations"
_KEPT: Final = 4_096
_NUMBER_MAX: Final = 2**32 - 1
"""Orders carry it in 32 bits."""
_ANEW: Final = "lowlat ctl reload writes the config file down anew"


class Generation(msgspec.Struct, frozen=True):
    """One config that was validated whole, under its number."""

    number: int
    wall_ns: int
    config: EngineConfig


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    wall_ns: int
    digest: str
    """blake2b-16 of the config's bytes."""
    config: msgspec.Raw


def newest_number(instance: str) -> int:
    """Return the highest number ever written and still there, 0 when there is none."""
    return max((number for number, _ in _files(instance)), default=0)


def numbers_from(instance: str, first: int) -> list[int]:
    """Return the numbers from first on that are on disk, lowest first."""
    return sorted(number for number, _ in _files(instance) if number >= first)


def write_generation(instance: str, number: int, config: EngineConfig, wall_ns: int) -> Path:
    """Write a generation, on disk and read-only when this returns. Raises ConfigError if taken."""
    if not 0 < number <= _NUMBER_MAX:
        raise ConfigError(f"generation was {number}, expected 1 to {_NUMBER_MAX}")
    folder = state_dir(instance) / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{number}.json"
    body = msgspec.json.encode(config)
    raw = msgspec.json.encode(_File(number, wall_ns, _digest(body), msgspec.Raw(body)))
    draft = folder / f".{number}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400)
    try:
        with open(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name is taken: what a process may have read never changes.
        os.link(draft, path)
    except FileExistsError:
        raise ConfigError(f"generation {number} was written before: {path}") from None
    finally:
        draft.unlink(missing_ok=True)
    _sync(folder)
    _prune(instance, number)
    return path


def read_generation(instance: str, number: int) -> Generation:
    """Read a generation back and check all of it again. Raises ConfigError."""
    path = state_dir(instance, make=False) / _FOLDER / f"{number}.json"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"generation {number}: {path}: {error.strerror}; {_ANEW}") from None
    try:
        found = msgspec.json.decode(raw, type=_File)
        values = msgspec.json.decode(found.config, type=dict[str, Any])
    except ValueError as error:
        raise ConfigError(f"generation {number}: {path} is damaged: {error}; {_ANEW}") from None
    if found.number != number or found.digest != _digest(bytes(found.config)):
        raise ConfigError(f"generation {number}: {path} is damaged: its digest differs; {_ANEW}")
    config = build_config(values, EngineConfig, source=f"generation {number}")
    return Generation(number, found.wall_ns, config)


def told_generation(instance: str, process: str) -> int:
    """Return which generation the supervisor wants a process to run on; 0: that of the file.

    0 also when there is no supervisor's segment: somebody runs the process by hand.
    """
    try:
        segment = open_segment(instance, f"stats.{SUPERVISOR}", wait_ns=0)
        memory, offset = StatsReader(segment).word(generation_word(process))
    except (SegmentError, LayoutError, FileNotFoundError):
        return 0
    return _core.load_acquire(memory, offset)


def config_in_force(config: EngineConfig, process: str) -> Generation:
    """Return what a process starts on: the generation it is told, else the file it was given."""
    number = told_generation(config.instance, process)
    if not number:
        return Generation(0, 0, config)
    found = read_generation(config.instance, number)
    if found.config.instance != config.instance:
        raise ConfigError(
            f"generation {number} is of instance {found.config.instance!r}, expected "
            f"{config.instance!r}"
        )
    return found


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _files(instance: str) -> Iterator[tuple[int, Path]]:
    folder = state_dir(instance, make=False) / _FOLDER
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix == ".json" and path.stem.isdigit():
            yield int(path.stem), path


def _prune(instance: str, newest: int) -> None:
    for number, path in _files(instance):
        if number <= newest - _KEPT:
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
