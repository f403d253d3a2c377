"""Trades and their settlement: MATCHED, then MINED, CONFIRMED, or RETRYING, FAILED and reversed.

Debits are taken at the match, credits paid when mined. Pure: time comes with the timers, chance
with the random source. Source: polymarket.md 5.6, 12.5.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from lowlat.sim.accounts import Accounts, Transfer
from lowlat.sim.catalog import Market
from lowlat.sim.config import SimConfig
from lowlat.sim.faults import Faults
from lowlat.sim.ladder import Order
from lowlat.sim.timers import Timers

__all__ = ["MakerFill", "Settlement", "Trade"]

MS: Final = 1_000_000


class MakerFill:
    """A maker's part of a trade."""

    __slots__ = ("order", "size_e6")

    def __init__(self, order: Order, size_e6: int) -> None:
        self.order = order
        self.size_e6 = size_e6


class Trade:
    """All fills of one taker at one price: the price is exact, the makers may be several."""

    __slots__ = (
        "bucket_index",
        "fee_e6",
        "fills",
        "id",
        "market",
        "match_ns",
        "minted_e6",
        "price_e4",
        "size_e6",
        "status",
        "taker",
        "transaction_hash",
        "transfers",
        "updated_ns",
    )

    def __init__(
        self, trade_id: str, market: Market, taker: Order, price_e4: int, bucket_index: int
    ) -> None:
        self.id = trade_id
        self.market = market
        self.taker = taker
        self.price_e4 = price_e4
        """In terms of the taker's token."""
        self.bucket_index = bucket_index
        self.size_e6 = 0
        self.fee_e6 = 0
        self.minted_e6 = 0
        self.fills: list[MakerFill] = []
        self.transfers: list[Transfer] = []
        self.status = "MATCHED"
        self.transaction_hash = ""
        self.match_ns = 0
        self.updated_ns = 0

    def parties(self) -> set[str]:
        """Return the API keys of everyone in it; generated flow has none."""
        return {self.taker.owner, *(fill.order.owner for fill in self.fills)} - {""}

    def wallets(self) -> set[str]:
        """Return the wallets of everyone in it, lower case."""
        return {self.taker.account, *(fill.order.account for fill in self.fills)}


class Settlement:
    """Carries matched trades to their end."""

    def __init__(
        self,
        config: SimConfig,
        accounts: Accounts,
        timers: Timers,
        rng: Random,
        faults: Faults,
        on_trade: Callable[[Trade, int], None],
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._timers = timers
        self._rng = rng
        self._faults = faults
        self._on_trade = on_trade
        self._pending_count: dict[int, int] = {}
        self.matched = 0
        self.failed = 0

    def pending(self, market: int) -> int:
        """Return how many trades of a market are not yet mined or reversed."""
        return self._pending_count.get(market, 0)

    def take(self, trade: Trade, now_ns: int) -> None:
        """Book a fresh match and plan its settlement; flow against flow settles at once."""
        self._accounts.match(trade.transfers, trade.market.index, trade.minted_e6, trade.fee_e6)
        self.matched += 1
        if not trade.parties():
            self._accounts.settle(trade.transfers)
            trade.status = "CONFIRMED"
            return
        index = trade.market.index
        self._pending_count[index] = self.pending(index) + 1
        self._on_trade(trade, now_ns)
        due_ns = now_ns + self._rng.randint(*self._config.mined_ms) * MS
        if self._faults.hit("settlement_retry_e4"):
            self._timers.at(due_ns, lambda at_ns: self._retry(trade, at_ns))
        else:
            self._timers.at(due_ns, lambda at_ns: self._mine(trade, at_ns))

    def _retry(self, trade: Trade, now_ns: int) -> None:
        self._move(trade, "RETRYING", now_ns)
        due_ns = now_ns + self._rng.randint(*self._config.mined_ms) * MS
        self._timers.at(due_ns, lambda at_ns: self._mine(trade, at_ns))

    def _mine(self, trade: Trade, now_ns: int) -> None:
        self._pending_count[trade.market.index] -= 1
        if self._faults.hit("settlement_failed_e4"):
            self.failed += 1
            self._accounts.reverse(
                trade.transfers, trade.market.index, trade.minted_e6, trade.fee_e6
            )
            self._accounts.audit_event(trade.market.index)
            self._move(trade, "FAILED", now_ns)
            return
        trade.transaction_hash = f"0x{self._rng.getrandbits(256):064x}"
        self._accounts.settle(trade.transfers)
        self._accounts.audit_event(trade.market.index)
        self._move(trade, "MINED", now_ns)
        due_ns = now_ns + self._rng.randint(*self._config.confirmed_ms) * MS
        self._timers.at(due_ns, lambda at_ns: self._move(trade, "CONFIRMED", at_ns))

    def _move(self, trade: Trade, status: str, now_ns: int) -> None:
        trade.status = status
        trade.updated_ns = now_ns
        self._on_trade(trade, now_ns)
