"""Many seeds in parallel processes: each world alone in its own, results as they come.

A world is one thread; worlds share nothing, so each core lives through its own. What fails is made
small where it failed, and says the command that shows it again.
"""

import gc
import multiprocessing
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Final, NamedTuple, Self

import msgspec

from lowlat.core.errors import ConfigError, LowlatError
from lowlat.core.units import E6
from lowlat.world.faults import KINDS
from lowlat.world.settings import WorldParams
from lowlat.world.shrink import shrink
from lowlat.world.world import Outcome, World

__all__ = [
    "FailedSeed",
    "Finding",
    "Lived",
    "Totals",
    "cores",
    "live",
    "read_failed_seeds",
    "read_params",
    "read_seeds",
    "run_seeds",
]

_COLLECT: Final = (50_000, 20, 1_000)
"""Of the collector's three generations, as ``gc.set_threshold`` takes them."""
_NEW_BITS: Final = 31
_SEEDS_A_DAY: Final = 10_000
_COUNTED: Final = ("steps", "orders", "fills", "signals", "decisions", "crashes", "reboots")


class Lived(NamedTuple):
    """What became of a seed; ``small`` is the same failure with fewer faults, if it failed."""

    outcome: Outcome
    small: Outcome | None


class Finding(msgspec.Struct, frozen=True):
    """A broken rule, by the fewest faults that still break it, and how to see it again."""

    seed: int
    violation: str
    command: str
    plan: list[str]
    trace: list[str]

    @classmethod
    def of(cls, small: Outcome, params: WorldParams) -> Self:
        """Put a failing run into words."""
        numbers = ",".join(line[1:].split(" ", 1)[0] for line in small.plan) or "none"
        rich = params.bankroll_e6 == WorldParams().bankroll_e6
        bankroll = "" if rich else f"--bankroll {params.bankroll_e6 // E6} "
        command = (
            f"lowlat world --seeds {small.seed} --seconds {small.seconds:g} --only {numbers} "
            f"{bankroll}--no-shrink"
        )
        return cls(small.seed, small.violation, command, small.plan, small.trace)


class Totals:
    """Sums over seeds that were lived through with the same parameters."""

    def __init__(self, params: WorldParams) -> None:
        self._params = params
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.findings: list[Finding] = []

    def add(self, lived: Lived) -> None:
        """Take in one seed."""
        outcome = lived.outcome
        counts = self.counts
        counts["seeds"] += 1
        counts["virtual_s"] += round(outcome.virtual_s)
        for name in _COUNTED:
            counts[name] += getattr(outcome, name)
        counts["compared"] += outcome.compared
        counts["violations"] += bool(outcome.violation)
        self.faults.update(outcome.faults)
        if outcome.violation:
            self.findings.append(Finding.of(lived.small or outcome, self._params))


class FailedSeed(NamedTuple):
    """A line of the file of seeds that once failed."""

    seed: int
    seconds: float
    only: tuple[int, ...] | None
    what: str
    bankroll_e6: int = WorldParams().bankroll_e6

    @property
    def params(self) -> WorldParams:
        """What it was lived through with."""
        return WorldParams(only=self.only, bankroll_e6=self.bankroll_e6)


def read_seeds(text: str) -> range:
    """Read ``FIRST:LAST``, one number, ``new:COUNT`` or ``today:COUNT``; raises ConfigError.

    New ones were never seen before; those of today are other ones each day (UTC).
    """
    first, _, last = text.partition(":")
    begins = {"new": _new_seed, "today": _seed_of_today}
    try:
        begin = begins[first]() if first in begins else int(first)
        found = range(begin, begin + int(last) if first in begins else int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found or found[0] < 0:
        raise ConfigError(
            f"--seeds was {text!r}, expected FIRST:LAST (the smaller first), a number, new:COUNT "
            "or today:COUNT"
        )
    return found


def _new_seed() -> int:
    return secrets.randbits(_NEW_BITS)


def _seed_of_today() -> int:
    return int(time.strftime("%Y%m%d", time.gmtime())) * _SEEDS_A_DAY


def read_params(faults: str, only: str, bankroll: int = 0) -> WorldParams:
    """Turn names and numbers of faults into parameters; raises ConfigError."""
    kinds = {"all": KINDS, "none": ()}.get(faults)
    if kinds is None:
        kinds = tuple(faults.split(","))
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ConfigError(f"--faults names {', '.join(unknown)}, allowed: {', '.join(KINDS)}")
    bankroll_e6 = bankroll * E6 or WorldParams().bankroll_e6
    return WorldParams(kinds=kinds, only=_numbers(only) if only else None, bankroll_e6=bankroll_e6)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(each) for each in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--only was {text!r}, expected numbers of faults with commas between, or none"
        ) from None


def read_failed_seeds(lines: Iterable[str]) -> list[FailedSeed]:
    """Read lines ``SEED SECONDS FAULTS words``; FAULTS are numbers, ``all`` or ``none``.

    SEED may be ``SEED@DOLLARS``: with a bankroll of so much.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, seconds, only, what = line.split(maxsplit=3)
            seed, _, dollars = name.partition("@")
            numbers = None if only == "all" else _numbers(only)
            failed = FailedSeed(int(seed), float(seconds), numbers, what.strip())
            found.append(failed._replace(bankroll_e6=int(dollars) * E6) if dollars else failed)
        except ValueError:
            raise ConfigError(
                f"failed seeds, line {number}: {line.strip()!r}, expected SEED SECONDS FAULTS words"
            ) from None
    return found


def live(seed: int, seconds: float, params: WorldParams, *, shrinks: bool) -> Lived:
    """Live through one seed; make it small if it fails and that is wanted."""
    with _collected_rarely():
        outcome = _outcome(seed, seconds, params)
        small = shrink(outcome, params) if outcome.violation and shrinks else None
    return Lived(outcome, small)


def _outcome(seed: int, seconds: float, params: WorldParams) -> Outcome:
    """Live through one seed; behind it nothing holds its world, and all of it can be collected."""
    with World(seed, params) as world:
        return world.run(seconds)


@contextmanager
def _collected_rarely() -> Iterator[None]:
    """Look for garbage seldom while a world lives, and at all of it once it is over.

    A tenth of its time goes into looking otherwise; never to look costs as much in fresh memory.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.collect()
        gc.unfreeze()


def run_seeds(
    seeds: Sequence[int], seconds: float, params: WorldParams, *, jobs: int, shrinks: bool
) -> Iterator[Lived]:
    """Yield each seed's end as it comes; ``jobs`` 1 stays in this process.

    Raises LowlatError when a process dies: no rule can tell then which seed did it.
    """
    if jobs == 1 or len(seeds) == 1:
        for seed in seeds:
            yield live(seed, seconds, params, shrinks=shrinks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=context)
    try:
        futures: list[Future[Lived]] = [
            pool.submit(live, seed, seconds, params, shrinks=shrinks) for seed in seeds
        ]
        for done in as_completed(futures):
            yield done.result()
    except BrokenProcessPool as error:
        raise LowlatError(
            f"world: one of {jobs} processes died; run with --jobs 1 to see where"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))
