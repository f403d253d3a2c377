"""Rebates: the price by hand, what is quoted, what makes it leave, what it learns from fills."""

import pytest
from engine_fakes import WALL0, S, World
from hypothesis import given
from hypothesis import strategies as st
from signals_rig import make

from lowlat.core.errors import ConfigError
from lowlat.core.layout import (
    REPORT,
    SIGNAL,
    Coin,
    OrderState,
    ReportKind,
    ReportRecord,
    Urgency,
)
from lowlat.core.signal import decode_signal
from lowlat.core.units import E6
from lowlat.signals.module import make_module
from lowlat.signals.rebate_quotes import Budget
from lowlat.signals.rebate_value import logit_skew, worth_words
from lowlat.signals.rebates import Rebates

DAY = 86_400 * S
PAYS = {
    "start_ns": WALL0 - DAY,
    "end_ns": WALL0 + 14 * DAY,
    "rebate_rate_e6": 250_000,
    "reward_day_e6": 0,
}
BOOK = ([(4_800, 300), (4_700, 300)], [(5_200, 300), (5_300, 300)])


class Town:
    """One module, one market, and an executor that a test plays."""

    def __init__(self, row=None, **params):
        self.world = World()
        self.module = make_module(Rebates, params)
        self.world.put_market(0, **(PAYS | (row or {})))
        self.engine = make(self.world, self.module)
        self.intents = 0

    def show(self, book=BOOK, by_s=1, **changes):
        self.world.advance(int(by_s * S))
        self.world.shard()
        self.world.put_book(0, *book, **changes)
        self.engine.turn(self.world.now)

    def warm(self):
        for _ in range(12):
            self.show()

    @property
    def signals(self):
        return [decode_signal(each) for each in self.world.signals.decoded(SIGNAL)]

    @property
    def quotes(self):
        return [each for each in self.signals if each.size_suggestion]

    @property
    def pulls(self):
        return [
            (each.token_id, each.metadata["why"])
            for each in self.signals
            if not each.size_suggestion
        ]

    def report(self, signal, kind, state, *, intent, size=0, filled=0, position=0, cash=0):
        fields = dict.fromkeys(ReportRecord._fields, 0)
        for name in ("order_id", "trade_id", "trade_text"):
            fields[name] = b""
        instrument = int(signal.token_id) - 2_000
        fields |= {
            "kind": int(kind),
            "order_state": int(state),
            "intent": intent,
            "module": b"rebates",
            "instrument": instrument,
            "generation": 1,
            "price_e4": signal.limit_price_e4,
            "size_e6": size,
            "filled_e6": filled,
            "position_e6": position,
            "cash_e6": cash,
        }
        self.world.reports.send(REPORT, ReportRecord(**fields))
        self.engine.turn(self.world.now)

    def rest_all(self):
        """Let every quote of the last look rest at the venue."""
        found = self.quotes[-2:]
        for at, signal in enumerate(found):
            size = signal.size_suggestion
            self.report(signal, ReportKind.SENDING, OrderState.SENDING, intent=10 + at, size=size)
            self.report(signal, ReportKind.ACK, OrderState.LIVE, intent=10 + at, size=size)
        return found

    def cancel_all(self, found):
        for at, signal in enumerate(found):
            self.report(signal, ReportKind.CANCELED, OrderState.CANCELED, intent=10 + at)


def resting(**params):
    here = Town(**params)
    here.warm()
    found = here.rest_all()
    return here, found


def test_the_skew_of_the_reference():
    assert logit_skew(0.5, 100, 0.002) == pytest.approx(0.4502, abs=5e-5)


@given(
    chance=st.floats(0.001, 0.999),
    inventory=st.floats(-10_000, 10_000),
    gamma=st.floats(1e-5, 0.01),
)
def test_the_skew_stays_a_chance_and_leans_against_inventory(chance, inventory, gamma):
    skewed = logit_skew(chance, inventory, gamma)
    assert 0.0 <= skewed <= 1.0
    if inventory > 1:
        assert skewed <= chance + 1e-12
    if inventory < -1:
        assert skewed >= chance - 1e-12


