"""Groups of which one leg rests: the others leave when it is filled, for as much, or never.

Market 0 rests at 0.45 (its own bid), markets 1 and 2 are taken at 0.32 and 0.20: three outcomes of
one event, 97 cents a set. The hand-computed cash: 100 * 0.45 rests, 32 + 20 wait, unwinding may
cost 0.60, 0.75 and 0.85 a share.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo

SECOND = 1_000_000_000
MS = 1_000_000
State = lo.GroupState
RESERVE_E6 = 220_000_000
KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."


def three(desk, *, size=100, rest_e4=4500, **fields):
    common = {"group": 77, "legs": 3, "size": size, **fields}
    rests = {
        "order_type": int(lo.OrderType.GTC),
        "intent_flags": int(lo.IntentFlag.POST_ONLY),
        "urgency": int(lo.Urgency.LOW),
    }
    return (
        desk.intent(
            0, rest_e4, leg=0, unwind_price_e4=6000, unwind_reserve_e6=60 * 10**6, **common, **rests
        ),
        desk.intent(2, 3200, leg=1, unwind_price_e4=7500, unwind_reserve_e6=75 * 10**6, **common),
        desk.intent(4, 2000, leg=2, unwind_price_e4=8500, unwind_reserve_e6=85 * 10**6, **common),
    )


@pytest.fixture
def desk(desk):
    desk.market(2)
    desk.book(2, [(1800, 500)], [(2000, 400)])
    return desk


def group_row(desk):
    ((_, data),) = desk.shared.groups.store.values()
    return lo.GROUP_ROW.unpack(data)


def states(desk):
    said = (each for each in desk.reports() if each.kind == lo.ReportKind.GROUP)
    return [State(each.group_state).name for each in said]


def dropped(desk):
    said = (each for each in desk.reports() if each.kind == lo.ReportKind.DROPPED)
    return [(each.leg, lo.Rule(each.reason).name) for each in said]


def begin(desk, **fields):
    """Open the group; the venue takes the leg that rests. Returns its order."""
    desk.wish(*three(desk, **fields))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "", "", trade=None, status="live"))
    desk.venue_orders.append(desk.order_event(order, "LIVE"))
    desk.turn()
    return order


def fill(desk, order, size, trade="m"):
    desk.user(desk.trade_event(order, str(size), str(order.price_e4 / 10_000), trade))
    if size == order.size_e6 / 1e6:
        desk.venue_orders[0]["status"] = "MATCHED"
    desk.turn()


def answer_others(desk, sizes):
    """Answer the batch of the others: shares a leg, None = killed."""
    key, body = desk.posts()[-1]
    orders = [each for each in desk.engine.desk.by_id.values() if each.leg][: len(body)]
    killed = {"success": False, "errorMsg": KILLED, "orderID": "", "status": ""}
    reply = [
        killed
        if size is None
        else desk.matched(order, str(size), f"{size * order.price_e4 / 1e4:.6f}", f"t{order.leg}")
        for order, size in zip(orders, sizes, strict=True)
    ]
    desk.answer(key, reply)
    desk.turn()


def test_only_the_leg_that_rests_leaves_and_cash_for_all_is_locked_first(desk):
    seen = []
    desk.transport.before_send = lambda _: seen.append(
        (State(group_row(desk).state).name, desk.cash().reserved_e6)
    )
    desk.wish(*three(desk))
    assert seen == [("OPEN", RESERVE_E6 + 52_000_000)]
    ((_, body),) = desk.posts()
    assert body["postOnly"] is True
    assert body["orderType"] == "GTC"
    assert body["order"]["makerAmount"] == "45000000"
    assert desk.cash().reserved_e6 == RESERVE_E6 + 97_000_000


def test_others_leave_together_when_it_is_filled_and_the_set_completes(desk):
    order = begin(desk)
    fill(desk, order, 100)
    _, (_, body) = desk.posts()
    assert [each["order"]["makerAmount"] for each in body] == ["32000000", "20000000"]
    assert {each["orderType"] for each in body} == {"FAK"}
    answer_others(desk, [100, 100])
    row = group_row(desk)
    assert (State(row.state), row.filled_low_e6) == (State.FILLED, 100_000_000)
    assert states(desk) == ["OPEN", "FILLED"]
    assert desk.take(b"DELETE") == []


def test_a_part_is_completed_at_once_and_the_rest_is_canceled(desk):
    order = begin(desk)
    fill(desk, order, 40)
    _, (_, body) = desk.posts()
    assert [each["order"]["makerAmount"] for each in body] == ["12800000", "8000000"]
    assert len(desk.take(b"DELETE")) == 1
    answer_others(desk, [40, 40])
    desk.run(3, MS)
    assert group_row(desk).filled_low_e6 == 40_000_000
    assert State(group_row(desk).state) == State.FILLED
    # 40 complete sets: nothing is locked but what undoing a leg may still take.
    assert desk.cash().reserved_e6 == RESERVE_E6


def test_what_fills_before_the_cancel_is_heard_is_completed_too(desk):
    order = begin(desk)
    fill(desk, order, 40)
    answer_others(desk, [40, 40])
    fill(desk, order, 30, trade="m2")
    desk.venue_orders[0]["status"] = "CANCELED"
    desk.user(desk.order_event(order, "CANCELED", "70", "CANCELLATION"))
    desk.turn()
    later = desk.posts()[2:]
    assert [body["order"]["makerAmount"] for _, body in later] == ["9600000", "6000000"]


def test_an_ask_that_is_gone_takes_the_bid_back_and_nothing_is_ever_bought(desk):
    begin(desk)
    desk.book(2, [(1800, 500)], [(2100, 400)])
    desk.run(30, MS)
    assert len(desk.posts()) == 1
    assert states(desk) == ["OPEN", "FLAT"]
    assert dropped(desk) == [(1, "GROUP_INCOMPLETE"), (2, "GROUP_INCOMPLETE")]
    assert desk.cash().reserved_e6 == 0


def test_thinner_asks_than_the_set_take_the_bid_back(desk):
    begin(desk)
    desk.book(1, [(3000, 500)], [(3200, 99)])
    desk.run(30, MS)
    assert states(desk) == ["OPEN", "FLAT"]


def test_out_of_time_is_flat(desk):
    order = begin(desk)
    desk.run(9, 100 * MS)
    assert states(desk) == ["OPEN"]
    desk.run(4, 100 * MS)
    assert order.state == lo.OrderState.CANCELED
    assert states(desk) == ["OPEN", "FLAT"]
    assert desk.cash().reserved_e6 == 0


def test_filled_while_an_ask_leaves_is_unwound_at_the_bounded_price(desk):
    order = begin(desk)
    desk.book(1, [(3000, 500)], [(3400, 500)])
    fill(desk, order, 100)
    assert dropped(desk) == [(1, "DEPTH"), (2, "DEPTH")]
    assert states(desk) == ["OPEN", "UNWINDING"]
    key, body = desk.posts()[-1]
    unwind = desk.order()
    assert unwind.instrument == 1
    # 100 NO of market 0 are on offer at 1 - 0.45: ten cents under the bound of 0.60.
    assert body["order"]["makerAmount"] == "55000000"
    desk.answer(key, desk.matched(unwind, "100", "55", trade="u"))
    desk.turn()
    row = group_row(desk)
    assert (State(row.state), row.unwind_cost_e6) == (State.UNWOUND, 0)


def test_one_of_the_others_killed_is_bought_again_or_unwound(desk):
    order = begin(desk)
    fill(desk, order, 100)
    desk.book(2, [(1800, 500)], [(2500, 400)])
    answer_others(desk, [100, None])
    assert states(desk)[-1] == "UNWINDING"
    flags = lo.IntentFlag.UNWIND
    unwinds = [each for each in desk.engine.desk.by_id.values() if each.order_flags & flags]
    assert sorted(each.instrument for each in unwinds) == [1, 3]


def test_too_little_for_an_order_waits_for_the_rest_and_is_taken_back(desk):
    order = begin(desk)
    fill(desk, order, 4)
    assert len(desk.posts()) == 1
    desk.run(10, MS)
    assert order.state == lo.OrderState.CANCELED
    assert dropped(desk) == [(1, "OFF_GRID"), (2, "OFF_GRID")]
    # Four shares are undone like any surplus: NO at 0.55.
    key, body = desk.posts()[-1]
    assert body["order"]["makerAmount"] == "2200000"
    desk.answer(key, desk.matched(desk.order(), "4", "2.2", trade="u"))
    desk.turn()
    assert states(desk) == ["OPEN", "UNWINDING", "UNWOUND"]


def test_a_cancel_that_nobody_answers_is_repeated_each_second(desk):
    order = begin(desk)
    desk.run(9, 100 * MS)
    for _ in range(35):
        desk.turn(step_ns=100 * MS)
    canceled = [each for each in desk.take(b"DELETE") if order.order_id.hex() in str(each[2])]
    assert 3 <= len(canceled) <= 8
    assert dropped(desk) == [(1, "EXPIRED"), (2, "EXPIRED")]
    assert len(desk.posts()) == 1


def test_filled_after_the_others_were_dropped_is_evened_like_any_group(desk):
    order = begin(desk)
    for _ in range(45):
        desk.turn(step_ns=100 * MS)
    assert dropped(desk) == [(1, "EXPIRED"), (2, "EXPIRED")]
    fill(desk, order, 100)
    desk.run(4, MS)
    # The asks are still there: the set is bought at the limits it was wished for.
    later = desk.posts()[1:]
    assert [body["order"]["makerAmount"] for _, body in later] == ["32000000", "20000000"]
    for key, _ in later:
        desk.answer(key, {"error": KILLED}, 400)
    desk.run(4, MS)
    assert desk.order().instrument == 1
    assert desk.order().order_flags & lo.IntentFlag.UNWIND


def test_a_refused_resting_leg_ends_the_group(desk):
    desk.wish(*three(desk))
    ((key, _),) = desk.posts()
    desk.answer(key, {"error": "invalid post-only order: order crosses book"}, 400)
    desk.turn()
    assert states(desk) == ["OPEN", "FLAT"]
    assert dropped(desk) == [(1, "GROUP_INCOMPLETE"), (2, "GROUP_INCOMPLETE")]
    assert desk.cash().reserved_e6 == 0


def test_a_resting_leg_that_cannot_leave_ends_the_group(desk):
    desk.transport.results.append(0)
    desk.wish(*three(desk))
    assert states(desk) == ["OPEN", "FLAT"]
    assert [leg for leg, _ in dropped(desk)] == [0, 1, 2]
    assert desk.cash().reserved_e6 == 0


@pytest.mark.parametrize("resting", [(0, 1), (0, 1, 2)])
def test_more_than_one_leg_at_rest_is_refused(desk, resting):
    wishes = three(desk)
    flags = int(lo.IntentFlag.POST_ONLY)
    wishes = [
        each._replace(intent_flags=flags, order_type=int(lo.OrderType.GTC), limit_price_e4=1000)
        if each.leg in resting
        else each
        for each in wishes
    ]
    desk.wish(*wishes)
    assert desk.posts() == []
    assert len(dropped(desk)) == 3


def test_a_new_life_of_risk_ends_what_only_the_old_one_counted(desk):
    order = begin(desk)
    desk.shared.intents.epoch += 1
    lo.RESET.pack(desk.shared.intents.buffer, lo.Reset(1, desk.clock.now_ns, 1, 0))
    desk.shared.intents.publish(lo.RESET.kind)
    desk.turn()
    assert dropped(desk) == [(1, "DROPPED_EPOCH"), (2, "DROPPED_EPOCH")]
    desk.run(5, MS)
    assert order.state == lo.OrderState.CANCELED
    assert states(desk) == ["OPEN", "FLAT"]


def test_after_a_restart_the_bid_is_taken_back_at_once(desk):
    begin(desk)
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.boot()
    desk.ready()
    desk.run(10, MS)
    assert [each["status"] for each in desk.venue_orders] == ["CANCELED"]
    assert states(desk)[-1] == "FLAT"
    assert desk.cash().reserved_e6 == 0


def test_what_it_got_before_a_restart_is_unwound(desk):
    order = begin(desk)
    fill(desk, order, 30)
    fills = {"size_matched": "30"}
    desk.venue_orders[0].update(fills)
    desk.venue_trades.append(
        {**desk.trade_event(order, "30", "0.45", "m"), "status": "TRADE_STATUS_MATCHED"}
    )
    # The others left, and were killed while nobody listened.
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.boot()
    desk.ready()
    desk.run(60, 100 * MS)
    assert [each["status"] for each in desk.venue_orders] == ["CANCELED"]
    unwinds = [
        each
        for each in desk.engine.desk.by_id.values()
        if each.order_flags & lo.IntentFlag.UNWIND and each.instrument == 1
    ]
    assert unwinds


venue_story = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(1, 60)),
        st.tuples(st.just("ask"), st.integers(1, 2), st.sampled_from([0, 60, 500])),
        st.tuples(st.just("time"), st.sampled_from([MS, 20 * MS, 300 * MS])),
        st.tuples(st.just("others"), st.sampled_from([0.0, 0.5, 1.0])),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(venue_story)
def test_the_others_never_get_ahead_and_every_story_ends_with_all_cash_free(make_desk, story):
    desk = make_desk()
    desk.market(2)
    desk.book(2, [(1800, 500)], [(2000, 400)])
    order = begin(desk)
    asks = {1: 3200, 2: 2000}
    filled = trades = 0
    for step in [*story, ("time", SECOND), ("others", 1.0)]:
        if step[0] == "fill" and order.open and filled < 100:
            trades += 1
            size = min(step[1], 100 - filled)
            filled += size
            fill(desk, order, size, trade=f"m{trades}")
        elif step[0] == "ask":
            desk.book(step[1], [(1000, 500)], [(asks[step[1]], step[2])] if step[2] else [])
            desk.turn()
        elif step[0] == "time":
            desk.run(4, step[1])
        else:
            settle(desk, step[1])
        others = [each for each in desk.engine.desk.by_id.values() if each.leg]
        asked = sum(each.maker_amount_e6 for each in others if each.leg == 1 and not each.done)
        assert asked <= 32 * 10**6
        for leg in (1, 2):
            got = sum(each.filled_e6 for each in others if each.leg == leg and not is_undo(each))
            assert got <= filled * 10**6 + 50_000
    for _ in range(12):
        settle(desk, 1.0)
        desk.run(5, 300 * MS)
    assert not order.open
    assert State(group_row(desk).state) not in {State.OPEN, State.UNWINDING}
    assert desk.cash().reserved_e6 in {0, RESERVE_E6}
    assert (desk.cash().reserved_e6 > 0) == (State(group_row(desk).state) == State.FILLED)


def is_undo(order):
    return bool(order.order_flags & lo.IntentFlag.UNWIND)


def settle(desk, share):
    """Answer what takes and was not answered: a share of each is filled."""
    answered = getattr(desk, "settled", set())
    for key, body in desk.posts()[1:]:
        if key in answered:
            continue
        answered.add(key)
        bodies = body if isinstance(body, list) else [body]
        replies = []
        for each in bodies:
            found = [
                order
                for order in desk.engine.desk.by_id.values()
                if order.immediate
                and order.state == lo.OrderState.SENDING
                and str(int.from_bytes(order.token_id, "big")) == each["order"]["tokenId"]
            ]
            size = int(each["order"]["takerAmount"]) * int(share * 10) // 10 if found else 0
            cash = int(each["order"]["makerAmount"]) * int(share * 10) // 10
            if size:
                told = (f"{size / 1e6:.6f}", f"{cash / 1e6:.6f}", f"t{key}{len(replies)}")
                replies.append(desk.matched(found[0], *told))
            else:
                replies.append({"success": False, "errorMsg": KILLED, "orderID": "", "status": ""})
        if isinstance(body, list):
            desk.answer(key, replies)
        elif replies[0]["success"]:
            desk.answer(key, replies[0])
        else:
            desk.answer(key, {"error": KILLED}, 400)
    desk.settled = answered
    desk.turn()
