"""Bonds: the arithmetic by hand, the dips it learns from, what it leaves alone."""

import pytest
from engine_fakes import WALL0, S, World
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_rig import make

from lowlat.core.errors import ConfigError
from lowlat.core.layout import (
    REPORT,
    SIGNAL,
    Action,
    Category,
    Coin,
    Dispute,
    OrderState,
    ReportKind,
    ReportRecord,
    Wording,
)
from lowlat.core.signal import decode_signal
from lowlat.core.units import E6
from lowlat.signals.bond_value import BondsParams, Fills, days_to_cash, value_bond
from lowlat.signals.bonds import Bonds
from lowlat.signals.module import make_module

DAY = 86_400 * S
SAFE = {
    "end_ns": WALL0 + 14 * DAY,
    "wording": int(Wording.TEXT | Wording.OFFICIAL),
    "dispute": int(Dispute.NONE),
    "category": int(Category.ECONOMY),
    "volume_e6": 10**6 * E6,
    "liquidity_e6": 10**5 * E6,
    "listed_ns": WALL0 - 30 * DAY,
}
FAIR = ([(9_400, 500)], [(9_600, 500)])
CHEAP = ([(9_100, 500)], [(9_200, 500)])


class Town:
    """One module over markets whose books a test moves."""

    def __init__(self, **params):
        self.world = World()
        self.module = make_module(Bonds, params)
        self.engine = None

    def market(self, market=0, **changes):
        self.world.put_market(market, **(SAFE | changes))
        if self.engine is None:
            self.engine = make(self.world, self.module)

    def show(self, book, market=0, by_s=2):
        self.world.advance(int(by_s * S))
        self.world.shard()
        self.world.put_book(market, *book)
        self.engine.turn(self.world.now)

    def settle_in(self, market=0, book=FAIR, seconds=80):
        for _ in range(seconds // 2):
            self.show(book, market)

    def dip(self, market=0, *, back=True):
        """Show a dip for a second, then where the market went; wait until it was judged."""
        self.show(CHEAP, market, by_s=1)
        for _ in range(12):
            self.show(FAIR if back else CHEAP, market)

    def report(self, signal, kind, state, shares, position=0):
        """Say what became of an order for a signal."""
        fields = dict.fromkeys(ReportRecord._fields, 0)
        for name in ("order_id", "trade_id", "trade_text"):
            fields[name] = b""
        fields |= {
            "kind": int(kind),
            "order_state": int(state),
            "intent": 7,
            "module": b"bonds",
            "instrument": int(signal.token_id) - 2_000,
            "generation": 1,
            "price_e4": signal.limit_price_e4,
            "size_e6": shares * E6,
            "position_e6": position * E6,
        }
        self.world.reports.send(REPORT, ReportRecord(**fields))
        self.engine.turn(self.world.now)

    def fill(self, signal, shares, position=None):
        """Send an order for a signal and fill so much of it."""
        size = signal.size_suggestion // E6
        self.report(signal, ReportKind.SENDING, OrderState.SENDING, size)
        held = shares if position is None else position
        self.report(signal, ReportKind.FILL, OrderState.MATCHED, shares, held)

    @property
    def signals(self):
        return [decode_signal(each) for each in self.world.signals.decoded(SIGNAL)]


def town(**params):
    found = Town(**params)
    found.market()
    found.settle_in()
    return found


def test_the_worked_example_of_the_reference():
    # 0.97 at rate 0.04: c = 0.97 + 0.04 * 0.97 * 0.03 = 0.971164; with 1.5 % lost EV is 1.38 cent.
    params = BondsParams(venue_loss_ppm=0)
    bond = value_bond(0.986, 0.971164, 0.001, 14.0, params)
    assert bond.chance == pytest.approx(0.985)
    assert bond.edge == pytest.approx(0.013836)
    # 2 * 0.001 * 5 days of dispute and a quarter of a day to settle.
    assert bond.days == pytest.approx(14.26)
    assert bond.yearly == pytest.approx(0.013836 / 0.971164 * 365 / 14.26)
    assert bond.kelly == pytest.approx(0.013836 / 0.028836)


def test_losses_add_and_calibration_scales_the_event_only():
    params = BondsParams(venue_loss_ppm=500)
    bond = value_bond(0.95, 0.90, 0.004, 1.0, params, 0.5)
    assert bond.event_loss == pytest.approx(0.025)
    assert bond.chance == pytest.approx(1 - 0.025 - 0.004 - 0.0005)


@settings(max_examples=50)
@given(
    consensus=st.floats(0.5, 1.0),
    cost=st.floats(0.5, 0.999),
    rules=st.floats(0.0, 0.5),
    days=st.floats(0.0, 365.0),
)
def test_more_doubt_never_makes_a_bond_better(consensus, cost, rules, days):
    params = BondsParams()
    bond = value_bond(consensus, cost, rules, days, params)
    worse = value_bond(consensus, cost, rules + 0.01, days, params)
    later = value_bond(consensus, cost, rules, days + 1.0, params)
    assert worse.chance <= bond.chance <= 1.0
    assert worse.days >= bond.days >= days_to_cash(days, 0.0, params)
    assert abs(later.yearly) <= abs(bond.yearly)
    assert bond.kelly <= 1.0


def test_a_dip_is_not_bought_before_dips_were_seen_to_come_back():
    here = town()
    here.dip()
    assert here.signals == []
    assert here.world.counts["signals.bonds.dips"] == 1
    assert here.world.counts["signals.bonds.dips_back"] == 1


def test_once_dips_come_back_a_dip_is_bought():
    here = town()
    for _ in range(8):
        here.dip()
    assert here.signals
    signal = here.signals[-1]
    assert (signal.action, signal.token_id) == (Action.BUY, "2000")
    told = signal.metadata
    # By hand: worth = consensus less the three losses; edge = worth less the cost that is told.
    worth = 1 - told["loss_event"] - told["loss_rules"] - 0.0005
    assert told["loss_event"] == pytest.approx(1 - told["consensus"], abs=1e-5)
    assert signal.confidence == pytest.approx(worth, abs=1e-6)
    shares = signal.size_suggestion / E6
    assert signal.expected_value == pytest.approx(0.8 * (worth - told["cost"]) * shares, abs=1e-4)
    cost = 0.92 + 0.04 * 0.92 * 0.08
    assert told["cost"] == pytest.approx(cost, abs=1e-5)
    assert told["consensus"] == pytest.approx(
        told["mid"] + told["w"] * (told["slow"] - told["mid"]), abs=1e-4
    )
    # A tenth of Kelly of 1 000 dollars, the fee in its cost, or 50 dollars.
    cash = min(50.0, 100.0 * (worth - cost) / (1.0 - cost))
    assert told["cash"] == pytest.approx(cash, abs=0.02)
    assert shares <= told["cash"] / 0.92 < shares + 1


def test_kelly_of_a_bond_counts_the_fee():
    """At 0.92 the fee is 0.002944 a share: the edge and what can be won are both less by it."""
    here = learned(bankroll_usd=300.0)
    here.show(CHEAP)
    wish = here.signals[-1]
    worth, cost = wish.confidence, 0.92 + 0.04 * 0.92 * 0.08
    without = 30.0 * (worth - 0.92) / 0.08
    assert wish.metadata["cash"] == pytest.approx(30.0 * (worth - cost) / (1.0 - cost), abs=0.01)
    assert wish.metadata["cash"] < without - 0.1
    assert "venue" in " ".join(Bonds.describe(wish, here.world.rows[0]))


def test_where_dips_are_news_nothing_is_bought():
    here = town()
    for _ in range(6):
        here.settle_in(seconds=1_200)
        here.dip(back=False)
    assert here.world.counts["signals.bonds.dips_gone"] == 6
    assert here.signals == []


def test_the_other_token_is_bought_as_well():
    here = Town()
    here.market()
    low, cheap = ([(400, 500)], [(600, 500)]), ([(800, 500)], [(900, 500)])
    here.settle_in(book=low)
    for _ in range(8):
        here.show(cheap, by_s=1)
        for _ in range(12):
            here.show(low)
    assert {each.token_id for each in here.signals} == {"2001"}
    assert all(each.metadata["slow"] > 0.9 for each in here.signals), "told of the token bought"


@pytest.mark.parametrize(
    "changes",
    [
        {"end_ns": WALL0 + 200 * DAY},
        {"end_ns": WALL0 + 1},
        {"wording": 0, "category": int(Category.POLITICS), "liquidity_e6": -1},
    ],
    ids=["too far", "over", "rules unknown"],
)
def test_what_is_too_far_or_too_doubtful_is_refused_and_counted(changes):
    here = Town()
    here.market(0, **changes)
    here.settle_in()
    for _ in range(8):
        here.dip()
    assert here.signals == []
    counts = here.world.counts
    found = (
        counts.get("signals.bonds.refused_rules", 0),
        counts.get("signals.bonds.refused_over", 0),
    )
    assert sum(found) > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"coin": int(Coin.BTC)},
        {"neg_risk_augmented": 1},
        {"dispute": int(Dispute.DISPUTED)},
        {"end_ns": 0},
        {"known": 0},
    ],
)
def test_these_markets_are_not_even_watched(changes):
    world = World()
    row = world.put_market(0, **(SAFE | changes))
    assert not make_module(Bonds, {}).interest(row)


