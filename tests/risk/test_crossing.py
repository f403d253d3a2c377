"""Shares that one module sells and another buys change owner inside; the account never moves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_rig import FREE, Rig

from lowlat.core.layout import Action, Rule
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams

BUY, SELL = int(Action.BUY), int(Action.SELL)
BOOK = {"bids": ((4500, 1_000),), "asks": ((4600, 1_000),)}


def name(module):
    return module.ljust(16, b"\0")


def owner(rig, module, instrument=0):
    stake = rig.engine.state.scores.stakes.get((name(module), instrument))
    return (0, 0) if stake is None else (stake.size_e6 / E6, stake.cost_e6 / E6)


def bought(rig, module, shares, cost, instrument=0, held=0, held_cost=0.0, settled=None):
    """Let a module buy: its order, the fill, and (as far as said) its settlement."""
    rig.signal(instrument, shares, 5000, module=module, expected_value=shares * 0.02)
    rig.turn()
    intent = rig.intended[-1]
    assert intent.module == name(module), rig.rules[-1]
    rig.fill(intent, shares, cost)
    rig.turn()
    total = held + shares
    rig.hold(instrument, total, held_cost + cost, confirmed=total if settled is None else settled)


def wishes(rig, sell, buy, *, at=(4400, 4700), by=(b"up", b"down"), worth=0.03, **changes):
    """One module sells, another buys, in one turn; return both decisions, in their order."""
    before = len(rig.decided)
    rig.signal(0, sell, at[0], action=SELL, module=by[0], expected_value=sell * worth, **changes)
    rig.signal(0, buy, at[1], module=by[1], expected_value=buy * worth)
    rig.turn()
    return rig.decided[before:]


@pytest.fixture
def rig():
    rig = Rig(limits=LimitsParams(**FREE))
    rig.market(**BOOK)
    bought(rig, b"up", 100, 40.0)
    return rig


def test_the_worked_example_of_the_module(rig):
    sent = len(rig.intended)
    seller, buyer = wishes(rig, 100, 60)
    for decision, action, module in ((seller, SELL, b"up"), (buyer, BUY, b"down")):
        assert (decision.rule, decision.approved, decision.intent) == (Rule.CROSSED, 0, 0)
        assert (decision.action, decision.module) == (action, name(module))
        assert (decision.size_e6, decision.was, decision.limit) == (60 * E6, 60 * E6, 4550)
    assert len(rig.intended) == sent, "nothing goes to the venue"
    assert owner(rig, b"up") == (40, 16.0)
    assert owner(rig, b"down") == (60, 27.3)
    records = rig.engine.state.scores.records
    assert records[name(b"up")].realized_e6 == 3_300_000
    assert records[name(b"down")].realized_e6 == 0
    assert {records[name(each)].crossed_e6 for each in (b"up", b"down")} == {60 * E6}
    # What a share promised the buyer came with it: 3 cents.
    stake = rig.engine.state.scores.stakes[name(b"down"), 0]
    assert stake.promised_e6 == pytest.approx(60 * 30_000, abs=60)


@pytest.mark.parametrize(
    ("limits", "price_e4"), [((4400, 4700), 4550), ((4600, 4700), 4600), ((4000, 4500), 4500)]
)
def test_the_price_is_the_mid_of_the_book_between_both_limits(rig, limits, price_e4):
    seller, buyer = wishes(rig, 10, 10, at=limits)
    assert (seller.limit, buyer.limit) == (price_e4, price_e4)


def test_wishes_whose_limits_do_not_meet_are_no_matter_for_each_other(rig):
    decisions = wishes(rig, 10, 10, at=(4700, 4600))
    assert all(each.rule != Rule.CROSSED for each in decisions)
    assert owner(rig, b"up") == (100, 40.0)


def test_only_what_the_seller_owns_and_has_settled_moves(rig):
    bought(rig, b"down", 50, 23.0, held=100, held_cost=40.0, settled=30)
    wishes(rig, 100, 80)
    assert owner(rig, b"up")[0] == 70, "thirty are settled"
    # The buyer of before owns what it bought; it cannot sell what is up's.
    seller, _ = wishes(rig, 100, 80, by=(b"other", b"test"))
    assert seller.size_e6 == 0
    assert owner(rig, b"other") == (0, 0)


def test_a_halt_a_stopped_buyer_and_a_used_up_budget_move_nothing(rig):
    rig.halt = 3
    assert {each.rule for each in wishes(rig, 10, 10)} <= {Rule.HALTED, Rule.CROSSED}
    rig.halt = 0
    score = rig.engine.state.scores.score(name(b"down"))
    score.stopped = True
    wishes(rig, 10, 10)
    score.stopped = False
    score.budget_ppm = 0
    wishes(rig, 10, 10)
    assert owner(rig, b"up") == (100, 40.0)
    score.budget_ppm = 1_000_000
    wishes(rig, 10, 10)
    assert owner(rig, b"up")[0] == 90


def test_a_budget_cuts_what_changes_hands(rig):
    rig.engine.state.scores.score(name(b"down")).budget_ppm = 1
    room_e6 = rig.engine.state.bankroll_e6 // 1_000_000
    _, buyer = wishes(rig, 100, 100)
    assert buyer.size_e6 == room_e6 * 10_000 // 4550
    assert owner(rig, b"down")[1] <= room_e6 / E6


def test_a_shadow_moves_nobodys_shares_and_nobodys_orders(rig):
    decisions = wishes(rig, 100, 60, mode=0)
    shadow, live = sorted(decisions, key=lambda each: -each.action)
    assert (shadow.rule, shadow.approved) == (Rule.MODULE_OFF, 0)
    assert live.approved
    assert live.rule != Rule.CROSSED
    assert owner(rig, b"up") == (100, 40.0)


def test_a_shadow_neither_pools_nor_nets_with_what_is_sent():
    rig = Rig(limits=LimitsParams(**FREE))
    rig.market(**BOOK)
    rig.signal(0, 10, 4600, module=b"up", expected_value=1.0)
    rig.signal(0, 50, 4600, module=b"large", expected_value=9.0, mode=0)
    rig.signal(1, 10, 5500, module=b"down", expected_value=2.0, mode=0)
    rig.turn()
    found = {each.module.rstrip(b"\0"): each for each in rig.decided}
    assert found[b"up"].approved
    assert [each.module for each in rig.intended] == [name(b"up")]
    assert found[b"large"].approved == found[b"down"].approved == 0


def test_owners_after_a_crossing_survive_a_restart_of_risk(rig):
    wishes(rig, 100, 60)
    before = {each: owner(rig, each) for each in (b"up", b"down")}
    rig.start()
    assert {each: owner(rig, each) for each in (b"up", b"down")} == before


MODULES = (b"up", b"down", b"other")
HELD_MAX = 70
"""Shares that the limit of a market leaves room for."""
steps = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.sampled_from(MODULES), st.integers(5, 40)),
        st.tuples(
            st.just("cross"),
            st.permutations(MODULES),
            st.integers(1, 90),
            st.integers(1, 90),
            st.integers(40, 50),
            st.integers(40, 50),
        ),
        st.tuples(st.just("restart")),
    ),
    max_size=14,
)


@settings(max_examples=40)
@given(steps)
def test_owners_add_up_to_the_position_and_their_money_to_what_was_paid(plan):
    rig = Rig(limits=LimitsParams(**FREE))
    rig.market(**BOOK)
    held, paid, moved = 0, 0.0, 0
    for step in plan:
        if step[0] == "buy":
            _, module, shares = step
            if held + shares > HELD_MAX:
                continue
            cost = round(shares * 0.46, 2)
            bought(rig, module, shares, cost, held=held, held_cost=paid)
            held, paid = held + shares, paid + cost
        elif step[0] == "cross":
            _, by, sell, buy, low, high = step
            before = {each: owner(rig, each)[0] for each in MODULES}
            first, second = wishes(
                rig, sell, buy, at=(100 * low, 100 * high), by=by[:2], worth=-0.01
            )
            assert not first.approved + second.approved, "what is worth nothing stays here"
            if first.rule == Rule.CROSSED:
                moved += 1
                assert second.rule == Rule.CROSSED
                assert first.size_e6 == second.size_e6 <= min(sell, buy) * E6
                assert 100 * low <= first.limit == second.limit <= 100 * high
                assert owner(rig, by[0])[0] == before[by[0]] - first.size_e6 / E6
                assert owner(rig, by[1])[0] == before[by[1]] + first.size_e6 / E6
            else:
                assert {each: owner(rig, each)[0] for each in MODULES} == before
        else:
            rig.start()
        scores = rig.engine.state.scores
        stakes = scores.of_token(0)
        assert sum(stake.size_e6 for stake in stakes) == held * E6
        # What is open at cost, less what was realized among modules, is what the venue was paid.
        realized_e6 = sum(record.realized_e6 for record in scores.records.values())
        assert sum(stake.cost_e6 for stake in stakes) - realized_e6 == round(paid * E6)