def test_both_sides_are_bid_for_post_only_at_the_price_by_hand():
    here = Town()
    here.warm()
    yes, no = here.quotes
    assert {yes.token_id, no.token_id} == {"2000", "2001"}
    assert yes.urgency == no.urgency == Urgency.LOW
    # Mid 0.50, no inventory; rebate 0.25 * 0.04 * 0.25 = 0.0025; half = 0.008 + 0.002 - 0.0025
    # = 0.0075: at most 0.4925, on the grid 0.49. The same for NO.
    assert (yes.limit_price_e4, no.limit_price_e4) == (4_900, 4_900)
    told = yes.metadata
    assert told["rebate"] == pytest.approx(0.25 * 0.04 * 0.49 * 0.51, abs=1e-6)
    edge = told["worth"] - 0.49 + told["rebate"] - told["adverse"]
    shares = yes.size_suggestion / E6
    assert yes.expected_value == pytest.approx(0.3 * edge * shares, abs=1e-4)
    assert shares * 0.49 <= 25.0


def test_one_tick_better_than_the_others_is_enough():
    # The margin would allow 0.49; the others bid 0.46 and 0.47.
    wide = ([(4_600, 300), (4_500, 300)], [(5_300, 300), (5_400, 300)])
    here = Town()
    for _ in range(12):
        here.show(wide)
    assert [each.limit_price_e4 for each in here.quotes] == [4_700, 4_800]


