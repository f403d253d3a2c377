"""The compiled looks of latency against their Python twin: same world, same bytes, same state.

Method: a seeded life of five markets of every rule; both modules see the same records, each in an
engine of its own, and every signal record, limit and fair value is compared after each step.
"""

import random

from coin_reference import CoinModel as CoinReference
from engine_fakes import MS, WALL0, S, World
from hypothesis import given, settings
from hypothesis import strategies as st
from latency_reference import Reference
from signals_rig import ports

from lowlat.core.layout import Known, SettleRule
from lowlat.core.units import E6, E8
from lowlat.signals._coin import CoinModel
from lowlat.signals.coins import CoinParams
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.latency import Latency, LatencyParams
from lowlat.signals.module import Mode
from lowlat.signals.params import EngineParams

K = 98_000.0
COIN = 1
MARKETS = 5
KNOWN = int(Known.TRADEABLE | Known.SETTLE_RULE | Known.START_PRICE)
RULES = (
    SettleRule.TWAP_60_UP,
    SettleRule.BINANCE_CANDLE_UP,
    SettleRule.BINANCE_ABOVE,
    SettleRule.BINANCE_NOON_UP,
)


ESTIMATES = (
    "mid",
    "volatility",
    "basis",
    "basis_variance",
    "basis_noise",
    "last_print_s",
    "lead",
    "lead_count",
    "lead_weight",
    "ahead",
    "version",
)


class Twins:
    """Two engines over the same inputs: the compiled module and the reference."""

    def __init__(self, chance):
        params = LatencyParams(
            edge_min=chance.choice([0.001, 0.01]),
            volatility_error_weight=chance.choice([0.0, 1.0]),
            delay_weight=chance.choice([0.0, 0.5]),
            order_cash_e6_max=chance.choice([8, 50, 400]) * E6,
            impact_share_max=chance.choice([0.05, 1 / 3, 1.0]),
            impact_max_ppm=chance.choice([0, 10_000, 200_000]),
            average_lag_s=chance.choice([0, 3]),
            missing_s_max=chance.choice([0, 3, 9]),
            spot_move_ppm=chance.choice([0, 10]),
            cooldown_ms=chance.choice([0, 250]),
            coin=CoinParams(
                warmup_s=3,
                basis_prints_min=2,
                spot_lag_ms=chance.choice([0, 100]),
                lead_doubt=chance.choice([0.0, 1.0, 9.0]),
                lead_returns_min=chance.choice([2, 300]),
            ),
        )
        self.chance = chance
        self.worlds = [World(), World()]
        self.modules = [Latency(params), Reference(params)]
        for market in range(MARKETS):
            self.each("put_market", market, **self.rule(market))
        self.engines = [
            engine(world, module) for world, module in zip(self.worlds, self.modules, strict=True)
        ]

    def rule(self, market):
        chance = self.chance
        rule = RULES[market % len(RULES)]
        start_s = chance.choice([0, 10, 15])
        return {
            "coin": COIN,
            "settle_rule": int(rule),
            "known": KNOWN,
            "start_price_e8": round((K + chance.uniform(-30, 30)) * E8),
            "start_price_rest_e18": chance.choice([0, 123_456_789]),
            "strike_e8": round((K + chance.uniform(-30, 30)) * E8),
            "fee_rate_e6": chance.choice([0, 20_000, 70_000]),
            "fee_exponent": chance.choice([1, 1, 2]),
            "tick_e4": chance.choice([10, 100]),
            "taker_delay_ms": chance.choice([0, 250]),
            "start_ns": WALL0 + start_s * S,
            "end_ns": WALL0 + (start_s + chance.choice([60, 90, 200])) * S + chance.randrange(S),
        }

    def each(self, name, *arguments, **named):
        for world in self.worlds:
            getattr(world, name)(*arguments, **named)

    def step(self):
        chance = self.chance
        by_ns = chance.choice([MS, 40 * MS, 300 * MS, 999 * MS])
        for world in self.worlds:
            world.advance(by_ns)
        self.each("shard")
        second = (self.worlds[0].clock.wall_ns() - WALL0) // S
        if chance.random() < 0.7:
            lead_ppb = chance.choice([0, chance.randrange(-(10**9), 10**9)])
            self.each("put_spot", COIN, K + chance.uniform(-25, 25), lead_ppb=lead_ppb)
        if chance.random() < 0.6:
            self.each("put_print", COIN, second, K + chance.uniform(-15, 15))
        if chance.random() < 0.05:
            self.each("put_market", chance.randrange(MARKETS), **self.rule(1))
        for _ in range(chance.randrange(4)):
            self.book(chance.randrange(MARKETS))
        for engine_ in self.engines:
            engine_.turn(self.worlds[0].now)

    def book(self, market):
        chance = self.chance
        tick_e4 = chance.choice([0, 10, 100])
        grid_e4 = tick_e4 or 10
        middle = chance.randrange(1_000, 9_100, 100)
        bids, asks = (
            [
                (middle + sign * grid_e4 * step, chance.choice([1, 7, 300]))
                for step in sorted(chance.sample(range(1, 9), 4))
            ]
            for sign in (-1, 1)
        )
        if chance.random() < 0.1:
            bids = []
        self.each("put_book", market, bids, asks, tick_e4=tick_e4)

    def compare(self):
        compiled, reference = self.worlds
        assert compiled.signals.records == reference.signals.records
        assert compiled.counts == reference.counts
        for market in range(MARKETS):
            assert self.modules[0].fair(market) == self.modules[1].fair(market)
            limits_e4 = self.modules[1]._markets[market].limits_e4
            assert self.modules[0]._quotes[market].limits_e4 == limits_e4


def engine(world, module):
    made = SignalsEngine(
        [(module, Mode.LIVE)],
        ports(world),
        EngineParams(),
    )
    made.start()
    return made


INPUTS = ("mid", "mid", "print", "second")


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_same_records_and_same_limits_in_any_life(seed):
    twins = Twins(random.Random(seed))
    for _ in range(150):
        twins.step()
        twins.compare()


def test_the_lives_compared_do_buy_and_do_know_their_averages():
    signals = locked = 0
    for seed in range(6):
        twins = Twins(random.Random(seed))
        for _ in range(150):
            twins.step()
            fair = [twins.modules[0].fair(market) for market in range(MARKETS)]
            locked += sum(value is not None and value.locked_s > 0 for value in fair)
        signals += len(twins.worlds[0].signals.records)
    assert signals > 100
    assert locked > 50


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(INPUTS), st.integers(0, 400), st.floats(90, 110)), max_size=80
    )
)
def test_estimates_are_those_of_the_twin(steps):
    params = CoinParams(warmup_s=2, lead_doubt=0.5, lead_returns_min=2)
    compiled, reference = CoinModel(params), CoinReference(params)
    at_ns = 0
    for kind, step, price in steps:
        at_ns += step * 10 * MS
        if kind == "second":
            compiled.take_second(at_ns - (step % 9) * S, price)
            reference.take_second(at_ns - (step % 9) * S, price)
        elif kind == "mid":
            lead = price / 10.0 - 10.0
            moved = compiled.take_mid(price, at_ns, step % 7, lead)
            assert moved == reference.take_mid(price, at_ns, step % 7, lead)
        else:
            compiled.take_print(at_ns - (step % 5) * S, price)
            reference.take_print(at_ns - (step % 5) * S, price)
        for field in ESTIMATES:
            assert getattr(compiled, field) == getattr(reference, field), field
        second = at_ns // S
        assert compiled.mid_at(second) == reference.mid_at(second)
        assert compiled.locked(second - 9, second) == reference.locked(second - 9, second)
