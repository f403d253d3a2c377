"""The template pool: what is kept signed, when it dies, and that nothing is handed out twice."""

import json

import pytest

from lowlat.core import layout as lo
from lowlat.execution.params import ExecutorParams
from lowlat.venues.polymarket.amounts import Amounts
from lowlat.venues.polymarket.orders import PostParams

SECOND = 1_000_000_000
FAK = PostParams(lo.OrderType.FAK)
FOK = PostParams(lo.OrderType.FOK)
KEPT = 44
"""Four sizes at the touch, two ticks around it and six more on the good side."""
TEN = Amounts(4_600_000, 10_000_000)


def fill(desk, turns=400):
    """Idle turns until nothing is left to do in a whole round; return how many worked."""
    worked = idle = 0
    for _ in range(turns):
        done = desk.engine.pool.refresh(desk.clock.now_ns)
        worked += done
        idle = 0 if done else idle + 1
        if idle > 20:
            return worked
    raise AssertionError("the pool never came to rest")


@pytest.fixture
def pool(desk):
    desk.engine.nominate(0, lo.Action.BUY)
    fill(desk)
    return desk.engine.pool


def take(desk, amounts=TEN, post=FAK, instrument=0):
    return desk.engine.pool.take(instrument, 0, amounts, 1, desk.token(instrument), post)


def body_of(taken):
    return json.loads(taken.request.partition(b"\r\n\r\n")[2])


def test_ladder_around_the_touch_and_the_walked_cost_are_kept(desk, pool):
    prices = {key[2] * 10_000 // key[3] for key in pool.ready}
    assert {4400, 4500, 4600, 4700, 4800} <= prices
    sizes = {key[3] for key in pool.ready if key[2] * 10_000 // key[3] == 4600}
    assert sizes == {10_000_000, 20_000_000, 50_000_000, 100_000_000}


def test_edge_that_a_falling_ask_opens_is_signed_for(desk, pool):
    desk.book(0, [(3700, 500)], [(3800, 120)])
    desk.wish(desk.intent(price_e4=3800, size=50, order_type=int(lo.OrderType.FAK)))
    assert (pool.hits, pool.misses) == (1, 0)


def test_parked_turns_prepare_several_orders_within_a_bound(desk):
    desk.engine.nominate(0, lo.Action.BUY)
    desk.turn(2, step_ns=1_000)
    before = desk.engine.pool.signed
    desk.turn(1, step_ns=1_000)
    assert desk.engine.pool.signed - before <= 1
    before = desk.engine.pool.signed
    desk.turn(1, step_ns=1_000_000)
    assert 1 < desk.engine.pool.signed - before <= 16


def test_walk_over_levels_is_kept_as_its_cost_in_cents(make_desk):
    desk = make_desk(params=ExecutorParams(template_rungs_e6=(320_000_000,)))
    desk.engine.nominate(0, lo.Action.BUY)
    fill(desk)
    desk.wish(desk.intent(price_e4=4700, size=320, order_type=int(lo.OrderType.FAK)))
    ((_, body),) = desk.posts()
    assert body["order"]["makerAmount"] == "149200000"
    assert (desk.engine.pool.hits, desk.engine.pool.misses) == (1, 0)


def test_taken_order_is_never_handed_out_again(desk, pool):
    first, second = take(desk), take(desk)
    assert (first.hit, second.hit) == (True, False)
    assert first.template.order_id != second.template.order_id
    fill(desk)
    third = take(desk)
    assert third.hit
    assert len({each.template.order_id for each in (first, second, third)}) == 3


def test_bytes_carry_the_order_that_the_id_names(desk, pool):
    taken = take(desk)
    order = body_of(taken)["order"]
    assert order["salt"] == taken.template.order.salt
    assert (order["makerAmount"], order["takerAmount"]) == ("4600000", "10000000")


def test_other_order_type_costs_a_rendering_not_a_signature(desk, pool):
    signed = pool.signed
    taken = take(desk, post=FOK)
    assert taken.hit
    assert body_of(taken)["orderType"] == "FOK"
    assert pool.signed == signed


def test_idle_turn_signs_at_most_once(desk):
    pool = desk.engine.pool
    desk.engine.nominate(0, lo.Action.BUY)
    while True:
        before = pool.signed
        worked = pool.refresh(desk.clock.now_ns)
        assert pool.signed - before <= 1
        if not worked:
            break
    assert pool.signed == len(pool) == KEPT


def test_second_is_renewed_in_idle_turns(desk, pool):
    desk.clock.now_ns += 3 * SECOND
    assert fill(desk) == len(pool)
    second = desk.clock.wall_ns() // SECOND
    assert f"POLY_TIMESTAMP: {second}\r\n".encode() in take(desk).request
    assert pool.signed == KEPT


def test_stale_second_is_renewed_on_the_spot(desk, pool):
    desk.clock.now_ns += 20 * SECOND
    second = desk.clock.wall_ns() // SECOND
    assert f"POLY_TIMESTAMP: {second}\r\n".encode() in take(desk).request
    assert (pool.ready.late, pool.renewed) == (1, 0)


def test_book_that_moves_away_takes_its_orders_along(desk, pool):
    desk.book(0, [(5500, 500)], [(5600, 500)])
    fill(desk)
    assert not take(desk).hit
    assert take(desk, Amounts(5_600_000, 10_000_000)).hit


@pytest.mark.parametrize("change", ["exchange", "generation", "age"])
def test_orders_die_with_what_they_were_signed_for(desk, pool, change):
    old = {ready.template.order_id for ready in pool.ready.values()}
    if change == "age":
        desk.clock.now_ns += 61 * SECOND
        desk.engine.nominate(0, lo.Action.BUY)
    else:
        row = lo.MARKET_ROW.unpack(desk.shared.markets.store[0][1])
        field = {"exchange": {"exchange": 2}, "generation": {"generation": 2}}[change]
        lo.MARKET_ROW.pack(desk.shared.markets.buffer, row._replace(**field))
        desk.shared.markets.write(0)
        generation = field.get("generation", 1)
        desk.book(0, [(4500, 500)], [(4600, 120), (4700, 200)], generation=generation)
    fill(desk)
    new = {ready.template.order_id for ready in pool.ready.values()}
    assert len(new) == KEPT
    assert not old & new


def test_tick_change_leaves_no_order_off_the_ladder(desk, pool):
    desk.market(0, tick_e4=10)
    desk.book(0, [(4500, 500)], [(4600, 120)], tick_e4=10)
    fill(desk)
    assert {key[3] % 10_000_000 for key in pool.ready} == {0}
    assert {key[2] * 10_000 // key[3] for key in pool.ready} == {*range(4520, 4621, 10)}


def test_interest_that_ends_frees_the_pool(desk, pool):
    desk.clock.now_ns += 61 * SECOND
    fill(desk)
    assert len(pool) == 0
    assert pool._hot == {}


def test_hot_set_and_pool_are_bounded(make_desk):
    desk = make_desk(params=ExecutorParams(hot_max=1, templates_max=7))
    assert desk.engine.nominate(0, lo.Action.BUY)
    assert not desk.engine.nominate(1, lo.Action.BUY)
    fill(desk)
    assert len(desk.engine.pool) == 7


def test_named_price_is_kept_too(desk):
    desk.engine.nominate(0, lo.Action.BUY, 3900)
    fill(desk)
    assert take(desk, Amounts(3_900_000, 10_000_000)).hit


def test_unfinished_market_is_not_signed_for(desk):
    desk.engine.nominate(9, lo.Action.BUY)
    assert fill(desk) == 0
    assert len(desk.engine.pool) == 0