def test_a_quiet_book_costs_no_python():
    here = town()
    seen = []
    look = here.module.on_book
    here.module._markets[0].watch.__init__(0, lambda book, now: (seen.append(now), look(book, now)))
    here.show(FAIR)
    assert len(seen) == 1
    for _ in range(20):
        here.world.put_book(0, [(9_400, 501)], FAIR[1])
        here.engine.turn(here.world.advance(1_000))
    assert len(seen) == 1


def learned(**params):
    """Return a town whose dips came back so often that they are bought."""
    here = town(**params)
    for _ in range(8):
        here.dip()
    here.settle_in(seconds=600)
    return here


def test_what_the_account_holds_counts_against_the_cap_whoever_bought_it():
    here = learned(market_cash_e6_max=50 * E6, bankroll_usd=10_000.0)
    first = len(here.signals)
    here.show(CHEAP)
    wish = here.signals[first]
    assert 0 < wish.size_suggestion * wish.metadata["cost"] / E6 <= 50.0
    # 40 of the 50 dollars are in the market now, then all of them.
    here.fill(wish, 43)
    here.show(CHEAP)
    second = here.signals[-1]
    assert len(here.signals) == first + 2
    assert 0 < second.size_suggestion * second.metadata["cost"] / E6 <= 10.5
    here.fill(second, 11, position=54)
    for _ in range(4):
        here.show(CHEAP)
    assert len(here.signals) == first + 2
    assert here.world.counts["signals.bonds.refused_size"] > 0


