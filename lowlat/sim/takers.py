"""Who takes in the generated market: noise, the informed, whales with a name and a history. Pure.

Noise hits the touch at random. The informed know the fair value and take only what is wrong after
the fee; with makers who follow at once they find next to nothing. A whale walks the book; unless an
edge is planted on it, its trade says nothing about the outcome.

With ``adverse_e4`` takers of markets that no price decides know so much of what comes next that
makers keep only the rest of what they earn (``knowledge``), whales measured at the last price they
reach; to markets that a price decides come only those who take what is wrong. What the flow gives
away where makers are paid a rebate is counted: at the prices of the generated makers, and what of
it others got, at theirs.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.config import FlowConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.knowledge import Odds, draw_move, maker_gain, odds_of
from lowlat.sim.ladder import BUY, NO, SELL, YES, Order
from lowlat.sim.quotes import quote
from lowlat.sim.rules import fee_e6
from lowlat.sim.trades import Trade
from lowlat.sim.universe import Universe

__all__ = ["Takers"]

TAKER_CASH_E6: Final = 1_000_000_000 * E6


class Takers:
    """All takers of the generated flow; who acts and when is said by ``Flow``."""

    def __init__(
        self, config: FlowConfig, exchange: Exchange, universe: Universe, rng: Random
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._universe = universe
        self._rng = rng
        self._adverse = config.adverse_e4 / ONE_E4
        self._noise = self._account("taker")
        self._informed = self._account("informed")
        self.whales = [self._account(f"whale {number}") for number in range(config.whales)]
        self.given = dict.fromkeys(("planted", "hit", "value_e6", "captured_e6", "missed_e6"), 0)
        """What makers were given where they are paid a rebate, as edges are counted: by taker.
        ``missed_e6``: by those who met generated makers only."""

    def act(self, market: Market, fair: float, now_ns: int) -> list[Market]:
        """Let one taker come to a market; return the markets whose hidden chance it moved."""
        if self._adverse:
            if market.coin:
                self._take_wrong(market, fair, now_ns)
                return []
            return self._take_knowing(market, now_ns)
        if self._config.informed_e4 and self._rng.randrange(ONE_E4) < self._config.informed_e4:
            self._take_wrong(market, fair, now_ns)
        else:
            self._take_any(market, now_ns)
        return []

    def whale(self, market: Market, outcome: int, now_ns: int) -> Account:
        """Let a whale buy a large size of one outcome through the book; return who it was."""
        return self._walk(market, outcome, self._rng.randint(*self._config.whale_shares), now_ns)

    def sell(self, market: Market, size_e6: int, now_ns: int) -> None:
        """Let somebody give up YES at whatever is bid for it: the other outcome is bought."""
        price_e4 = ONE_E4 - market.tick_e4
        order = quote(market, self._noise.wallet, NO, BUY, price_e4, size_e6, self._rng)
        self._exchange.take(order, market, now_ns)

    def whale_who_knows(self, market: Market, now_ns: int) -> list[Market]:
        """Let a whale come of whom its last price earns nothing; return the markets it moved."""
        shares = self._rng.randint(*self._config.whale_shares)
        ladder = market.ladder
        bid_e4 = _reach_e4(reversed(ladder.bid_levels()), shares * E6)
        ask_e4 = _reach_e4(ladder.ask_levels(), shares * E6)
        odds = self._odds(market, bid_e4, ask_e4)
        if odds is None:
            return []
        buys = self._rng.random() < odds.buys
        self._walk(market, YES if buys else NO, shares, now_ns)
        return self._learn(market, odds, buys=buys)

    def _walk(self, market: Market, outcome: int, shares: int, now_ns: int) -> Account:
        account = self._rng.choice(self.whales)
        price_e4 = ONE_E4 - market.tick_e4
        order = quote(market, account.wallet, outcome, BUY, price_e4, shares * E6, self._rng)
        self._exchange.take(order, market, now_ns)
        return account

    # ----------------------------------------------------------------------------- who knows
    def _take_knowing(self, market: Market, now_ns: int) -> list[Market]:
        """Send a small market order to the side that keeps the chance a fair game."""
        ladder = market.ladder
        bid_e4, ask_e4 = ladder.best_bid_e4(), ladder.best_ask_e4()
        odds = self._odds(market, bid_e4, ask_e4)
        if odds is None:
            return []
        buys = self._rng.random() < odds.buys
        chance = self._universe.fair[market.index]
        generated_e4 = _generated_e4(ladder.opposite(is_bid=buys, limit_yes_e4=ONE_E4 * buys))
        trades = self._take_side(market, now_ns, buys=buys)
        if market.rules.rebate and trades:
            self._count(market, trades, chance, generated_e4, is_bid=not buys)
        return self._learn(market, odds, buys=buys) if trades else []

    def _odds(self, market: Market, bid_e4: int | None, ask_e4: int | None) -> Odds | None:
        if bid_e4 is None or ask_e4 is None:
            return None
        chance = self._universe.fair[market.index]
        return odds_of(market.rules, chance, bid_e4, ask_e4, self._adverse)

    def _learn(self, market: Market, odds: Odds, *, buys: bool) -> list[Market]:
        """Let the hidden chance take in what a taker knew."""
        chance = self._universe.fair[market.index]
        knows = self._config.informed_e4 / ONE_E4
        move = draw_move(odds, chance, knows, self._rng, buys=buys)
        return self._universe.shift(market, move) if move else []

    def _count(
        self,
        market: Market,
        trades: list[Trade],
        chance: float,
        generated_e4: int | None,
        *,
        is_bid: bool,
    ) -> None:
        """Add what a taker gave its makers, on average, to what is known."""
        given, kept = self.given, 1.0 - self._adverse
        given["planted"] += 1
        value = captured = 0.0
        for trade in trades:
            for fill in trade.fills:
                price_e4 = fill.order.yes_price_e4
                gain = maker_gain(market.rules, chance, price_e4, is_bid=is_bid)
                away_e4 = price_e4 if generated_e4 is None else generated_e4
                value += maker_gain(market.rules, chance, away_e4, is_bid=is_bid) * fill.size_e6
                if fill.order.owner:
                    captured += (gain * kept if gain > 0.0 else gain) * fill.size_e6
        value_e6 = round(max(0.0, value) * kept)
        given["value_e6"] += value_e6
        given["captured_e6"] += round(captured)
        given["hit" if captured else "missed_e6"] += 1 if captured else value_e6

    # ----------------------------------------------------------------------------- the others
    def _take_any(self, market: Market, now_ns: int) -> None:
        """Send a small market order into whatever stands at the touch, in either token's words."""
        outcome = self._rng.randrange(2)
        sells = self._sells(market, outcome)
        self._send(market, outcome, SELL if sells else BUY, now_ns)

    def _take_side(self, market: Market, now_ns: int, *, buys: bool) -> list[Trade]:
        """Send a small market order into one side: YES is bought or NO sold, or the reverse."""
        if self._sells(market, NO if buys else YES):
            return self._send(market, NO if buys else YES, SELL, now_ns)
        return self._send(market, YES if buys else NO, BUY, now_ns)

    def _sells(self, market: Market, outcome: int) -> bool:
        """Draw whether noise sells a token that it holds."""
        return self._held_e6(market, outcome) >= 5 * E6 and self._rng.random() < 0.6

    def _send(self, market: Market, outcome: int, side: int, now_ns: int) -> list[Trade]:
        ladder = market.ladder
        hits_ask = (side == BUY) == (outcome == YES)
        yes_e4 = ladder.best_ask_e4() if hits_ask else ladder.best_bid_e4()
        if yes_e4 is None:
            return []
        price_e4 = yes_e4 if outcome == YES else ONE_E4 - yes_e4
        held_e6 = self._held_e6(market, outcome)
        size_e6 = min(held_e6, 40 * E6) if side == SELL else self._rng.randrange(5, 40) * E6
        order = quote(market, self._noise.wallet, outcome, side, price_e4, size_e6, self._rng)
        return self._exchange.take(order, market, now_ns)

    def _held_e6(self, market: Market, outcome: int) -> int:
        """Return the whole free shares of a token that noise holds."""
        return self._noise.tokens_free_e6(2 * market.index + outcome) // E6 * E6

    def _take_wrong(self, market: Market, fair: float, now_ns: int) -> None:
        """Buy the outcome that its touch sells below its fair value and fee, up to 100 shares."""
        ladder = market.ladder
        fair_e4 = fair * ONE_E4
        for outcome, yes_e4, worth_e4 in (
            (YES, ladder.best_ask_e4(), fair_e4),
            (NO, ladder.best_bid_e4(), ONE_E4 - fair_e4),
        ):
            if yes_e4 is None:
                continue
            price_e4 = yes_e4 if outcome == YES else ONE_E4 - yes_e4
            if worth_e4 * 100 <= price_e4 * 100 + fee_e6(market.rules.fee_rate_e4, price_e4, E6):
                continue
            stood_e6 = ladder.size_at_e6(is_bid=outcome == NO, yes_price_e4=yes_e4)
            size_e6 = min(stood_e6, 100 * E6)
            wallet = self._informed.wallet
            order = quote(market, wallet, outcome, BUY, price_e4, size_e6, self._rng)
            self._exchange.take(order, market, now_ns)
            return

    def _account(self, name: str) -> Account:
        wallet = f"0x{self._rng.getrandbits(160):040x}"
        return self._exchange.accounts.open(wallet, name, 0, TAKER_CASH_E6)


def _reach_e4(levels: Iterable[tuple[int, int]], size_e6: int) -> int | None:
    """Return the last price that so much reaches, best level first; None in an empty book."""
    last_e4 = None
    for price_e4, level_e6 in levels:
        last_e4 = price_e4
        size_e6 -= level_e6
        if size_e6 <= 0:
            break
    return last_e4


def _generated_e4(orders: Iterable[Order]) -> int | None:
    """Return the best price of the generated makers among orders, best first."""
    return next((order.yes_price_e4 for order in orders if not order.owner), None)
