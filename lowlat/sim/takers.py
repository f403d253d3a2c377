"""Who takes in the generated market: noise, the informed, whales with a name and a history. Pure.

Noise hits the touch at random. The informed know the fair value and take only what is wrong after
the fee; with makers who follow at once they find next to nothing. A whale walks the book; unless an
edge is planted on it, its trade says nothing about the outcome.
"""

from random import Random
from typing import Final

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.config import FlowConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import BUY, NO, SELL, YES
from lowlat.sim.quotes import quote
from lowlat.sim.rules import fee_e6

__all__ = ["Takers"]

TAKER_CASH_E6: Final = 1_000_000_000 * E6


class Takers:
    """All takers of the generated flow; who acts and when is said by ``Flow``."""

    def __init__(self, config: FlowConfig, exchange: Exchange, rng: Random) -> None:
        self._config = config
        self._exchange = exchange
        self._rng = rng
        self._noise = self._account("taker")
        self._informed = self._account("informed")
        self.whales = [self._account(f"whale {number}") for number in range(config.whales)]

    def act(self, market: Market, fair: float, now_ns: int) -> None:
        """Let one taker come to a market."""
        if self._config.informed_e4 and self._rng.randrange(ONE_E4) < self._config.informed_e4:
            self._take_wrong(market, fair, now_ns)
        else:
            self._take_any(market, now_ns)

    def whale(self, market: Market, outcome: int, now_ns: int) -> Account:
        """Let a whale buy a large size of one outcome through the book; return who it was."""
        account = self._rng.choice(self.whales)
        size_e6 = self._rng.randint(*self._config.whale_shares) * E6
        price_e4 = ONE_E4 - market.tick_e4
        order = quote(market, account.wallet, outcome, BUY, price_e4, size_e6, self._rng)
        self._exchange.take(order, market, now_ns)
        return account

    def _take_any(self, market: Market, now_ns: int) -> None:
        """Send a small market order into whatever stands at the touch."""
        ladder = market.ladder
        outcome = self._rng.randrange(2)
        held_e6 = self._noise.tokens_free_e6(2 * market.index + outcome) // E6 * E6
        side = SELL if held_e6 >= 5 * E6 and self._rng.random() < 0.6 else BUY
        hits_ask = (side == BUY) == (outcome == YES)
        yes_e4 = ladder.best_ask_e4() if hits_ask else ladder.best_bid_e4()
        if yes_e4 is None:
            return
        price_e4 = yes_e4 if outcome == YES else ONE_E4 - yes_e4
        size_e6 = min(held_e6, 40 * E6) if side == SELL else self._rng.randrange(5, 40) * E6
        order = quote(market, self._noise.wallet, outcome, side, price_e4, size_e6, self._rng)
        self._exchange.take(order, market, now_ns)

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
