"""One integer ladder a market, in YES terms: price levels, first in first out, no I/O.

Buying YES at p and selling NO at 1 - p are bids at p; selling YES at p and buying NO at 1 - p are
asks at p. That one rule gives complementary, mint and merge matches. Source: polymarket.md 12.1.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from lowlat.core.units import ONE_E4

__all__ = ["BUY", "NO", "SELL", "YES", "Ladder", "Order", "ceil_cash_e6", "floor_cash_e6"]

BUY: Final = 0
SELL: Final = 1
YES: Final = 0
NO: Final = 1


class Order:
    """One order inside the venue; ``price_e4`` in terms of its own token."""

    __slots__ = (
        "account",
        "announced",
        "builder",
        "canceled",
        "created_ns",
        "expiration_s",
        "id",
        "is_bid",
        "maker_amount_e6",
        "market",
        "order_type",
        "outcome",
        "owner",
        "post_only",
        "price_e4",
        "remaining_e6",
        "reserved_e6",
        "side",
        "size_e6",
        "state",
        "trades",
        "yes_price_e4",
    )

    def __init__(
        self,
        order_id: str,
        account: str,
        owner: str,
        market: int,
        outcome: int,
        side: int,
        price_e4: int,
        size_e6: int,
        order_type: str,
    ) -> None:
        self.id = order_id
        self.account = account
        self.owner = owner
        self.market = market
        self.outcome = outcome
        self.side = side
        self.price_e4 = price_e4
        self.size_e6 = size_e6
        self.remaining_e6 = size_e6
        self.order_type = order_type
        self.yes_price_e4 = price_e4 if outcome == YES else ONE_E4 - price_e4
        self.is_bid = (side == BUY) == (outcome == YES)
        self.maker_amount_e6 = 0
        self.reserved_e6 = 0
        self.expiration_s = 0
        self.post_only = False
        self.created_ns = 0
        self.builder = ""
        self.announced = False
        """The user channel heard of it before it matched or rested."""
        self.state = "NEW"
        self.canceled = ""
        self.trades: list[str] = []

    @property
    def is_market(self) -> bool:
        """FOK and FAK: a BUY spends dollars."""
        return self.order_type in {"FOK", "FAK"}

    @property
    def matched_e6(self) -> int:
        """Shares filled so far (a market BUY may fill more than it asked for)."""
        return self.size_e6 - self.remaining_e6


class Ladder:
    """Resting orders of one market, price-time priority."""

    __slots__ = ("_ask_prices", "_bid_prices", "asks", "bids")

    def __init__(self) -> None:
        self.bids: dict[int, dict[str, Order]] = {}
        self.asks: dict[int, dict[str, Order]] = {}
        self._bid_prices: list[int] = []
        self._ask_prices: list[int] = []

    def best_bid_e4(self) -> int | None:
        """Return the highest bid in YES terms."""
        return self._bid_prices[-1] if self._bid_prices else None

    def best_ask_e4(self) -> int | None:
        """Return the lowest ask in YES terms."""
        return self._ask_prices[0] if self._ask_prices else None

    def add(self, order: Order) -> None:
        """Rest an order behind the others of its level. It must not cross."""
        levels, prices = self._side(is_bid=order.is_bid)
        level = levels.get(order.yes_price_e4)
        if level is None:
            level = levels[order.yes_price_e4] = {}
            insort(prices, order.yes_price_e4)
        level[order.id] = order

    def remove(self, order: Order) -> None:
        """Take an order out, wherever it stands."""
        levels, prices = self._side(is_bid=order.is_bid)
        level = levels[order.yes_price_e4]
        del level[order.id]
        if not level:
            del levels[order.yes_price_e4]
            del prices[bisect_left(prices, order.yes_price_e4)]

    def crosses(self, *, is_bid: bool, yes_price_e4: int) -> bool:
        """Say whether an order at this price would match at once."""
        if is_bid:
            return bool(self._ask_prices) and self._ask_prices[0] <= yes_price_e4
        return bool(self._bid_prices) and self._bid_prices[-1] >= yes_price_e4

    def opposite(self, *, is_bid: bool, limit_yes_e4: int) -> Iterator[Order]:
        """Walk the orders a taker would meet, best price first, oldest first, up to its limit."""
        if is_bid:
            for price in self._ask_prices:
                if price > limit_yes_e4:
                    return
                yield from self.asks[price].values()
        else:
            for price in reversed(self._bid_prices):
                if price < limit_yes_e4:
                    return
                yield from self.bids[price].values()

    def size_at_e6(self, *, is_bid: bool, yes_price_e4: int) -> int:
        """Return the total resting at one level."""
        level = (self.bids if is_bid else self.asks).get(yes_price_e4)
        return sum(order.remaining_e6 for order in level.values()) if level else 0

    def bid_levels(self) -> list[tuple[int, int]]:
        """Return (YES price, total) with prices ascending: the best is last."""
        return [(p, self.size_at_e6(is_bid=True, yes_price_e4=p)) for p in self._bid_prices]

    def ask_levels(self) -> list[tuple[int, int]]:
        """Return (YES price, total) with prices ascending: the best is first."""
        return [(p, self.size_at_e6(is_bid=False, yes_price_e4=p)) for p in self._ask_prices]

    def orders(self) -> list[Order]:
        """Return every resting order."""
        return [
            order
            for levels in (self.bids, self.asks)
            for level in levels.values()
            for order in level.values()
        ]

    def _side(self, *, is_bid: bool) -> tuple[dict[int, dict[str, Order]], list[int]]:
        return (self.bids, self._bid_prices) if is_bid else (self.asks, self._ask_prices)


def ceil_cash_e6(price_e4: int, size_e6: int) -> int:
    """Cash for size at price, a fraction of a base unit rounded up."""
    return -(-price_e4 * size_e6 // ONE_E4)


def floor_cash_e6(price_e4: int, size_e6: int) -> int:
    """Cash for size at price, a fraction of a base unit rounded down."""
    return price_e4 * size_e6 // ONE_E4