def test_a_wish_takes_one_level_and_what_is_left_is_looked_at_again():
    here = learned()
    first = len(here.signals)
    cheap = ([(9_000, 500)], [(9_100, 12), (9_200, 500)])
    here.show(cheap)
    wish = here.signals[-1]
    assert len(here.signals) == first + 1
    assert (wish.limit_price_e4, wish.size_suggestion) == (9_100, 12 * E6)
    # Nobody took anything and nothing moved: it would be refused again.
    for _ in range(3):
        here.engine.turn(here.world.advance(S))
    assert len(here.signals) == first + 1
    # Bought from a book that then says nothing more.
    here.show(cheap)
    here.fill(here.signals[-1], 12)
    seen = len(here.signals)
    for _ in range(3):
        here.engine.turn(here.world.advance(S))
    assert len(here.signals) == seen + 1


def test_a_better_offer_within_the_cooldown_is_not_forgotten():
    here = learned()
    first = len(here.signals)
    here.show(CHEAP)
    here.show(([(8_900, 500)], [(9_000, 20), (9_200, 500)]), by_s=0.01)
    assert len(here.signals) == first + 1
    for _ in range(2):
        here.engine.turn(here.world.advance(S))
    assert here.signals[-1].limit_price_e4 == 9_000
    assert len(here.signals) == first + 2


def test_a_token_that_nobody_offers_is_followed_by_its_bid():
    # Bids at 0.97 and no ask: whoever would sell below a dollar would be seen, so 0.985.
    here = Town()
    here.market()
    alone = ([(9_700, 500)], [])
    here.settle_in(book=alone)
    for _ in range(8):
        here.show(([(9_300, 500)], [(9_400, 500)]), by_s=1)
        for _ in range(12):
            here.show(alone)
    assert here.world.counts["signals.bonds.dips_back"] == 8
    assert here.signals[-1].metadata["slow"] == pytest.approx(0.985, abs=0.002)


def test_a_book_with_nobody_near_its_mid_says_nothing():
    here = Town()
    here.market()
    here.settle_in(book=([(9_100, 500)], [(9_900, 500)]))
    here.settle_in(book=([(9_300, 500)], []))
    here.show(([(9_000, 500)], [(9_100, 500)]))
    assert here.world.counts.get("signals.bonds.dips", 0) == 0


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.0, 1.0)), max_size=20))
def test_the_promise_follows_what_part_of_our_orders_is_filled(orders):
    fills = Fills(BondsParams())
    assert fills.probability() == pytest.approx(0.8)
    sent = got = 0
    for shares, part in orders:
        fills.sent(shares * E6)
        assert fills.probability() <= (80 + got) / (100 + sent) + 1e-9
        filled_e6 = int(shares * E6 * part)
        fills.got(filled_e6)
        sent, got = sent + shares, got + filled_e6 / E6
        assert fills.probability() == pytest.approx((80 + got) / (100 + sent))
    for _ in orders:
        fills.got(-500 * E6)
    assert 0.0 <= fills.probability() <= 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"ask_min_e4": 4_000},
        {"kelly_share": 1.0},
        {"calibration": {"cats": 1.0}},
        {"calibration": {"sports": 0.0}},
        {"edge_min": 0.0},
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        make_module(Bonds, settings)
