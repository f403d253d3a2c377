"""Bid one tick above the best bid where the spread is wide: an example, not a strategy."""

from typing import Any, ClassVar

import msgspec

from lowlat.book._view import BookView
from lowlat.core.layout import Action, MarketRow, MarketStatus, Outcome, Urgency
from lowlat.core.signal import Signal
from lowlat.signals.module import Module

__all__ = ["SpreadWatch", "SpreadWatchParams"]

YES = int(Outcome.YES)
"""Plain integers in what runs per tick: arithmetic with enum members is twenty times slower."""


class SpreadWatchParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Its part of the config: ``[modules.spread_watch]``."""

    spread_e4_min: int = 400
    size_e6: int = 10_000_000
    rest_ms: int = 5_000
    """How long a wish is good; also the pause a market gets after one."""


class SpreadWatch(Module):
    """Joins the bid of YES where bid and ask are far apart."""

    name: ClassVar[str] = "spread_watch"
    Params: ClassVar[type[msgspec.Struct]] = SpreadWatchParams
    params: SpreadWatchParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._next_ns: dict[int, int] = {}

    def interest(self, row: MarketRow) -> bool:
        """Want every active market."""
        return row.status == MarketStatus.ACTIVE

    def on_gone(self, market: int) -> None:
        """Forget the market's pause."""
        self._next_ns.pop(market, None)

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Wish for a bid a tick above the best one when the spread is wide enough."""
        bid_e4 = book.best_bid_e4(YES)
        ask_e4 = book.best_ask_e4(YES)
        if bid_e4 < 0 or ask_e4 < 0 or ask_e4 - bid_e4 < self.params.spread_e4_min:
            return
        market = book.market
        if now_ns < self._next_ns.get(market, 0):
            return
        price_e4 = bid_e4 + book.tick_e4
        instrument = self.ctx.instruments.by_index[2 * market + YES]
        half_spread = (ask_e4 - price_e4) / 2 / 10_000
        emitted = self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=0.5,
                # Half of such bids fill, and a fill earns half of the spread: be honest here,
                # because risk ranks by this number.
                expected_value=0.5 * half_spread * self.params.size_e6 / 1e6,
                size_suggestion=self.params.size_e6,
                urgency=Urgency.LOW,
                metadata={"spread_e4": ask_e4 - bid_e4},
                limit_price_e4=price_e4,
                expires_ns=now_ns + self.params.rest_ms * 1_000_000,
            )
        )
        if emitted:
            self._next_ns[market] = now_ns + self.params.rest_ms * 1_000_000
