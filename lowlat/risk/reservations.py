"""Own orders as risk knows them: what each still holds, from intent to last report.

Owned by risk. An intent holds its cash from the moment it is published; the executor's reports
say what its order holds after that (``reserved_e6``), so both sides count the same amount.
"""

from lowlat.core.layout import Action, OrderState, Outcome
from lowlat.core.units import ONE_E4
from lowlat.risk._orders import OrderCells, OwnOrder

__all__ = ["TERMINAL", "GroupHold", "OwnOrder", "OwnOrders", "yes_terms"]

TERMINAL = frozenset(
    {
        OrderState.MATCHED,
        OrderState.UNMATCHED,
        OrderState.REJECTED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
    }
)


class GroupHold:
    """Cash kept to undo the legs of a group, until the group ends."""

    __slots__ = ("filled", "legs_open", "reserve_e6")

    def __init__(self, legs: int, reserve_e6: int) -> None:
        self.legs_open = legs
        self.reserve_e6 = reserve_e6
        self.filled = False


class OwnOrders(OrderCells):
    """All of them, by intent; and what their groups hold."""

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: dict[int, GroupHold] = {}

    def open_group(self, group: int, legs: int, reserve_e6: int) -> None:
        """Keep cash for a group before its first leg is sent."""
        self.groups[group] = GroupHold(legs, reserve_e6)
        self.reserve_e6 += reserve_e6

    def close_group(self, group: int) -> None:
        """Give the group's reserve back; nothing when it is closed already."""
        hold = self.groups.pop(group, None)
        if hold is not None:
            self.reserve_e6 -= hold.reserve_e6

    def crossing(self, market: int, outcome: int, action: int, price_e4: int) -> OwnOrder | None:
        """Return an own order that this one would trade with, in either token. Source: design 8."""
        if not self.orders_in(market):
            return None
        buys, yes_e4 = yes_terms(outcome, action, price_e4)
        for order in self:
            if order.market != market:
                continue
            other_buys, other_e4 = yes_terms(order.outcome, order.action, order.price_e4)
            if buys != other_buys and (yes_e4 >= other_e4 if buys else yes_e4 <= other_e4):
                return order
        return None


def yes_terms(outcome: int, action: int, price_e4: int) -> tuple[bool, int]:
    """Put an order in YES terms: buying NO at q is selling YES at 1 - q."""
    if outcome == Outcome.YES:
        return action == Action.BUY, price_e4
    return action != Action.BUY, ONE_E4 - price_e4
