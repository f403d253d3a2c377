"""Make a failing run small: as few of its faults as still break a rule."""

import re
from typing import Final

import msgspec

from lowlat.world.settings import WorldParams
from lowlat.world.world import Outcome, World

__all__ = ["shrink"]

_RUNS_MAX: Final = 24
_NUMBERS: Final = re.compile(r"0x[0-9a-f]+|\d+")


def shrink(failed: Outcome, params: WorldParams, runs_max: int = _RUNS_MAX) -> Outcome:
    """Leave faults out one after the other; return the smallest run that fails the same way."""
    best = failed
    numbers = [int(line[1:].split(" ", 1)[0]) for line in failed.plan]
    if not numbers:
        return best
    runs = 0
    # None at all first: the commonest small case. Late faults matter least often.
    for candidate in [[], *([each] for each in reversed(numbers))]:
        if runs < runs_max // 2 and len(candidate) < len(numbers):
            runs += 1
            found = _fails(failed, params, candidate)
            if found is not None:
                return found
    for number in reversed(numbers):
        if runs >= runs_max:
            break
        runs += 1
        fewer = [each for each in numbers if each != number]
        found = _fails(failed, params, fewer)
        if found is not None:
            best, numbers = found, fewer
    return best


def _fails(failed: Outcome, params: WorldParams, numbers: list[int]) -> Outcome | None:
    chosen = msgspec.structs.replace(params, only=tuple(numbers))
    with World(failed.seed, chosen) as world:
        outcome = world.run(failed.seconds)
    return outcome if _kind(outcome) == _kind(failed) else None


def _kind(outcome: Outcome) -> str:
    return _NUMBERS.sub("n", outcome.violation)
