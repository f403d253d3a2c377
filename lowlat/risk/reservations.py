"""Own orders as risk knows them: what each still holds, from intent to last report.

Owned by risk. An intent holds its cash from the moment it is published; the executor's reports
say what its order holds after that (``reserved_e6``), so both sides count the same amount.
"""

from lowlat.core.layout import Action, OrderState, Outcome
from lowlat.core.units import ONE_E4
from lowlat.risk._kernel import OwnOrder

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


class OwnOrders:
    """All of them, by intent and by market."""

    def __init__(self) -> None:
        self.by_intent: dict[int, OwnOrder] = {}
        self.by_market: dict[int, list[OwnOrder]] = {}
        self.groups: dict[int, GroupHold] = {}
        self.reserve_e6 = 0
        """Sum of the groups' reserves."""

    def __len__(self) -> int:
        return len(self.by_intent)

    def add(self, order: OwnOrder) -> None:
        """Count an order in."""
        self.by_intent[order.intent] = order
        orders = self.by_market.get(order.market)
        if orders is None:
            self.by_market[order.market] = [order]
        else:
            orders.append(order)

    def remove(self, order: OwnOrder) -> None:
        """Count an order out."""
        del self.by_intent[order.intent]
        orders = self.by_market[order.market]
        orders.remove(order)
        if not orders:
            del self.by_market[order.market]

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
        orders = self.by_market.get(market)
        if not orders:
            return None
        buys, yes_e4 = yes_terms(outcome, action, price_e4)
        for order in orders:
            other_buys, other_e4 = yes_terms(order.outcome, order.action, order.price_e4)
            if buys != other_buys and (yes_e4 >= other_e4 if buys else yes_e4 <= other_e4):
                return order
        return None


def yes_terms(outcome: int, action: int, price_e4: int) -> tuple[bool, int]:
    """Put an order in YES terms: buying NO at q is selling YES at 1 - q."""
    if outcome == Outcome.YES:
        return action == Action.BUY, price_e4
    return action != Action.BUY, ONE_E4 - price_e4
