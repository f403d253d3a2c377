"""What the supervisor runs for a topology: one child a process, in the order of dependency."""

from collections.abc import Mapping, Sequence
from typing import Final

from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.topology import RECORDER, ProcessConfig, process_of, start_after, stats_shape_of

__all__ = ["children_of", "stop_order"]

_HALTS: Final = frozenset({"polymarket", "risk", "executor"})
"""Without their process nothing may be sent: books, checks, or the account are not known."""


def children_of(
    config_path: str,
    topology: Mapping[str, ProcessConfig],
    *,
    after: Sequence[str] = (),
    live: bool = False,
) -> list[ChildSpec]:
    """Return the children of a topology; those that need nobody are started behind ``after``.

    ``live`` lets them trade real money; without it an executor refuses a config of mode live.
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
    return found


def stop_order(topology: Mapping[str, ProcessConfig]) -> tuple[list[str], list[str]]:
    """Return who drains first, while everybody else works, and who ends behind that, in order.

    The executor needs books to unwind and risk to be alive; the recorder writes down the last word.
    """
    executor = process_of(topology, "executor")
    rest = [name for name in reversed(list(topology)) if name not in {executor, RECORDER}]
    return [executor], [*rest, RECORDER]
