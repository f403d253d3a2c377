"""Fair values against books over list-backed ports: when it buys, which token, and when not."""

import math

import msgspec
import pytest
from engine_fakes import MS, WALL0, S, World
from signals_rig import ports

from lowlat.core.layout import SIGNAL, Known, SettleRule
from lowlat.core.signal import decode_signal
from lowlat.core.units import E6, E8
from lowlat.signals._coin import CoinModel
from lowlat.signals.coins import CoinParams
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.latency import Latency, LatencyParams, _deviation_words
from lowlat.signals.module import Mode
from lowlat.signals.params import EngineParams

BTC = 1
K = 98_000.0
TWAP = int(SettleRule.TWAP_60_UP)
CANDLE = int(SettleRule.BINANCE_CANDLE_UP)
ABOVE = int(SettleRule.BINANCE_ABOVE)
NOON = int(SettleRule.BINANCE_NOON_UP)
CRYPTO = int(Known.TRADEABLE | Known.SETTLE_RULE)
PARAMS = LatencyParams(
    edge_min=0.005,
    volatility_error_weight=0.0,
    delay_weight=0.0,
    spot_move_ppm=0,
    average_lag_s=0,
    coin=CoinParams(warmup_s=20, spot_lag_ms=0, basis_noise_floor=1e-7),
)


class Rig:
    """A world with one BTC window [10, 310) seconds after its start, one module."""

    def __init__(self, params=PARAMS, **market):
        self.world = world = World()
        self.module = Latency(params)
        self.engine = SignalsEngine(
            [(self.module, Mode.PAPER)],
            ports(world),
            EngineParams(shard_silent_ns_max=10_000 * S),
        )
        facts = {
            "coin": BTC,
            "settle_rule": TWAP,
            "known": CRYPTO | int(Known.START_PRICE),
            "start_price_e8": round(K * E8),
            "fee_rate_e6": 70_000,
            "start_ns": WALL0 + 10 * S,
            "end_ns": WALL0 + 310 * S,
        }
        world.put_market(0, **(facts | market))
        self.engine.start()

    @property
    def second(self):
        return (self.world.clock.wall_ns() - WALL0) // S

    def run(self, seconds, price, *, basis=0.0, sway=4.36, prints=True):
        """Live for some seconds around a price; the settlement series prints each second."""
        for _ in range(seconds):
            self.world.advance(S)
            mid = price + (sway if self.second % 2 else -sway)
            self.world.put_spot(BTC, mid - basis)
            if prints:
                self.world.put_print(BTC, self.second, price)
            self.engine.turn(self.world.now)

    def book(self, bid_e4, ask_e4, size=200):
        self.world.put_book(0, [(bid_e4, size)], [(ask_e4, size)])
        self.engine.turn(self.world.now)

    @property
    def signals(self):
        return [decode_signal(record) for record in self.world.signals.decoded(SIGNAL)]

    @property
    def fair(self):
        return self.module.fair(0)


def test_buys_yes_that_is_cheaper_than_its_fair_value():
    rig = Rig()
    rig.run(60, K + 60.0)
    rig.book(4000, 4200)
    (signal,) = rig.signals
    assert int(signal.token_id) % 2 == 0
    assert signal.limit_price_e4 >= 4200
    assert signal.metadata["up_e4"] > 6000
    cost = 0.42 + 0.07 * 0.42 * 0.58
    share_value = signal.confidence - cost
    shares = signal.size_suggestion / E6
    assert signal.expected_value == pytest.approx(0.7 * shares * share_value, rel=0.01)
    assert signal.size_suggestion == 119 * E6  # 50 dollars at 0.42, whole shares
    assert signal.expires_ns == rig.world.now + 20 * MS


def test_buys_no_when_yes_is_too_dear():
    rig = Rig()
    rig.run(60, K - 60.0)
    rig.book(6000, 6200)
    (signal,) = rig.signals
    assert int(signal.token_id) % 2 == 1
    assert signal.limit_price_e4 >= 4000


def test_a_fair_book_is_left_alone():
    rig = Rig()
    rig.run(60, K)
    up = rig.fair
    assert up is None or abs(up.probability - 0.5) < 0.1
    rig.book(4900, 5100)
    assert rig.signals == []


