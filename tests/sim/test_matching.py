"""Matching under random orders: money conserved, no crossed rest, price-time, FOK exact.

Method: hypothesis drives the exchange itself; after every order the audit and the book are checked
against what the rules say, not against a second matching engine.
"""

from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.sim.catalog import Rules, make_event, make_market
from lowlat.sim.config import load_config
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.ladder import BUY, NO, SELL, YES, Order
from lowlat.sim.rules import fee_e6, limit_price
from lowlat.sim.timers import Timers

E6 = 1_000_000
START_NS = 1_795_305_600_000_000_000
WALLETS = ("0xa", "0xb", "0xc")


class Bench:
    """One market, three funded accounts, orders by hand."""

    def __init__(self, tick_e4=100, fee_rate_e4=700, **faults):
        config = load_config({"faults": faults, "mined_ms": [10, 20], "confirmed_ms": [10, 20]})
        self.timers = Timers()
        self.exchange = Exchange(config, self.timers, Random(1), Faults(config.faults, Random(2)))
        self.now_ns = START_NS
        rules = Rules("Crypto", fee_rate_e4=fee_rate_e4, rebate=0.2, tick_e4=tick_e4)
        self.market = make_market(1, 0, make_event(1, 0, "m", "M", rules), "M?", "m")
        self.exchange.list_market(self.market, START_NS)
        self.count = 0
        for wallet in WALLETS:
            account = self.exchange.accounts.open(wallet, wallet, 0, 10_000 * E6)
            self.exchange.accounts.split(account, 0, 1_000 * E6)

    def place(self, who, outcome, side, price_e4, shares_e6, kind="GTC", dollars_e6=None):
        self.count += 1
        cash_e6 = price_e4 * shares_e6 // 10_000 if dollars_e6 is None else dollars_e6
        maker, taker = (cash_e6, shares_e6) if side == BUY else (shares_e6, cash_e6)
        order = Order(
            f"0x{self.count:064x}", WALLETS[who], WALLETS[who], 0, outcome, side, price_e4,
            shares_e6, kind,
        )  # fmt: skip
        order.maker_amount_e6 = maker
        placed = []
        self.exchange.submit(order, taker, self.now_ns, placed.append)
        (result,) = placed
        self.check()
        return order, result

    def check(self):
        self.exchange.accounts.audit()
        self.exchange.accounts.audit_tokens()
        bid, ask = self.market.ladder.best_bid_e4(), self.market.ladder.best_ask_e4()
        assert bid is None or ask is None or bid < ask, f"crossed: {bid} {ask}"

    def settle(self):
        self.now_ns += 10**9
        self.timers.run(self.now_ns)
        self.check()

    def shares(self, who, outcome):
        account = self.exchange.accounts.by_wallet[WALLETS[who]]
        pending = account.tokens_pending_e6.get(outcome, 0)
        return account.tokens_e6.get(outcome, 0) + pending

    def cash(self, who):
        account = self.exchange.accounts.by_wallet[WALLETS[who]]
        return account.cash_e6 + account.cash_pending_e6


actions = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from((YES, NO)),
        st.sampled_from((BUY, SELL)),
        st.integers(1, 99),
        st.integers(500, 20_000),
        st.sampled_from(("GTC", "GTC", "FAK", "FOK", "cancel", "settle")),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(actions, st.sampled_from((100, 10, 25)), st.sampled_from((0, 5000)))
def test_money_is_conserved_and_nothing_rests_crossed(steps, tick_e4, failing):
    bench = Bench(tick_e4, settlement_failed_e4=failing)
    placed = []
    for who, outcome, side, price, hundredths, kind in steps:
        if kind == "settle":
            bench.settle()
        elif kind == "cancel":
            for order in placed[price % 5 :: 5]:
                bench.exchange.cancel(order.id, order.owner, bench.now_ns)
            bench.check()
        else:
            size_e6 = hundredths * 10_000 if kind == "GTC" else hundredths // 100 * E6
            order, result = bench.place(who, outcome, side, price * 100, size_e6, kind)
            placed.append(order)
            never_worse_than_its_limit(order, result)
    bench.settle()
    bench.exchange.cancel_many(list(bench.market.ladder.orders()), bench.now_ns)
    for account in bench.exchange.accounts.by_wallet.values():
        assert account.cash_reserved_e6 == 0
        assert not account.tokens_reserved_e6


def never_worse_than_its_limit(order, result):
    if result.status != "matched":
        return
    if order.side == BUY:
        assert result.making_e6 * 10_000 <= order.price_e4 * result.taking_e6
    else:
        assert result.taking_e6 * 10_000 >= order.price_e4 * result.making_e6
    if order.order_type == "FOK" and order.side == SELL:
        assert order.remaining_e6 == 0


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(40, 60), st.integers(5, 50)), min_size=1, max_size=8))
def test_better_price_first_then_older_order_first(asks):
    bench = Bench()
    makers = [bench.place(0, NO, BUY, 10_000 - price * 100, size * E6)[0] for price, size in asks]
    total = sum(size for _, size in asks)
    bench.place(1, YES, BUY, 6_000, total * E6 // 2 // 10_000 * 10_000)
    ranked = sorted(makers, key=lambda each: (each.yes_price_e4, each.id))
    left = [each.remaining_e6 for each in ranked]
    partial = [i for i, each in enumerate(ranked) if 0 < each.remaining_e6 < each.size_e6]
    first_open = next((i for i, size in enumerate(left) if size), len(left))
    assert len(partial) <= 1
    assert all(each.remaining_e6 == each.size_e6 for each in ranked[first_open + 1 :])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(30, 70), st.integers(5, 300)), min_size=1, max_size=6),
    st.integers(100, 30_000),
    st.integers(30, 70),
)
def test_fok_buy_spends_all_its_dollars_or_nothing(asks, cents, limit):
    bench = Bench(fee_rate_e4=0)
    for price, size in asks:
        bench.place(0, YES, SELL, price * 100, min(size, 150) * E6)
    before = bench.cash(1)
    dollars_e6 = cents * 10_000
    shares_e6 = dollars_e6 * 10_000 // (limit * 100) // 100 * 100
    order, result = bench.place(1, YES, BUY, limit * 100, shares_e6, "FOK", dollars_e6)
    reachable = sum(
        price_e4 * size for price_e4, size in _level_sizes(asks, bench) if price_e4 <= limit * 100
    )
    spent = before - bench.cash(1)
    if result.status == "matched":
        # Dust: what is left cannot buy the smallest fill (0.0001 share) at the limit.
        assert 0 <= dollars_e6 - spent < limit
        assert result.taking_e6 >= order.size_e6 - 100
    else:
        assert spent == 0
        assert result.error.startswith("order couldn't be fully filled")
        assert reachable // 10_000 < dollars_e6


