"""Lots of one token: who opened them, what is left of them, and what closing them brought. Pure.

FIFO, but a module's sale takes its own lots first: nobody's exit plan is eaten by another while
its own shares are there. A fill that fails afterwards takes its shares back out of its own lot.
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "CROSSED",
    "EXIT_PLANS",
    "FAILED",
    "HUMAN",
    "RECONCILED",
    "SOLD",
    "UNKNOWN",
    "Closing",
    "Lot",
    "TokenLots",
]

HUMAN = "human"
"""Owner of what no order of ours brought: a person, on the same wallet."""
UNKNOWN = "unknown"
"""Owner of what was there before the ledger began."""
EXIT_PLANS = ("resolution", "target", "time", "stop", "thesis")
"""How a module means to end a lot: hold to resolution, at a price, at a time, at a loss, or when
its reason is gone."""
SOLD = "sold"
CROSSED = "crossed"
"""Handed to another module, inside."""
FAILED = "failed"
RECONCILED = "reconciled"


@dataclass(slots=True)
class Lot:
    """Shares that one fill brought. ``key`` is the ledger's, 0 until it is written."""

    owner: str
    order_id: str
    trade_id: str
    group_id: int
    opened_wall_ms: int
    size_e6: int
    cost_e6: int
    left_e6: int
    left_cost_e6: int
    exit_plan: str = "resolution"
    key: int = 0


@dataclass(frozen=True, slots=True)
class Closing:
    """Shares that left a lot: their share of its cost, and what they brought net of fees."""

    lot: Lot
    why: str
    order_id: str
    trade_id: str
    wall_ms: int
    size_e6: int
    cost_e6: int
    proceeds_e6: int


class TokenLots:
    """Open lots of a token, oldest first."""

    def __init__(self, lots: list[Lot]) -> None:
        self.open = lots

    @property
    def size_e6(self) -> int:
        """Shares in all open lots."""
        return sum(lot.left_e6 for lot in self.open)

    def buy(self, lot: Lot) -> Lot:
        """Take a new lot in; more of a fill that is known grows its lot. Return that lot."""
        for known in self.open if lot.order_id else ():
            if (known.order_id, known.trade_id) == (lot.order_id, lot.trade_id):
                known.size_e6 += lot.size_e6
                known.cost_e6 += lot.cost_e6
                known.left_e6 += lot.left_e6
                known.left_cost_e6 += lot.left_cost_e6
                return known
        self.open.append(lot)
        return lot

    def close(
        self,
        why: str,
        fill: tuple[str, str],
        owner: str,
        wall_ms: int,
        size_e6: int,
        proceeds_e6: int,
    ) -> list[Closing]:
        """Take shares out; the rest that no lot holds is left out, and is the caller's to say.

        ``fill``: order and trade that took them. Proceeds are shared out by size; the last
        closing takes the rest of the division, so they add up.
        """
        closings = []
        wanted_e6, brought_e6 = size_e6, proceeds_e6
        for lot in list(self._order(why, fill, owner)):
            if wanted_e6 <= 0:
                break
            taken_e6 = min(lot.left_e6, wanted_e6)
            cost_e6 = lot.left_cost_e6 * taken_e6 // lot.left_e6
            share_e6 = brought_e6 * taken_e6 // wanted_e6
            wanted_e6 -= taken_e6
            brought_e6 -= share_e6
            lot.left_e6 -= taken_e6
            lot.left_cost_e6 -= cost_e6
            closings.append(Closing(lot, why, *fill, wall_ms, taken_e6, cost_e6, share_e6))
        self.open = [lot for lot in self.open if lot.left_e6 > 0]
        return closings

    def _order(self, why: str, fill: tuple[str, str], owner: str) -> Iterator[Lot]:
        if why == FAILED:
            own = [lot for lot in self.open if (lot.order_id, lot.trade_id) == fill]
        else:
            own = [lot for lot in self.open if lot.owner == owner]
        yield from own
        if why == CROSSED:
            return
        yield from (lot for lot in self.open if all(lot is not each for each in own))