def test_no_start_price_means_no_signal():
    rig = Rig(known=CRYPTO)
    rig.run(60, K + 60.0)
    rig.book(4000, 4200)
    assert rig.signals == []
    # The start price becomes known: the standing book is worth it now.
    rig.world.put_market(
        0,
        coin=BTC,
        settle_rule=TWAP,
        known=CRYPTO | int(Known.START_PRICE),
        start_price_e8=round(K * E8),
        fee_rate_e6=70_000,
        start_ns=WALL0 + 10 * S,
        end_ns=WALL0 + 310 * S,
    )
    rig.engine.turn(rig.world.now)
    assert len(rig.signals) == 1


def test_cold_volatility_means_no_signal():
    rig = Rig()
    rig.run(15, K + 60.0)
    rig.book(4000, 4200)
    assert rig.signals == []


def test_without_a_basis_only_exchange_settled_markets_trade():
    rig = Rig()
    rig.run(60, K + 60.0, prints=False)
    rig.book(4000, 4200)
    assert rig.signals == []
    rig = Rig(settle_rule=CANDLE)
    rig.run(60, K + 60.0, prints=False)
    rig.book(4000, 4200)
    assert len(rig.signals) == 1


def test_strike_markets_compare_with_their_strike():
    rig = Rig(settle_rule=ABOVE, known=CRYPTO, start_price_e8=0, strike_e8=round((K + 500) * E8))
    rig.run(60, K, prints=False)
    rig.book(4900, 5100)
    (signal,) = rig.signals
    assert int(signal.token_id) % 2 == 1
    unknown = Rig(settle_rule=ABOVE, known=CRYPTO, start_price_e8=0, strike_e8=0)
    unknown.run(60, K, prints=False)
    unknown.book(100, 9900)
    assert unknown.signals == []


def test_two_noons_compare_with_the_first_once_it_is_known():
    rig = Rig(settle_rule=NOON)
    rig.run(60, K + 60.0, prints=False)
    rig.book(4000, 4200)
    (signal,) = rig.signals
    assert int(signal.token_id) % 2 == 0
    unknown = Rig(settle_rule=NOON, known=CRYPTO)
    unknown.run(60, K + 60.0, prints=False)
    unknown.book(4000, 4200)
    assert unknown.signals == []


@pytest.mark.parametrize(
    ("rule", "z_of_a_tie"),
    [
        # SOL at 150 on a grid of cents, deviation 0.05: half a cent is a tenth of it.
        (CANDLE, +0.1),  # Phi(+0.1) = 0.5398: equal is Up
        (ABOVE, -0.1),  # Phi(-0.1) = 0.4602: equal is No
        (NOON, 0.0),  # equal pays half: Phi(0) = 0.5
    ],
)
def test_a_tie_on_the_grid_belongs_to_the_side_that_the_rules_name(rule, z_of_a_tie):
    price = 150.0
    facts = {"start_price_e8": round(price * E8), "strike_e8": round(price * E8)}
    rig = Rig(settle_rule=rule, **facts)
    rig.run(60, price, sway=0.004, prints=False)
    rig.world.advance(S)
    rig.world.put_spot(BTC, price)
    rig.engine.turn(rig.world.now)
    rig.book(100, 9900)
    fair = rig.fair
    assert fair.z == pytest.approx(z_of_a_tie * 0.05 / fair.deviation, abs=1e-4)
    assert fair.probability == pytest.approx(0.5 + 0.5 * math.erf(fair.z / math.sqrt(2)))


def test_the_basis_is_taken_out_before_comparing():
    # The exchange trades 60 dollars under the settlement series, which stands at the strike.
    rig = Rig()
    rig.run(100, K, basis=60.0)
    rig.book(4900, 5100)
    assert rig.signals == []
    assert rig.module.coin(BTC).model.basis == pytest.approx(60 / K, rel=0.2)


