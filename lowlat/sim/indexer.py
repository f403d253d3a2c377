"""What the indexer knows: every trade of every wallet, seconds late, and what each position cost.

Rows of one taker order share a transaction hash, as on chain. Pure; hears the exchange.
Source: polymarket.md 11.2.
"""

import hashlib
from collections import deque
from random import Random
from typing import Final, NamedTuple

from lowlat.core.units import ONE_E4
from lowlat.sim.catalog import Market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import SELL
from lowlat.sim.listener import Listener
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Trade

__all__ = ["Deed", "Indexer", "Point", "Record", "Stake", "Win", "last_price_e4"]

MS: Final = 1_000_000
HOUR_NS: Final = 3_600 * 1_000_000_000
KEPT: Final = 50_000
WINS_KEPT: Final = 10_000


class Deed(NamedTuple):
    """One thing a wallet did, as the indexer tells it."""

    number: int
    kind: str
    wallet: str
    market: Market
    outcome: int
    """-1: both, or none."""
    side: str
    size_e6: int
    cash_e6: int
    price_e4: int
    at_ns: int
    transaction: str
    is_taker: bool


class Stake:
    """What a wallet paid for what it holds of one token, and what it has earned with it."""

    __slots__ = (
        "bought_e6",
        "cost_e6",
        "first_ns",
        "last_ns",
        "realized_e6",
        "size_e6",
        "spent_e6",
    )

    def __init__(self, now_ns: int) -> None:
        self.size_e6 = 0
        self.cost_e6 = 0
        self.bought_e6 = 0
        self.spent_e6 = 0
        self.realized_e6 = 0
        self.first_ns = self.last_ns = now_ns

    def buy(self, size_e6: int, cash_e6: int, now_ns: int) -> None:
        """Add shares at their cost."""
        self.size_e6 += size_e6
        self.cost_e6 += cash_e6
        self.bought_e6 += size_e6
        self.spent_e6 += cash_e6
        self.last_ns = now_ns

    def sell(self, size_e6: int, cash_e6: int, now_ns: int) -> None:
        """Take shares away at their average cost; what no purchase covers cost nothing."""
        known_e6 = min(size_e6, self.size_e6)
        share_e6 = self.cost_e6 * known_e6 // self.size_e6 if self.size_e6 else 0
        self.size_e6 -= known_e6
        self.cost_e6 -= share_e6
        self.realized_e6 += cash_e6 - share_e6
        self.last_ns = now_ns


class Point(NamedTuple):
    """What a wallet had done by the end of an hour, or by now."""

    at_ns: int
    trades: int
    shares_e6: int
    cash_e6: int
    realized_e6: int


class Record:
    """All that a wallet has done: totals, one point an hour."""

    __slots__ = ("cash_e6", "first_ns", "markets", "points", "realized_e6", "shares_e6", "trades")

    def __init__(self, now_ns: int) -> None:
        self.first_ns = now_ns
        self.trades = 0
        self.shares_e6 = 0
        self.cash_e6 = 0
        self.realized_e6 = 0
        self.markets: set[int] = set()
        self.points: list[Point] = []

    def note(self, now_ns: int) -> None:
        """Put the totals into this hour's point."""
        point = Point(now_ns, self.trades, self.shares_e6, self.cash_e6, self.realized_e6)
        if self.points and self.points[-1].at_ns // HOUR_NS == now_ns // HOUR_NS:
            self.points[-1] = point
        else:
            self.points.append(point)

    def realized_before_e6(self, at_ns: int) -> int:
        """Return what had been realized by a time, to the hour."""
        return next((p.realized_e6 for p in reversed(self.points) if p.at_ns < at_ns), 0)


class Win(NamedTuple):
    """A position that its market's end paid more for than it cost."""

    wallet: str
    market: Market
    outcome: int
    cost_e6: int
    paid_e6: int
    at_ns: int


