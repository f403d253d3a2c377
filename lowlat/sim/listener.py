"""What the exchange tells whoever listens: sockets, flow, tests."""

from typing import Protocol

from lowlat.sim.catalog import Market
from lowlat.sim.ladder import Order
from lowlat.sim.trades import Trade

__all__ = ["Listener"]


class Listener(Protocol):
    """Hears what happens; a listener that inherits hears only what it takes."""

    def on_levels(self, market: Market, changes: list[tuple[bool, int]], now_ns: int) -> None:
        """Hear of levels (is_bid, YES price) changed by a placement or a cancel."""
        del market, changes, now_ns

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Hear that a taker matched; the book changed too."""
        del market, trades, now_ns

    def on_tick(self, market: Market, old_tick_e4: int, now_ns: int) -> None:
        """Hear that the price grid changed."""
        del market, old_tick_e4, now_ns

    def on_new_market(self, market: Market, now_ns: int) -> None:
        """Hear that a market was listed."""
        del market, now_ns

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Hear that a market ended."""
        del market, now_ns

    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """Hear of an API key's order: PLACEMENT, UPDATE or CANCELLATION."""
        del order, kind, status, now_ns

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Hear that a trade with an API key in it changed its status."""
        del trade, now_ns

    def on_move(
        self,
        kind: str,
        wallet: str,
        market: Market,
        size_e6: int,
        cash_e6: int,
        now_ns: int,
        transaction: str,
    ) -> None:
        """Hear of SPLIT, MERGE, REDEEM or CONVERSION: tokens and cash that no trade moved."""
        del kind, wallet, market, size_e6, cash_e6, now_ns, transaction
