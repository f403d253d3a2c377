"""Whether a process writes a capture: apart from what writes it, which most never load."""

from collections.abc import Collection

import msgspec

from lowlat.app.config import EngineConfig
from lowlat.app.topology import ENGINE_ROLES

__all__ = ["captures", "without_tapes"]


def captures(config: EngineConfig, roles: Collection[str]) -> bool:
    """Whether a process with these roles is captured: all of them, so that nothing comes unseen.

    Where roles share memory across processes, a reader's look at a row falls between two writes
    by chance that no process could write down.
    """
    return config.tape.enabled and config.tape.capture and set(ENGINE_ROLES) <= set(roles)


def without_tapes(config: EngineConfig) -> EngineConfig:
    """Return a config whose feeds copy no frames."""
    return msgspec.structs.replace(config, tape=msgspec.structs.replace(config.tape, enabled=False))
