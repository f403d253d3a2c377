"""Named kinds of market: TOML files shipped beside this module, or anybody's own.

A scenario is a table of ``SimConfig`` with one more key, ``about``. The command line wins over it.
"""

import importlib.resources
import os
import tomllib
from typing import Any

from lowlat.core.errors import ConfigError

__all__ = ["read_scenario", "scenario_names"]


def scenario_names() -> dict[str, str]:
    """Return every shipped scenario and what it is about."""
    folder = importlib.resources.files("lowlat.sim").joinpath("scenarios")
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".toml"))
    return {
        name.removesuffix(".toml"): _parse(folder.joinpath(name).read_bytes(), name)["about"]
        for name in names
    }


def read_scenario(name: str) -> dict[str, Any]:
    """Return the values of a shipped scenario, or of a file; raises ConfigError."""
    if os.sep in name or name.endswith(".toml"):
        try:
            with open(name, "rb") as file:
                raw = file.read()
        except OSError as error:
            raise ConfigError(f"scenario {name!r} cannot be read: {error.strerror}") from error
    else:
        known = scenario_names()
        if name not in known:
            raise ConfigError(
                f"scenario was {name!r}, allowed: {', '.join(known)}, or a path to a .toml file"
            )
        file_ = importlib.resources.files("lowlat.sim").joinpath("scenarios", f"{name}.toml")
        raw = file_.read_bytes()
    values = _parse(raw, name)
    values.pop("about", None)
    return values


def _parse(raw: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"scenario {name!r} is no TOML: {error}") from error
