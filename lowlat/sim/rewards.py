"""Income of makers: rebates out of taker fees, rewards for liquidity. Pure integers.

Rebates: a maker's share of what its fills would have paid as taker. Rewards: once a minute at a
random second every resting order near the middle scores. Both are paid at UTC midnight from one
dollar on. Source: polymarket.md 7.2, 7.4.
"""

from random import Random
from typing import Final, NamedTuple

from lowlat.sim.catalog import Market
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import YES, Order
from lowlat.sim.listener import Listener
from lowlat.sim.market_rows import mid_e5
from lowlat.sim.rules import fee_e6
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Trade

__all__ = ["Income", "Rewards", "scores_of"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
MINUTE_NS: Final = 60 * NS
DAY_NS: Final = 86_400 * NS
SAMPLES_A_DAY: Final = 1_440
PAID_MIN_E6: Final = 1_000_000
DAYS_KEPT: Final = 30
LONELY_DIVISOR: Final = 3
"""One-sided liquidity counts a third of it while the middle is in [0.10, 0.90]."""
MIDDLE_E5: Final = (10_000, 90_000)


class Income(NamedTuple):
    """One payment of a day's income."""

    kind: str
    """MAKER_REBATE or REWARD, as activity names it."""
    day: int
    market: int
    wallet: str
    amount_e6: int
    paid_ns: int
    transaction_hash: str


class Rewards(Listener):
    """Adds up and pays. Days are numbered from 1970, in UTC."""

    def __init__(self, exchange: Exchange, timers: Timers, rng: Random, now_ns: int) -> None:
        self._exchange = exchange
        self._timers = timers
        self._rng = rng
        self._fees: dict[tuple[int, int], int] = {}
        self._weights: dict[tuple[int, int], dict[str, int]] = {}
        self._earned: dict[tuple[int, int], dict[str, int]] = {}
        self._paid_e6: dict[tuple[str, int, int, str], int] = {}
        self.paid: list[Income] = []
        exchange.listeners.append(self)
        timers.at(self._sample_ns(now_ns // MINUTE_NS + 1), self._on_sample)
        timers.at((now_ns // DAY_NS + 1) * DAY_NS, self._on_midnight)

    # ----------------------------------------------------------------------------- rebates
    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Add the makers' fills and the takers' fees to the day."""
        del now_ns
        for trade in trades:
            self._count(market, trade, sign=1)

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Take a failed trade out again: its fee went back."""
        del now_ns
        if trade.status == "FAILED":
            self._count(trade.market, trade, sign=-1)

    def _count(self, market: Market, trade: Trade, sign: int) -> None:
        if not trade.fee_e6:
            return
        key = (trade.match_ns // DAY_NS, market.index)
        self._fees[key] = self._fees.get(key, 0) + sign * trade.fee_e6
        weights = self._weights.setdefault(key, {})
        for fill in trade.fills:
            weight = fee_e6(market.rules.fee_rate_e4, fill.order.price_e4, fill.size_e6)
            wallet = fill.order.account
            weights[wallet] = weights.get(wallet, 0) + sign * weight

    def rebates(self, day: int, wallet: str) -> dict[int, int]:
        """Return a wallet's rebate of a day by market, paid or still growing."""
        rows = {}
        for (each, market), weights in self._weights.items():
            total = sum(weights.values())
            if each == day and total and weights.get(wallet):
                rows[market] = self._pool_e6(each, market) * weights[wallet] // total
        return {market: amount_e6 for market, amount_e6 in rows.items() if amount_e6}

    def _pool_e6(self, day: int, market: int) -> int:
        share_e4 = round(self._exchange.markets[market].rules.rebate * 10_000)
        return self._fees[day, market] * share_e4 // 10_000

    # ----------------------------------------------------------------------------- rewards
    def earnings(self, day: int, wallet: str) -> dict[int, int]:
        """Return a wallet's liquidity reward of a day by market, in base units."""
        return {
            market: earned[wallet]
            for (each, market), earned in self._earned.items()
            if each == day and earned.get(wallet)
        }

    def shares(self, market: Market) -> dict[str, int]:
        """Return what each wallet scores in a market now."""
        return scores_of(market)

    def scoring(self, order: Order, now_ns: int) -> bool:
        """Say whether a resting order counts now."""
        market = self._exchange.markets[order.market]
        middle = mid_e5(market, YES)
        if order.state != "LIVE" or not market.rules.reward_daily_e6 or middle is None:
            return False
        aged = now_ns - order.created_ns >= market.rules.reward_age_ms * MS
        return aged and _score(market, order, middle) > 0

    def sample(self, now_ns: int) -> None:
        """Share out a minute's part of each market's daily reward by score."""
        for market in self._exchange.markets:
            if market.closed or not market.rules.reward_daily_e6:
                continue
            scores = scores_of(market)
            total = sum(scores.values())
            if not total:
                continue
            part_e6 = market.rules.reward_daily_e6 // SAMPLES_A_DAY
            earned = self._earned.setdefault((now_ns // DAY_NS, market.index), {})
            for wallet, score in scores.items():
                earned[wallet] = earned.get(wallet, 0) + part_e6 * score // total

    # ----------------------------------------------------------------------------- payment
    def pay(self, now_ns: int, *, until_day: int) -> list[Income]:
        """Pay what days before ``until_day`` earned and did not get; below a dollar nothing."""
        made = []
        for kind, source, amounts in (
            ("MAKER_REBATE", self._weights, self.rebates),
            ("REWARD", self._earned, self.earnings),
        ):
            wallets: dict[int, set[str]] = {}
            for (day, _), by_wallet in source.items():
                wallets.setdefault(day, set()).update(by_wallet)
            for day in sorted(day for day in wallets if day < until_day):
                for wallet in sorted(wallets[day]):
                    made += self._pay_wallet(kind, day, wallet, amounts(day, wallet), now_ns)
            for key in [key for key in source if key[0] < until_day - DAYS_KEPT]:
                del source[key]
        self.paid.extend(made)
        self._exchange.accounts.audit()
        return made

    def _pay_wallet(
        self, kind: str, day: int, wallet: str, by_market: dict[int, int], now_ns: int
    ) -> list[Income]:
        if sum(by_market.values()) < PAID_MIN_E6:
            return []
        accounts = self._exchange.accounts
        transaction = f"0x{self._rng.getrandbits(256):064x}"
        made = []
        for market, amount_e6 in by_market.items():
            key = (kind, day, market, wallet)
            due_e6 = amount_e6 - self._paid_e6.get(key, 0)
            if due_e6 > 0:
                self._paid_e6[key] = amount_e6
                account = accounts.by_wallet[wallet]
                accounts.pay(account, due_e6, from_fees=kind == "MAKER_REBATE")
                made.append(Income(kind, day, market, wallet, due_e6, now_ns, transaction))
        return made

    # ----------------------------------------------------------------------------- timers
    def _sample_ns(self, minute: int) -> int:
        return minute * MINUTE_NS + self._rng.randrange(60) * NS

    def _on_sample(self, now_ns: int) -> None:
        self.sample(now_ns)
        self._timers.at(self._sample_ns(now_ns // MINUTE_NS + 1), self._on_sample)

    def _on_midnight(self, now_ns: int) -> None:
        self.pay(now_ns, until_day=now_ns // DAY_NS)
        self._timers.at(now_ns + DAY_NS, self._on_midnight)


def scores_of(market: Market) -> dict[str, int]:
    """Return the score of each wallet: both sides needed, one alone counts a third or nothing."""
    middle = mid_e5(market, YES)
    if middle is None:
        return {}
    sides: dict[str, list[int]] = {}
    for order in market.ladder.orders():
        score = _score(market, order, middle)
        if score:
            sides.setdefault(order.account, [0, 0])[order.is_bid] += score
    inside = MIDDLE_E5[0] <= middle <= MIDDLE_E5[1]
    scores = {}
    for wallet, (asks, bids) in sides.items():
        lonely = max(asks, bids) // LONELY_DIVISOR if inside else 0
        scores[wallet] = max(min(asks, bids), lonely)
    return {wallet: score for wallet, score in scores.items() if score}


def _score(market: Market, order: Order, middle: int) -> int:
    """Return ((v - s) / v)^2 x size of one order, 0 when it is too small or too far."""
    rules = market.rules
    widest = 10 * rules.reward_spread_e4
    away = abs(10 * order.yes_price_e4 - middle)
    if order.remaining_e6 < rules.reward_min_size_e6 or away >= widest:
        return 0
    return order.remaining_e6 * (widest - away) ** 2 // widest**2
