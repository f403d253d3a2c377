"""Locked capital as the settlement process says it and as screens read it: gauges by name."""

from typing import TYPE_CHECKING, Final, NamedTuple

from lowlat.app.machine import Metrics
from lowlat.app.names import SETTLEMENT
from lowlat.app.telemetry import Reading
from lowlat.shm.stats import ErrorTable

if TYPE_CHECKING:
    # Screens read the gauges; the service behind them loads a database.
    from lowlat.app.settlement import Round

__all__ = ["Locked", "RoundMeters", "locked"]

_HELD: Final = "settlement.held_cost_e6"
_MERGEABLE: Final = "settlement.mergeable_e6"
_REDEEMABLE: Final = "settlement.redeemable_e6"
_SKIPPED: Final = "settlement.skipped"
_STOPPED: Final = "settlement.stopped"
_KNOWN_NS: Final = "settlement.known_ns"
"""When the amounts were read; 0: they are not known."""
_STATES: Final = ("proven", "confirmed", "failed", "differs")
"""How a step can end, see settlement.py."""


class Locked(NamedTuple):
    """Money that is not free, as of the last whole round."""

    held_cost_e6: int
    """What modules paid for everything they hold."""
    mergeable_e6: int
    redeemable_e6: int
    skipped: int
    """Conditions that could be settled but are left alone; the log says why."""
    stopped: bool
    """Nothing is moved until a person resumes."""
    known_ns: int


class RoundMeters:
    """Written by the settlement process alone, in its main thread."""

    def __init__(self, metrics: Metrics, errors: ErrorTable) -> None:
        self._errors = errors
        self._gauges = {
            name: metrics.gauge(name)
            for name in (_HELD, _MERGEABLE, _REDEEMABLE, _SKIPPED, _STOPPED, _KNOWN_NS)
        }
        self._rounds = metrics.cell("settlement.rounds")
        self._problems = metrics.cell("settlement.problems")
        self._steps = {state: metrics.cell(f"settlement.{state}") for state in _STATES}
        # The last life's amounts are not ours.
        self._gauges[_KNOWN_NS].set(0)
        self._seen = 0

    def show(self, count: int, found: "Round | None", stopped: str, now_ns: int) -> None:
        """Write down a round that is new; what it could not read stays what it was."""
        self._gauges[_STOPPED].set(int(bool(stopped)))
        if found is None or count == self._seen:
            return
        self._rounds.add(count - self._seen)
        self._seen = count
        for note in found.done:
            self._steps[note.state].add(1)
        if found.problem:
            self._problems.add(1)
            self._errors.record(f"settlement: {found.problem}", now_ns)
        if found.planned:
            capital = found.plan.capital
            self._gauges[_HELD].set(capital.held_cost_e6)
            self._gauges[_MERGEABLE].set(capital.mergeable_e6)
            self._gauges[_REDEEMABLE].set(capital.redeemable_e6)
            self._gauges[_SKIPPED].set(len(found.plan.skipped))
            self._gauges[_KNOWN_NS].set(now_ns)


def locked(reading: Reading) -> Locked | None:
    """Return what is locked; None when nobody settles or nothing was read yet."""
    gauges = reading.gauges.get(SETTLEMENT, {})
    known_ns = gauges.get(_KNOWN_NS, 0)
    if not known_ns:
        return None
    return Locked(
        gauges[_HELD],
        gauges[_MERGEABLE],
        gauges[_REDEEMABLE],
        gauges[_SKIPPED],
        bool(gauges[_STOPPED]),
        known_ns,
    )