class Indexer(Listener):
    """All deeds, newest last; stakes by wallet (lower case) and instrument."""

    def __init__(self, config: SimConfig, exchange: Exchange, timers: Timers, rng: Random) -> None:
        self._lag_ms = config.index_lag_ms
        self._markets = exchange.markets
        self._timers = timers
        self._rng = rng
        self._made = 0
        self.deeds: deque[Deed] = deque(maxlen=KEPT)
        self.stakes: dict[str, dict[int, Stake]] = {}
        self.records: dict[str, Record] = {}
        """By wallet, lower case."""
        self.wins: deque[Win] = deque(maxlen=WINS_KEPT)
        self.taken_e6: dict[int, int] = {}
        """Shares that takers took, by market."""
        exchange.listeners.append(self)

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Take the trades of one taker order; they show up together."""
        transaction = "0x" + hashlib.sha256(trades[0].taker.id.encode()).hexdigest()
        deeds = []
        for trade in trades:
            fills = [(trade.taker, trade.size_e6, trade.price_e4)]
            fills += [(fill.order, fill.size_e6, fill.order.price_e4) for fill in trade.fills]
            for order, size_e6, price_e4 in fills:
                deeds.append(
                    Deed(
                        self._number(),
                        "TRADE",
                        order.account,
                        market,
                        order.outcome,
                        "SELL" if order.side == SELL else "BUY",
                        size_e6,
                        price_e4 * size_e6 // ONE_E4,
                        price_e4,
                        now_ns,
                        transaction,
                        order is trade.taker,
                    )
                )
        self._show_late(deeds, now_ns)

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
        """Take what no trade moved."""
        # Drawn in any case: what comes after it does not depend on who moved.
        drawn = f"0x{self._rng.getrandbits(256):064x}"
        transaction = transaction or drawn
        number = self._number()
        deed = Deed(
            number, kind, wallet, market, -1, "", size_e6, cash_e6, 0, now_ns, transaction, False
        )
        self._show_late([deed], now_ns)

    def profit_e6(self, wallet: str, category: str = "") -> int:
        """Return what a wallet has realized and what its stakes gained at the last prices."""
        total_e6 = 0
        for instrument, stake in self.stakes.get(wallet, {}).items():
            market = self._markets[instrument // 2]
            if not category or market.rules.category.lower() == category:
                price_e4 = last_price_e4(market, instrument % 2)
                total_e6 += stake.realized_e6 + stake.size_e6 * price_e4 // ONE_E4 - stake.cost_e6
        return total_e6

    # ----------------------------------------------------------------------------- pieces
    def _number(self) -> int:
        self._made += 1
        return self._made

    def _show_late(self, deeds: list[Deed], now_ns: int) -> None:
        due_ns = now_ns + self._rng.randint(*self._lag_ms) * MS
        self._timers.at(due_ns, lambda _: self._show(deeds))

    def _show(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            self.deeds.append(deed)
            wallet = deed.wallet.lower()
            stakes = self.stakes.setdefault(wallet, {})
            record = self.records.get(wallet)
            if record is None:
                record = self.records[wallet] = Record(deed.at_ns)
            if deed.kind == "TRADE":
                self._count_trade(stakes, record, deed)
            elif deed.kind == "REDEEM":
                self._count_redeemed(stakes, record, deed)
            record.note(deed.at_ns)

    def _count_trade(self, stakes: dict[int, Stake], record: Record, deed: Deed) -> None:
        record.trades += 1
        record.shares_e6 += deed.size_e6
        record.cash_e6 += deed.cash_e6
        record.markets.add(deed.market.index)
        if deed.is_taker:
            taken_e6 = self.taken_e6.get(deed.market.index, 0)
            self.taken_e6[deed.market.index] = taken_e6 + deed.size_e6
        instrument = 2 * deed.market.index + deed.outcome
        stake = stakes.get(instrument)
        if stake is None:
            stake = stakes[instrument] = Stake(deed.at_ns)
        before_e6 = stake.realized_e6
        (stake.sell if deed.side == "SELL" else stake.buy)(deed.size_e6, deed.cash_e6, deed.at_ns)
        record.realized_e6 += stake.realized_e6 - before_e6

    def _count_redeemed(self, stakes: dict[int, Stake], record: Record, deed: Deed) -> None:
        for outcome in (0, 1):
            stake = stakes.get(2 * deed.market.index + outcome)
            if stake is None or not stake.size_e6:
                continue
            paid_e6 = stake.size_e6 if outcome == deed.market.winner else 0
            cost_e6 = stake.cost_e6
            record.realized_e6 += paid_e6 - cost_e6
            stake.sell(stake.size_e6, paid_e6, deed.at_ns)
            if paid_e6 > cost_e6:
                wallet = deed.wallet.lower()
                self.wins.append(Win(wallet, deed.market, outcome, cost_e6, paid_e6, deed.at_ns))


def last_price_e4(market: Market, outcome: int) -> int:
    """Return what a share counts for: its payout, else the last trade, else a half."""
    if market.winner is not None:
        return ONE_E4 if market.winner == outcome else 0
    yes_e4 = 5000 if market.last_trade_e4 is None else market.last_trade_e4
    return yes_e4 if outcome == 0 else ONE_E4 - yes_e4
