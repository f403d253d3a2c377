"""Which engines share a process, on which core, and what an idle process does.

A topology is the table ``[topology.NAME]`` of the config, one a process. Every role lives in
exactly one process; the recorder always has its own, because it waits for the disk. Shipped ones
(``topologies/*.toml``) go by name: *fused* (the default), *spread*, *spread-eight*.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from lowlat.app.names import SETTLEMENT, SUPERVISOR
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError, SegmentError
from lowlat.shm.layouts import StatsShape
from lowlat.shm.places import check_name

__all__ = [
    "ENGINE_ROLES",
    "FUSED",
    "RECORDER",
    "ProcessConfig",
    "check_cores",
    "check_topology",
    "fit_cores",
    "load_topology",
    "named_topologies",
    "process_of",
    "start_after",
    "stats_shape_of",
    "topology_toml",
]

RECORDER: Final = "recorder"
ENGINE_ROLES: Final = (
    "metadata",
    "binance",
    "prices",
    "polymarket",
    "executor",
    "risk",
    "signals",
)
"""In the order in which processes start: each behind those whose state it reads at its start."""
_ROLES: Final = (RECORDER, *ENGINE_ROLES)
_AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    "polymarket": ("metadata",),
    "executor": (RECORDER, "metadata"),
    "risk": ("executor",),
    "signals": ("risk", "polymarket", "binance", "prices"),
}
_NAMES_TAKEN: Final = frozenset({SUPERVISOR, SETTLEMENT, "sim"})
_FOLDER: Final = Path(__file__).parent / "topologies"
_FEEDS: Final = frozenset({"metadata", "binance", "prices", "polymarket"})
_UNWINDS_BY: Final = frozenset({"metadata", "polymarket"})
"""What an executor needs to the end: where groups are unwound, and by which rules."""

Wait = Literal["spin", "yield", "park"]
Role = Literal[
    "recorder", "metadata", "binance", "prices", "polymarket", "executor", "risk", "signals"
]


class ProcessConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One process: its engines, its core, its way to wait."""

    engines: tuple[Role, ...]
    core: Annotated[int, msgspec.Meta(ge=-1, le=1023)] = -1
    """-1: wherever the scheduler likes."""
    wait: Wait = "park"
    tick_ms: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """park: how often time-driven work and inputs that nobody rings for are looked at."""
    hang_ms: Annotated[int, msgspec.Meta(ge=250, le=600_000)] = 10_000
    """A loop that did not turn for so long is killed and started again."""
    stopped_ms: Annotated[int, msgspec.Meta(ge=100, le=600_000)] = 250
    """The same for a process that somebody stopped (SIGSTOP): no need to guess."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topology: dict[str, ProcessConfig]


FUSED: Final[dict[str, ProcessConfig]] = {
    RECORDER: ProcessConfig((RECORDER,), tick_ms=3),
    "engine": ProcessConfig(ENGINE_ROLES, tick_ms=1),
}
"""What a config without a topology means."""


def named_topologies() -> list[str]:
    """Return the names of the shipped topologies."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_topology(name: str) -> dict[str, ProcessConfig]:
    """Read a shipped topology by name, or a file; raises ConfigError."""
    path = _FOLDER / f"{name}.toml" if name in named_topologies() else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(named_topologies())
        raise ConfigError(
            f"topology {name}: {error}; expected one of {known} or a file with [topology.NAME]"
        ) from None
    found = decode_config(text, _File, source=str(path)).topology
    check_topology(found)
    return found


def topology_toml(topology: Mapping[str, ProcessConfig]) -> str:
    """Write a topology as part of a config."""
    lines = []
    for name, process in topology.items():
        lines.append(f"[topology.{name}]")
        # A JSON string, number or list of strings is the same in TOML.
        lines += [
            f"{key} = {msgspec.json.encode(value).decode()}"
            for key, value in msgspec.to_builtins(process).items()
        ]
        lines.append("")
    return "\n".join(lines)


def check_topology(topology: Mapping[str, ProcessConfig]) -> None:
    """Check what spans processes; raises ConfigError that names the process and what is allowed."""
    seats: dict[str, str] = {}
    for name, process in topology.items():
        _check_name(name)
        if not process.engines:
            raise ConfigError(
                f"topology.{name}.engines was empty, expected some of {', '.join(_ROLES)}"
            )
        for role in process.engines:
            if role in seats:
                raise ConfigError(
                    f"topology.{name}.engines names {role}, which {seats[role]} runs already"
                )
            seats[role] = name
    missing = [role for role in _ROLES if role not in seats]
    if missing:
        raise ConfigError(
            f"topology has no process for {', '.join(missing)}: put each into the engines of one "
            "[topology.NAME]"
        )
    _check_recorder(topology)
    _check_spin(topology)
    _check_end(seats, topology)


def _check_name(name: str) -> None:
    try:
        check_name(name)
    except SegmentError as error:
        raise ConfigError(f"topology.{name}: {error}") from None
    if name in _NAMES_TAKEN:
        raise ConfigError(
            f"topology.{name}: this name belongs to another process of lowlat, choose another"
        )


