"""What goes wrong and when: a plan drawn from the seed before the first step, and its windows.

A plan is a list of numbered faults; a failing run is made small by leaving faults out. Chance
inside a window comes from the world's own sources, so leaving one fault out changes what follows
but never when another begins.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

__all__ = ["INSTANTS", "KINDS", "WINDOWS", "Fault", "Windows", "draw_plan"]

MS: Final = 1_000_000
INSTANTS: Final = (
    "user_drop",
    "market_drop",
    "prices_drop",
    "binance_drop",
    "crash",
    "crash_store",
    "recorder_crash",
    "reboot",
    "settlement_failed",
    "settlement_retry",
    "wall_step",
    "tick_change",
    "resolution",
    "stale_cross",
)
"""Drops of a socket, deaths (between effects, inside a record, of the recorder, of the machine),
trades that fail or retry, a wall clock that steps, a market that changes its grid or ends,
a message that shows YES and NO under a dollar, of an ask that is long gone."""
WINDOWS: Final = (
    "user_loss",
    "user_copy",
    "user_delay",
    "market_delay",
    "market_loss",
    "market_copy",
    "answer_lost",
    "request_lost",
    "request_late",
    "partial_write",
    "fetch_failed",
    "restart",
    "error",
    "rate_limited",
    "cancel_only",
    "disabled",
    "freeze",
    "slow",
    "stall",
    "disk_full",
    "recorder_slow",
    "halt",
)
"""Hold for a while. The venue's own: restart to freeze. ``stall``: the engine process stands still;
``halt``: a person halts, and resumes at its end."""
KINDS: Final = INSTANTS + WINDOWS
_RARE: Final = frozenset(
    {"reboot", "restart", "freeze", "rate_limited", "error", "cancel_only", "disabled", "halt"}
)


class Fault(NamedTuple):
    """One planned fault: ``share`` of what passes is hit, ``draw`` is a number to use at will."""

    number: int
    kind: str
    at_ns: int
    """From the start of the run."""
    for_ns: int
    share: float
    draw: int

    def __str__(self) -> str:
        lasts = f" for {self.for_ns / 1e9:.3f} s ({self.share:.0%})" if self.for_ns else ""
        return f"#{self.number} {self.kind} at {self.at_ns / 1e9:.3f} s{lasts}"


def draw_plan(
    seed: int, length_ns: int, every_ns: int, kinds: Sequence[str], only: Sequence[int] | None
) -> list[Fault]:
    """Return the faults of a seed in order of time; ``only`` keeps those numbers."""
    rng = Random(f"{seed}|plan")  # noqa: S311 - simulation, not secrets
    weighted = [kind for kind in KINDS for _ in range(1 if kind in _RARE else 3)]
    plan: list[Fault] = []
    at_ns, number = 0, 0
    while True:
        at_ns += int(rng.expovariate(1.0) * every_ns) + MS
        if at_ns >= length_ns:
            return plan
        number += 1
        kind = rng.choice(weighted)
        for_ns = rng.randint(50, 4000) * MS if kind in WINDOWS else 0
        share = rng.choice((0.1, 0.5, 1.0))
        draw = rng.getrandbits(32)
        if kind in kinds and (only is None or number in only):
            plan.append(Fault(number, kind, at_ns, for_ns, share, draw))


class Windows:
    """Which windows are open now, and one draw for each thing that passes."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._open: dict[str, tuple[int, float]] = {}
        self.hits: dict[str, int] = {}

    def open(self, kind: str, until_ns: int, share: float) -> None:
        """Open a window; a later end wins."""
        before_ns, _ = self._open.get(kind, (0, 0.0))
        self._open[kind] = (max(before_ns, until_ns), share)

    def hit(self, kind: str, now_ns: int) -> bool:
        """Draw whether what passes now is hit."""
        window = self._open.get(kind)
        if window is None:
            return False
        until_ns, share = window
        if now_ns >= until_ns:
            del self._open[kind]
            return False
        struck = self._rng.random() < share
        if struck:
            self.count(kind)
        return struck

    def count(self, kind: str) -> None:
        """Count a fault that struck."""
        self.hits[kind] = self.hits.get(kind, 0) + 1

    def clear(self) -> None:
        """Close every window."""
        self._open.clear()