def test_the_locked_part_of_the_average_outweighs_the_spot():
    rig = Rig()
    rig.run(240, K + 20.0)
    # 250 s: the averaging minute begins. 40 seconds lock in at K + 20, then the price drops.
    rig.run(40, K + 20.0)
    rig.world.advance(S // 2)
    rig.world.put_spot(BTC, K - 10.0)
    rig.world.put_book(0, [(4000, 100)], [(9900, 100)])
    rig.engine.turn(rig.world.now)
    fair = rig.fair
    assert fair.locked_s == 40
    assert fair.left_s == pytest.approx(19.5)
    assert fair.mean == pytest.approx(K + (40 * 20 - 20 * 10) / 60, abs=2.0)
    assert fair.probability > 0.8


def test_missing_prints_make_the_locked_part_unknown():
    rig = Rig()
    rig.run(250, K + 20.0)
    for _ in range(4):
        rig.run(4, K + 20.0, prints=False)
        rig.run(1, K + 20.0)
    rig.book(4000, 4200)
    assert rig.fair is None


def test_stops_before_the_end_and_starts_at_the_start():
    rig = Rig(start_ns=WALL0 + 100 * S)
    rig.run(80, K + 60.0)
    rig.book(4000, 4200)
    assert rig.signals == []
    rig.run(218, K + 60.0)
    before = len(rig.signals)
    assert before > 0
    rig.run(5, K + 60.0)
    rig.book(100, 200)
    assert len(rig.signals) == before


def test_a_strike_is_priced_long_before_its_last_minute():
    end = WALL0 + 3_660 * S
    rig = Rig(settle_rule=ABOVE, strike_e8=round(K * E8), start_ns=end - 60 * S, end_ns=end)
    rig.run(60, K + 60.0)
    rig.book(500, 600)
    [signal] = rig.signals
    assert signal.token_id == "2000"
    # By hand: an hour less 70 s is left; z = 60 / deviation, which is the walk of that time.
    fair = rig.fair
    assert fair is not None
    assert fair.left_s == pytest.approx(3_590.0, abs=1.0)
    assert fair.z == pytest.approx((fair.mean - K - 0.005) / fair.deviation)


def test_volatility_is_doubted_more_the_longer_is_left():
    limits = []
    for left in (600, 36_000):
        end = WALL0 + (10 + 60 + left) * S
        # As many deviations away, so that only the doubt differs.
        away = 4.36 * 2 * left**0.5
        rig = Rig(
            settle_rule=ABOVE,
            strike_e8=round((K - away) * E8),
            start_ns=end - 60 * S,
            end_ns=end,
            params=msgspec.structs.replace(PARAMS, volatility_error_weight=1.0),
        )
        rig.run(60, K)
        rig.book(4000, 4200)
        fair = rig.fair
        limits.append(fair.probability * 1e4 - rig.module._quotes[0].limits_e4[0])
    assert limits[1] > limits[0]


def test_a_move_of_the_exchange_alone_makes_a_signal():
    rig = Rig()
    rig.run(60, K)
    rig.book(4900, 5100)
    assert rig.signals == []
    rig.world.advance(10 * MS)
    rig.world.put_spot(BTC, K + 120.0)
    rig.engine.turn(rig.world.now)
    (signal,) = rig.signals
    assert int(signal.token_id) % 2 == 0
    spot = rig.world.spot.records[-1][1]
    assert signal.cause == int.from_bytes(spot[16:24], "little")


def test_the_same_token_waits_for_the_cooldown():
    rig = Rig()
    rig.run(60, K + 60.0)
    for _ in range(3):
        rig.book(4000, 4200)
        rig.world.advance(50 * MS)
    assert len(rig.signals) == 1
    rig.world.advance(200 * MS)
    rig.book(4000, 4200)
    assert len(rig.signals) == 2


def test_an_old_exchange_price_is_no_price():
    rig = Rig()
    rig.run(60, K + 60.0)
    rig.world.advance(4 * S)
    rig.book(4000, 4200)
    assert rig.signals == []


def test_volatility_of_a_known_walk_is_found():
    coin = CoinModel(CoinParams(warmup_s=10))
    price = 100.0
    for second in range(2_000):
        coin.take_mid(price, second * S + 150 * MS, 1)
        price *= math.exp(1e-4 if second % 2 else -1e-4)
    assert coin.volatility == pytest.approx(1e-4, rel=0.01)


def test_volatility_is_known_at_the_first_mid_from_the_seconds_before_it():
    coin = CoinModel(CoinParams())
    price = 100.0
    for second in range(300):
        coin.take_second((1_000 + second) * S, price)
        price *= math.exp(1e-4 if second % 2 else -1e-4)
    coin.take_mid(price, 1_300 * S + 150 * MS, 1)
    assert coin.volatility == pytest.approx(1e-4, rel=1e-3)
    assert coin.returns_count == 299


def test_a_second_that_was_seen_live_and_a_hole_teach_nothing_again():
    coin = CoinModel(CoinParams(warmup_s=1, spot_lag_ms=0))
    coin.take_mid(100.0, 1_000 * S, 1)
    for second in (990, 991, 991, 989, 998, 1_000, 1_001, 1_002):
        coin.take_second(second * S, 100.0 + second / 1e4)
    # From 990 to 991 and from 998 to 1 000; the seven seconds between are a hole.
    assert coin.returns_count == 3


def test_first_print_beside_a_jump_neither_sets_the_basis_nor_is_believed_to_be_exact():
    coin = CoinModel(CoinParams(spot_lag_ms=0))
    for second in range(20):
        coin.take_mid(100.0, (1_000 + second) * S, 1)
        coin.take_print((1_000 + second) * S, 100.3 if second == 1 else 100.0)
    assert coin.basis_count == 19
    assert coin.basis == pytest.approx(0.003 / 19, rel=0.01)
    assert coin.basis_noise > 0.0005


def test_one_jump_at_the_start_does_not_stand_for_the_whole_window():
    coin = CoinModel(CoinParams(spot_lag_ms=0, warmup_s=10))
    for second in range(60):
        mid = 100.0 if not second else 100.5 + 0.01 * (second % 2)
        coin.take_mid(mid, second * S, 1)
    jump, step = 0.005, 0.0001
    expected = ((jump**2 + 58 * step**2) / 59) ** 0.5
    assert coin.volatility == pytest.approx(expected, rel=0.05)


def test_silence_and_reconnects_say_nothing_about_volatility():
    coin = CoinModel(CoinParams(warmup_s=1))
    for second in range(60):
        coin.take_mid(100.0, second * S, 1)
    coin.take_mid(130.0, 200 * S, 1)
    coin.take_mid(130.0, 201 * S, 1)
    coin.take_mid(160.0, 202 * S, 2)
    coin.take_mid(160.0, 203 * S, 2)
    assert coin.volatility == 1e-5


def test_a_print_without_its_mid_gives_no_basis_but_locks():
    coin = CoinModel(CoinParams())
    coin.take_print(50 * S, 100.0)
    assert coin.basis_count == 0
    assert coin.locked(49, 51) == (200.0, 2, 1)


def test_a_lead_is_worth_what_it_foretold_and_no_more():
    # Each second goes 1e-4 the way of the lead before it, and 1e-4 up or down by itself.
    coin = CoinModel(CoinParams(spot_lag_ms=0, lead_returns_min=4, lead_doubt=0.0))
    mid, lead = 100.0, 0.0
    for second, (next_lead, own) in enumerate(
        [(1.0, 1), (-1.0, 1), (1.0, 1), (-1.0, -1), (0.0, -1)], start=1
    ):
        coin.take_mid(mid, second * S, 1, lead)
        mid *= math.exp(1e-4 * (lead + own))
        lead = next_lead
    coin.take_mid(mid, 6 * S, 1, lead)
    coin.take_mid(mid, 7 * S, 1, 0.5)
    # Leads 1, -1, 1, -1 met moves of 2, 0, 0, -2 in 1e-4: slope (2 + 0 + 0 + 2) / 4 = 1.
    assert coin.lead_count == 4
    assert coin.lead_weight == pytest.approx(1e-4, rel=1e-6)
    assert coin.ahead == pytest.approx(mid * (1 + 0.5e-4), rel=1e-9)
    assert coin.mid == mid


@pytest.mark.parametrize(
    ("z", "up", "told"),
    [
        # 3.21 above the start price are 0.104 deviations: one is 30.86.
        (0.10, 0.5414, "; a deviation is about 30.8"),
        (-2.00, 0.0228, "; a deviation is about 1.6"),
        (0.01, 0.5040, ""),
        (9.00, 1.0000, "; a deviation is about 0.36"),
    ],
)
def test_what_a_deviation_is_is_told_where_the_numbers_tell(z, up, told):
    words = _deviation_words(3_357.92, 3_354.71, z, up)
    assert words.startswith(told)
    assert bool(words) is bool(told)
    assert _deviation_words(3_357.92, None, z, up) == ""


def test_a_lead_that_foretells_nothing_weighs_nothing():
    coin = CoinModel(CoinParams(spot_lag_ms=0, lead_returns_min=100))
    for second in range(400):
        # Moves do not follow leads: both signs of one meet both of the other equally often.
        coin.take_mid(100.0 * (1 + 1e-4 * (second // 2 % 2)), second * S, 1, (-1.0) ** second)
    assert coin.lead_count > 300
    assert coin.lead_weight == pytest.approx(0.0, abs=1e-6)
    assert abs(coin.ahead - coin.mid) / coin.mid < 1e-6
    early = CoinModel(CoinParams(spot_lag_ms=0, lead_returns_min=100))
    for second in range(90):
        early.take_mid(100.0 * 1.0001**second, second * S, 1, 1.0)
    assert early.lead_weight == 0.0