def test_a_budget_is_spent_by_who_may_and_refills():
    budget = Budget(2.0, 1.0)
    assert budget.has(10 * S)
    assert budget.has(10 * S)
    budget.take()
    assert not budget.has(10 * S + S // 4)
    assert budget.has(10 * S + S // 2)


def test_the_budget_of_all_is_not_spent_by_a_market_that_may_not_move():
    here = Town(requotes_per_minute=1, quotes_per_s=1)
    here.warm()
    found = here.rest_all()
    for at in range(20):
        # The market has spent its one requote; fresh quotes still leave.
        shift = 200 * (at % 2)
        here.show(([(4_700 + shift, 300)], [(5_100 + shift, 300)]), by_s=2)
    here.cancel_all(found)
    before = len(here.quotes)
    for _ in range(15):
        here.show()
    assert here.world.counts["signals.rebates.over_budget"] > 0
    assert {each.token_id for each in here.quotes[before:]} == {"2000", "2001"}


def test_nothing_is_sent_twice_while_it_is_on_its_way_or_rests():
    here, _ = resting()
    before = len(here.signals)
    for _ in range(5):
        here.show()
    assert len(here.signals) == before


def test_a_wish_nobody_answers_is_made_again_later():
    here = Town()
    here.warm()
    before = len(here.quotes)
    for _ in range(4):
        here.show()
    assert len(here.quotes) > before


def test_inventory_moves_the_quotes_and_stops_the_side_that_adds():
    here, (yes, _) = resting(inventory_e6_max=50 * E6)
    size = yes.size_suggestion
    here.report(
        yes,
        ReportKind.FILL,
        OrderState.MATCHED,
        intent=10,
        size=size,
        filled=size,
        position=size,
        cash=1,
    )
    for _ in range(3):
        here.show()
    later = [each for each in here.quotes[2:] if each.token_id == "2000"]
    assert later == []


@pytest.mark.parametrize(
    ("book", "flags", "why"),
    [
        (([(5_200, 300)], [(5_600, 300)]), 0, "jump"),
        (([(4_800, 20)], [(5_200, 300), (5_300, 300)]), 0, "depth_gone"),
        (BOOK, 8, "odd_book"),
        (([], [(5_200, 300)]), 0, "odd_book"),
    ],
)
def test_it_leaves_at_once(book, flags, why):
    here, _ = resting()
    here.show(book, flags=flags)
    assert sorted(here.pulls) == [("2000", why), ("2001", why)]


def test_it_comes_back_after_the_calm():
    here, found = resting()
    here.show(([(5_200, 300)], [(5_600, 300)]))
    here.cancel_all(found)
    before = len(here.quotes)
    for _ in range(8):
        here.show(([(5_200, 300)], [(5_600, 300)]))
    assert len(here.quotes) == before
    for _ in range(4):
        here.show(([(5_200, 300)], [(5_600, 300)]))
    assert [each.limit_price_e4 for each in here.quotes[before:][:2]] == [5_300, 4_500]


@pytest.mark.parametrize(
    "changes",
    [
        {"end_ns": WALL0 + 3_600 * S + 25 * S},
        {"start_ns": WALL0 + 300 * S + 25 * S},
    ],
    ids=["end", "start"],
)
def test_nothing_rests_near_the_start_or_the_end(changes):
    here = Town(row=changes)
    here.warm()
    here.rest_all()
    assert here.pulls == []
    for _ in range(6):
        here.show()
    assert {why for _, why in here.pulls} == {"closed"}


def test_nothing_rests_in_a_quiet_window():
    second = WALL0 // S
    here = Town(quiet_unix_s=[[second, second + 60]])
    here.warm()
    assert here.quotes == []


def test_a_coin_that_jumps_pulls_its_markets():
    here = Town(row={"coin": int(Coin.BTC)}, crypto_markets=True)
    here.warm()
    here.rest_all()
    here.world.put_spot(1, 98_000)
    here.engine.turn(here.world.now)
    here.world.put_spot(1, 98_010)
    here.engine.turn(here.world.now)
    assert here.pulls == []
    here.world.put_spot(1, 98_100)
    here.engine.turn(here.world.now)
    assert sorted(here.pulls) == [("2000", "spot"), ("2001", "spot")]


def test_requotes_have_a_budget():
    here = Town(requotes_per_minute=4)
    here.warm()
    for at in range(30):
        found = here.rest_all()
        shift = 100 * (at % 2)
        here.show(([(4_800 + shift, 300)], [(5_200 + shift, 300)]), by_s=0.3)
        here.cancel_all(found)
    assert here.world.counts["signals.rebates.over_budget"] > 0
    assert len(here.signals) < 30


def test_fills_that_lose_rest_the_market():
    here, (yes, _) = resting(fills_judged=2, adverse_prior_fills=1.0)
    for at in range(2):
        here.report(
            yes,
            ReportKind.FILL,
            OrderState.LIVE,
            intent=10,
            size=5 * E6,
            filled=(at + 1) * 5 * E6,
            position=(at + 1) * 5 * E6,
            cash=1,
        )
    lower = ([(4_700, 300), (4_600, 300)], [(5_100, 300), (5_200, 300)])
    lowest = ([(4_600, 300), (4_500, 300)], [(5_000, 300), (5_100, 300)])
    here.show(lower)
    for _ in range(35):
        here.show(lowest)
    assert here.world.counts["signals.rebates.marked_5s"] == 2
    assert here.world.counts["signals.rebates.rested_after_losses"] == 1


def test_rewards_are_scored_as_the_venue_does():
    here = Town(
        row={
            "reward_day_e6": 240 * E6,
            "reward_spread_e4": 300,
            "reward_size_e6": 20 * E6,
            "rebate_rate_e6": 0,
        }
    )
    here.warm()
    first, second = here.quotes
    # One side of 51 shares at 1 cent: 51 * (2/3)^2 / 3 = 7.56 of 7.56 + the book's own
    # 300 * (1/3)^2 a side = 33.3: 240 * 7.56 / 40.9 = 44.4 dollars a day.
    shares = first.size_suggestion / E6
    ours = shares * (2 / 3) ** 2 / 3
    assert first.metadata["reward_day"] == pytest.approx(240 * ours / (ours + 300 / 9), rel=1e-3)
    assert second.metadata["reward_day"] > 0


def test_only_so_many_markets_are_quoted_the_best_payers_first():
    world = World()
    for market, day in ((0, 5), (1, 90), (2, 30)):
        world.put_market(market, **(PAYS | {"reward_day_e6": day * E6, "volume_e6": 0}))
    module = make_module(Rebates, {"markets_max": 1})
    engine = make(world, module)
    assert [each.chosen for each in module._markets] == [True, False, False]
    world.put_market(0, status=3)
    engine.turn(world.now)
    chosen = {each.row.market for each in module._markets if each.chosen}
    assert chosen == {1}


def test_markets_that_pay_nothing_are_not_wanted():
    world = World()
    row = world.put_market(0, **(PAYS | {"rebate_rate_e6": 0}))
    assert not make_module(Rebates, {}).interest(row)


@pytest.mark.parametrize(
    "settings",
    [
        {"mid_min_e4": 9_500},
        {"gamma": 0.0},
        {"quiet_unix_s": [[5, 5]]},
        {"quotes_per_s": 0},
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        make_module(Rebates, settings)


def test_the_worth_of_a_quote_is_told_so_that_it_can_be_worked_out_again():
    # 50 shares at 0.011658, three of ten filled, and 24 cents of rewards a day: one an hour.
    assert worth_words(0.3 * 50 * 0.011658 + 0.01, 50 * 0.011658, 0.24) == [
        "worth $0.1849: 30% of $0.5829 if all of it is filled, and an hour of rewards"
    ]
    # A quote that only rewards pay for has no share to tell.
    assert worth_words(0.01, -0.2, 0.24) == []
