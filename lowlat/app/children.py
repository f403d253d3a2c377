"""What the supervisor runs for a topology: one child a process, in the order of dependency."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.names import SETTLEMENT
from lowlat.app.topology import RECORDER, ProcessConfig, process_of, start_after, stats_shape_of

__all__ = ["StopOrder", "children_of", "roles_of", "stop_order"]

_HALTS: Final = frozenset({"polymarket", "risk", "executor"})
"""Without their process nothing may be sent: books, checks, or the account are not known."""
_SETTLEMENT_HANG_S: Final = 30.0
"""Its heartbeat is late by itself when a round does not get on, see settling.py."""


def children_of(
    config_path: str,
    topology: Mapping[str, ProcessConfig],
    *,
    after: Sequence[str] = (),
    live: bool = False,
    settles: bool = False,
) -> list[ChildSpec]:
    """Return the children of a topology; those that need nobody are started behind ``after``.

    ``live`` lets them trade real money; without it an executor refuses a config of mode live.
    ``settles``: with the process that merges and redeems.
    """
    found = []
    for name, process in topology.items():
        arguments = ("--config", config_path)
        if name == RECORDER:
            argv = module_argv("lowlat.app.recorder", *arguments)
        else:
            flags = ("--live",) if live else ()
            argv = module_argv("lowlat.app.engine", *arguments, "--process", name, *flags)
        found.append(
            ChildSpec(
                name,
                argv,
                trades=not _HALTS.isdisjoint(process.engines),
                hang_s=process.hang_ms / 1000,
                stopped_s=process.stopped_ms / 1000,
                after=(*after, *start_after(topology, name)),
                stats=stats_shape_of(process.engines),
            )
        )
    if settles:
        found.append(
            ChildSpec(
                SETTLEMENT,
                module_argv("lowlat.app.settling", "--config", config_path),
                vital=False,
                hang_s=_SETTLEMENT_HANG_S,
                # It plans from the ledger, which the recorder makes.
                after=(*after, RECORDER),
                stats=stats_shape_of((SETTLEMENT,)),
            )
        )
    return found


def roles_of(
    topology: Mapping[str, ProcessConfig], *, settles: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return what each process that takes config generations does."""
    found: dict[str, tuple[str, ...]] = {name: each.engines for name, each in topology.items()}
    return found | ({SETTLEMENT: (SETTLEMENT,)} if settles else {})


class StopOrder(NamedTuple):
    """Who ends when, each behind the one before; the names are all of a topology's processes."""

    ahead: list[str]
    """Nobody, or signals: where risk ends with the executor, nobody would decide them later."""
    executor: str
    """Drains: it needs books to unwind."""
    rest: list[str]
    """Signals before risk, which decides all of them; the recorder writes down the last word."""


def stop_order(topology: Mapping[str, ProcessConfig], *, settles: bool = False) -> StopOrder:
    """Return who ends when, such that nothing is left open, undecided or unwritten."""
    executor, risk, signals = (process_of(topology, r) for r in ("executor", "risk", "signals"))
    ahead = [signals] if risk == executor != signals else []
    rest = [name for name in reversed(list(topology)) if name not in {executor, RECORDER, *ahead}]
    # A person may have listed them in any order.
    rest.sort(key=lambda name: name == risk != signals)
    return StopOrder(ahead, executor, [*([SETTLEMENT] if settles else []), *rest, RECORDER])
