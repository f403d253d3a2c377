"""Takers who know so much that makers earn a stated share of nothing: the sums, then the market.

The truth test of the null market is a quoter without any wits: it joins the best bid and the best
ask of every market again and again. Its fills are valued at the hidden chance a moment later, its
rebates added. Where takers know nothing the same quoter has to be seen to win, or the test is
blind.
"""

from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import ConfigError
from lowlat.sim.catalog import Rules
from lowlat.sim.config import load_config
from lowlat.sim.knowledge import REACH, draw_move, maker_gain, odds_of
from lowlat.sim.ladder import BUY, NO, YES
from lowlat.sim.listener import Listener
from lowlat.sim.quotes import quote
from lowlat.sim.scenarios import read_scenario
from lowlat.sim.venue import Venue

S = 1_000_000_000
E6 = 1_000_000
START_NS = 1_795_305_600_000_000_000
PAYS = Rules("Politics", fee_rate_e4=400, rebate=0.25)

chances = st.floats(0.02, 0.98)
prices = st.integers(1, 99).map(lambda cents: 100 * cents)


def test_the_worked_example():
    # At 0.50 the rebate is 0.25 * 0.04 * 0.25 = 0.0025; a bid of 0.48 and an ask of 0.51 earn a
    # maker 0.0225 and 0.0125 a share. All of it comes back when purchases, 0.0225 / 0.035 of all
    # orders, raise the chance by 0.0125 and sales lower it by 0.0225.
    odds = odds_of(PAYS, 0.5, 4_800, 5_100, 1.0)
    assert odds.up == pytest.approx(0.01 + 0.01 * 0.51 * 0.49)
    assert odds.down == pytest.approx(0.02 + 0.01 * 0.48 * 0.52)
    assert odds.buys == pytest.approx(odds.down / (odds.up + odds.down))


@given(chance=chances, bid=prices, ask=prices, adverse=st.floats(0.0, 1.0))
def test_it_is_a_fair_game_that_takes_back_its_share(chance, bid, ask, adverse):
    odds = odds_of(PAYS, chance, bid, ask, adverse)
    if odds is None:
        return
    assert odds.buys * odds.up == pytest.approx((1.0 - odds.buys) * odds.down, abs=1e-12)
    for is_bid, price, moved in ((False, ask, odds.up), (True, bid, -odds.down)):
        knowing_nothing = maker_gain(PAYS, chance, price, is_bid=is_bid)
        left = maker_gain(PAYS, chance + moved, price, is_bid=is_bid)
        if 0.0 < (odds.buys if not is_bid else 1.0 - odds.buys) < 1.0:
            assert left == pytest.approx((1.0 - adverse) * knowing_nothing, abs=1e-9)
        elif odds.buys == (not is_bid):
            # The only side that is taken is behind the chance: it loses.
            assert left <= 1e-12


@given(chance=chances, bid=prices, ask=prices, knows=st.floats(0.05, 1.0), buys=st.booleans())
def test_no_move_leaves_the_chances(chance, bid, ask, knows, buys):
    odds = odds_of(PAYS, chance, bid, ask, 1.0)
    if odds is None:
        return
    move = draw_move(odds, chance, knows, Random(1), buys=buys)
    assert (move >= 0.0) == buys or not move
    assert abs(move) <= REACH * (1.0 - chance if buys else chance) + 1e-12


def test_moves_have_the_mean_that_was_said():
    rng, odds = Random(7), odds_of(PAYS, 0.5, 4_800, 5_100, 1.0)
    moves = [draw_move(odds, 0.5, 0.4, rng, buys=True) for _ in range(20_000)]
    assert sum(moves) / len(moves) == pytest.approx(odds.up, rel=0.05)
    assert {round(each, 9) for each in moves} == {0.0, round(odds.up / 0.4, 9)}


def test_somebody_has_to_know():
    with pytest.raises(ConfigError, match="adverse_e4 was 5000 and informed_e4 0"):
        load_config({"flow": {"adverse_e4": 5_000}})


# ----------------------------------------------------------------------------- the market
class Quoter(Listener):
    """Joins the touch on both sides of every market that no price decides, as fast as makers do."""

    def __init__(self, venue, shares):
        self.venue, self.shares, self.rng = venue, shares, Random(3)
        self.account = venue.exchange.accounts.open("0x" + "ab" * 20, "quoter", 0, 10**9 * E6)
        self.quotes, self.fresh, self.gains = {}, [], []
        self.moved = {market.index: market for market in venue.exchange.markets}
        venue.exchange.listeners.append(self)

    def on_levels(self, market, changes, now_ns):
        self.moved[market.index] = market

    def on_trades(self, market, trades, now_ns):
        self.moved[market.index] = market
        for trade in trades:
            for fill in trade.fills:
                if fill.order.account == self.account.wallet:
                    self.fresh.append((market, fill.order, fill.size_e6 / E6))

    def live(self):
        """Let the next thing happen, value what was filled, join again where the book moved."""
        self.venue.step(self.venue.next_due_ns())
        for market, order, shares in self.fresh:
            chance = self.venue.universe.fair[market.index]
            gain = maker_gain(market.rules, chance, order.yes_price_e4, is_bid=order.is_bid)
            self.gains.append(gain * shares)
        self.fresh.clear()
        for market in list(self.moved.values()):
            self.join(market)
        self.moved.clear()

    def join(self, market):
        """Keep the quotes that still stand where others do best, replace the rest."""
        old = [each for each in self.quotes.pop(market.index, []) if each.state == "LIVE"]
        if market.coin or not market.accepting:
            return
        wallet, kept, gone, orders = self.account.wallet, [], [], []
        for outcome, takers_buy in ((YES, False), (NO, True)):
            others = market.ladder.opposite(is_bid=takers_buy, limit_yes_e4=10_000 * takers_buy)
            best = next((each.yes_price_e4 for each in others if each.account != wallet), None)
            mine = [each for each in old if each.outcome == outcome]
            stays = [each for each in mine if each.yes_price_e4 == best]
            kept += stays
            gone += [each for each in mine if each.yes_price_e4 != best]
            if best is not None and not stays:
                price, size = best if outcome == YES else 10_000 - best, self.shares * E6
                orders.append(quote(market, wallet, outcome, BUY, price, size, self.rng))
        now_ns = self.venue.now_ns
        self.quotes[market.index] = kept + self.venue.exchange.requote(market, gone, orders, now_ns)


def gains_of(seconds=30, seed=1, **flow):
    """Return what each fill of the quoter brought in a market without news, in dollars."""
    values = read_scenario("null") | {"coins": [], "markets": 10, "neg_risk_events": 1}
    values["flow"] |= {"taker_e4": 7_000, "news_per_minute": 0.0, "makers": 1} | flow
    values |= {"seed": seed, "bonds": 0}
    venue = Venue(load_config(values), START_NS)
    quoter = Quoter(venue, shares=200)
    while venue.now_ns < START_NS + seconds * S:
        quoter.live()
    return quoter.gains


def t_of(values):
    mean = sum(values) / len(values)
    spread = sum((each - mean) ** 2 for each in values) / (len(values) - 1)
    return mean / sqrt(spread / len(values))


def test_joining_the_touch_of_the_null_market_earns_nothing():
    gains = gains_of(seconds=120)
    assert len(gains) > 250
    assert abs(t_of(gains)) < 2.6


def test_the_same_quoter_wins_where_takers_know_little():
    assert t_of(gains_of(adverse_e4=2_000)) > 8.0
    assert t_of(gains_of(adverse_e4=0, informed_e4=0)) > 8.0