def _check_recorder(topology: Mapping[str, ProcessConfig]) -> None:
    for name, process in topology.items():
        if RECORDER not in process.engines:
            continue
        if process.engines != (RECORDER,) or name != RECORDER:
            raise ConfigError(
                f"topology.{name}.engines was {list(process.engines)}: the recorder waits for the "
                f"disk, it lives alone in a process named {RECORDER}"
            )
        if process.wait != "park":
            raise ConfigError(f"topology.{name}.wait was '{process.wait}', expected 'park'")


def _check_end(seats: Mapping[str, str], topology: Mapping[str, ProcessConfig]) -> None:
    """Refuse what cannot end in order: signals end before risk, books behind the executor."""
    signals = seats["signals"]
    books = [role for role in topology[signals].engines if role in _UNWINDS_BY]
    if seats["risk"] == seats["executor"] != signals and books:
        raise ConfigError(
            f"topology.{signals}.engines has signals beside {', '.join(books)}, and "
            f"{seats['risk']} has risk beside executor: at the end signals go before risk, and the "
            f"executor needs {', '.join(books)} behind that; give signals or risk another process"
        )


def _check_spin(topology: Mapping[str, ProcessConfig]) -> None:
    """Refuse to spin where another process would have to wait 8 ms for its turn."""
    for name, process in topology.items():
        if process.wait != "spin":
            continue
        if process.core < 0:
            raise ConfigError(
                f"topology.{name}.wait was 'spin' with core = -1: a spinning process needs a core "
                "of its own; name it, or wait = 'yield' or 'park'"
            )
        others = [
            other
            for other, each in topology.items()
            if other != name and each.core in {process.core, -1}
        ]
        if others:
            where = {other: topology[other].core for other in others}
            raise ConfigError(
                f"topology.{name}.wait was 'spin' on core {process.core}, which {', '.join(others)}"
                f" may use as well (core = {', '.join(str(at) for at in where.values())}): pin "
                "them elsewhere, or wait = 'yield' or 'park'"
            )


def check_cores(topology: Mapping[str, ProcessConfig], cores: Collection[int]) -> None:
    """Raise ConfigError for a process on a core that this machine does not give us."""
    for name, process in topology.items():
        if process.core >= 0 and process.core not in cores:
            raise ConfigError(
                f"topology.{name}.core was {process.core}, this machine gives us "
                f"{_span(sorted(cores))}"
            )


def fit_cores(
    topology: Mapping[str, ProcessConfig], cores: Collection[int] | None = None
) -> dict[str, ProcessConfig]:
    """Return the topology on the cores there are: its 0 is our first, and so on.

    Raises ConfigError when it wants more cores than there are.
    """
    have = sorted(os.sched_getaffinity(0) if cores is None else cores)
    most = max((process.core for process in topology.values()), default=-1)
    if most >= len(have):
        raise ConfigError(
            f"this topology needs {most + 1} cores, this machine gives {len(have)}: lower the "
            "cores of [topology.NAME], or take a smaller one (lowlat topology fused)"
        )
    return {
        name: msgspec.structs.replace(process, core=have[process.core])
        if process.core >= 0
        else process
        for name, process in topology.items()
    }


def process_of(topology: Mapping[str, ProcessConfig], role: str) -> str:
    """Return the name of the process that a role lives in."""
    return next(name for name, process in topology.items() if role in process.engines)


def start_after(topology: Mapping[str, ProcessConfig], name: str) -> tuple[str, ...]:
    """Return the processes that must be READY before this one is started.

    Roles that share processes criss-cross may each want the other first: then the one with the
    earlier role starts first, so that nobody waits in a circle.
    """
    wanted = {role for own in topology[name].engines for role in _AFTER.get(own, ())}
    found = {process_of(topology, role) for role in wanted} - {name}
    rank = _rank(topology[name])
    return tuple(each for each in topology if each in found and _rank(topology[each]) < rank)


def _rank(process: ProcessConfig) -> int:
    """Return the place of its earliest role in the order of starting."""
    return min(_ROLES.index(role) for role in process.engines)


def stats_shape_of(roles: Collection[str]) -> StatsShape:
    """Return how much a process with these roles counts: nine of them share 64 MiB with the rest.

    Modules count under names of their own, and several roles share one shape.
    """
    if len(roles) > 1:
        return StatsShape()
    [role] = roles
    if role == RECORDER:
        # What fills were worth later is counted by module, age and time.
        return StatsShape(counters=512, histograms=4, errors=32)
    if role in _FEEDS or role == SETTLEMENT:
        return StatsShape(counters=128, histograms=4, errors=32)
    if role == "executor":
        return StatsShape(counters=256, histograms=16, errors=32)
    return StatsShape(counters=512 if role == "signals" else 256, histograms=8, errors=32)


def _span(cores: list[int]) -> str:
    return "cores " + ", ".join(map(str, cores)) if cores else "no core"
