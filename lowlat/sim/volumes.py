"""Who traded how much in the last 30 days, the rate limits that follow, who met itself. Pure.

What the real venue does about self-trades is not known; here they happen and are flagged.

Source: polymarket.md 12.4.
"""

from typing import Final

from lowlat.core.units import ONE_E4
from lowlat.sim.catalog import Market
from lowlat.sim.exchange import Exchange
from lowlat.sim.limits import Buckets, Tier, tier_of
from lowlat.sim.listener import Listener
from lowlat.sim.trades import Trade

__all__ = ["Volumes"]

DAY_NS: Final = 86_400 * 1_000_000_000
DAYS: Final = 30


class Volumes(Listener):
    """Adds up what each signer's orders traded; generated flow has no signer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._by_owner: dict[str, dict[int, int]] = {}
        self.self_trades: list[Trade] = []
        """Trades with one EOA on both sides, whatever wallets it used."""
        exchange.listeners.append(self)

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Add each party's notional."""
        del market
        day = now_ns // DAY_NS
        accounts = self._exchange.accounts.by_wallet
        for trade in trades:
            taker = accounts[trade.taker.account].owner.lower()
            if trade.taker.owner:
                self._add(taker, day, trade.size_e6 * trade.price_e4 // ONE_E4)
            met_itself = False
            for fill in trade.fills:
                if fill.order.owner:
                    maker = accounts[fill.order.account].owner.lower()
                    self._add(maker, day, fill.size_e6 * fill.order.price_e4 // ONE_E4)
                    met_itself |= maker == taker
            if met_itself:
                self.self_trades.append(trade)

    def tier(self, owner: str, now_ns: int) -> Tier:
        """Return a signer's tier now."""
        days = self._by_owner.get(owner)
        if days is None:
            return tier_of(0)
        return tier_of(sum(e6 for day, e6 in days.items() if day > now_ns // DAY_NS - DAYS))

    def order_buckets(self) -> Buckets:
        """Return the buckets of order entry."""
        config = self._exchange.config

        def terms(owner: str, now_ns: int) -> tuple[str, int, int]:
            tier = self.tier(owner, now_ns)
            if config.order_rate:
                return tier.name, config.order_rate, config.order_burst
            return tier.name, tier.order_rate, tier.order_burst

        return Buckets(terms, warns=config.rate_warnings)

    def cancel_buckets(self) -> Buckets:
        """Return the buckets of cancels."""
        config = self._exchange.config

        def terms(owner: str, now_ns: int) -> tuple[str, int, int]:
            tier = self.tier(owner, now_ns)
            if config.cancel_rate:
                return tier.name, config.cancel_rate, config.cancel_burst
            return tier.name, tier.cancel_rate, tier.cancel_burst

        return Buckets(terms, warns=config.rate_warnings)

    def _add(self, owner: str, day: int, notional_e6: int) -> None:
        days = self._by_owner.setdefault(owner, {})
        days[day] = days.get(day, 0) + notional_e6