def _level_sizes(asks, bench):
    """What was accepted into the book, by price (an account's tokens bound it)."""
    sizes = []
    left = 1_000
    for price, asked in asks:
        size = min(asked, 150)
        if size <= left:
            left -= size
            sizes.append((price * 100, size * E6))
    return sizes


def test_market_buy_takes_price_improvement_as_more_shares():
    bench = Bench(fee_rate_e4=0)
    bench.place(0, YES, SELL, 4_000, 100 * E6)
    _, result = bench.place(1, YES, BUY, 5_000, 20 * E6, "FAK", 10 * E6)
    assert (result.making_e6, result.taking_e6) == (10 * E6, 25 * E6)
    assert bench.shares(1, YES) == 1_025 * E6
    _, result = bench.place(1, YES, BUY, 5_000, 20 * E6)
    assert (result.making_e6, result.taking_e6) == (8 * E6, 20 * E6)


def test_taker_pays_the_fee_on_top_of_a_buy_and_out_of_a_sell():
    bench = Bench(fee_rate_e4=700)
    before = bench.cash(1)
    bench.place(0, YES, SELL, 5_000, 100 * E6)
    bench.place(1, YES, BUY, 5_000, 100 * E6)
    assert before - bench.cash(1) == 50 * E6 + 1_750_000
    bench.place(0, YES, BUY, 5_000, 100 * E6)
    bench.place(1, YES, SELL, 5_000, 100 * E6)
    assert before - bench.cash(1) == 2 * 1_750_000
    assert bench.exchange.accounts.fees_e6 == 2 * 1_750_000


@given(st.integers(0, 10_000 * E6), st.integers(1, 9_999), st.sampled_from((0, 300, 400, 500, 700)))
def test_fee_is_half_up_at_five_decimals(size_e6, price_e4, rate_e4):
    price = Decimal(price_e4) / 10_000
    exact = Decimal(size_e6) / E6 * Decimal(rate_e4) / 10_000 * price * (1 - price)
    expected = exact.quantize(Decimal("0.00001"), ROUND_HALF_UP)
    assert fee_e6(rate_e4, price_e4, size_e6) == int(expected * E6)


@given(st.sampled_from((10, 100, 25, 50)), st.integers(1, 9_999), st.integers(100, 10**7))
def test_floored_market_buy_still_means_its_grid_price(tick_e4, raw_e4, cents):
    price_e4 = max(tick_e4, raw_e4 - raw_e4 % tick_e4)
    dollars_e6 = cents * 10_000
    shares_e6 = dollars_e6 * 10_000 // price_e4 // 100 * 100
    assert limit_price(BUY, dollars_e6, shares_e6, tick_e4, is_market=True) == price_e4


@pytest.mark.parametrize("price_e4", [4_650, 4_601, 5_555])
def test_off_grid_limit_price_is_none(price_e4):
    assert limit_price(BUY, price_e4 * 1_000, 10 * E6, 100, is_market=False) is None


def test_tick_change_keeps_old_levels_and_refuses_old_grid():
    bench = Bench(tick_e4=10)
    bench.place(0, NO, BUY, 5_990, 10 * E6)
    bench.exchange.change_tick(bench.market, 100, bench.now_ns)
    assert bench.market.ladder.ask_levels() == [(4_010, 10 * E6)]
    _, result = bench.place(1, YES, BUY, 4_010, 10 * E6)
    assert "breaks minimum tick size rule: 0.01" in result.error
    _, result = bench.place(1, YES, BUY, 4_100, 10 * E6)
    assert (result.status, result.making_e6) == ("matched", 4_010_000)


def test_resolution_cancels_pays_winners_and_burns_both_tokens():
    bench = Bench(fee_rate_e4=0)
    order, _ = bench.place(0, YES, BUY, 4_000, 10 * E6)
    bench.place(1, NO, BUY, 6_000, 5 * E6)
    bench.exchange.resolve(bench.market, YES, bench.now_ns)
    assert order.canceled == "CANCELED_MARKET_RESOLVED"
    bench.settle()
    bench.now_ns += 10**9
    bench.timers.run(bench.now_ns)
    accounts = bench.exchange.accounts
    assert accounts.collateral_total_e6 == 0
    assert not any(account.tokens_e6 for account in accounts.by_wallet.values())
    assert bench.cash(0) == 9_000 * E6 - 2 * E6 + 1_005 * E6
    accounts.audit()
