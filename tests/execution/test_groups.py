"""Groups: legs end equal in filled shares, or the surplus is taken back in time and in budget.

Market 0 and market 1 are two outcomes of one event here: a group buys YES of both.
"""

import pytest

from lowlat.core import layout as lo
from lowlat.core.ports import SEND_NONE, SENT
from lowlat.execution.params import ExecutorParams

SECOND = 1_000_000_000
KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
State = lo.GroupState


def legs(desk, *, size=100, **fields):
    """Two legs, 0.46 and 0.32; unwinding may cost up to 0.60 and 0.75 for the complement."""
    common = {"group": 77, "legs": 2, "size": size, **fields}
    return (
        desk.intent(0, 4600, leg=0, unwind_price_e4=6000, unwind_reserve_e6=60_000_000, **common),
        desk.intent(2, 3200, leg=1, unwind_price_e4=7500, unwind_reserve_e6=75_000_000, **common),
    )


def group_row(desk):
    ((_, data),) = desk.shared.groups.store.values()
    return lo.GROUP_ROW.unpack(data)


def group_states(desk):
    return [
        State(each.group_state).name for each in desk.reports() if each.kind == lo.ReportKind.GROUP
    ]


def dropped(desk):
    return [
        lo.Rule(each.reason).name for each in desk.reports() if each.kind == lo.ReportKind.DROPPED
    ]


def orders(desk):
    return list(desk.engine.desk.by_id.values())


def answer_batch(desk, *sizes):
    """Answer the batch: shares filled a leg, None = killed."""
    ((key, _),) = desk.posts()
    prices = (0.46, 0.32)
    reply = []
    for order, size, price in zip(orders(desk), sizes, prices, strict=True):
        if size is None:
            reply.append({"success": False, "errorMsg": KILLED, "orderID": "", "status": ""})
        else:
            reply.append(
                desk.matched(order, str(size), f"{size * price:.6f}", trade=f"t{order.leg}")
            )
    desk.answer(key, reply)
    desk.turn()


def confirm(desk, order, size, price, trade):
    desk.user(desk.trade_event(order, str(size), str(price), trade, "CONFIRMED"))
    desk.turn()


def test_row_and_reserve_are_there_before_leg_one_leaves(desk):
    seen = []

    def look(request):
        if request.startswith(b"POST /orders"):
            seen.append((State(group_row(desk).state).name, desk.cash().reserved_e6))

    desk.transport.before_send = look
    desk.wish(*legs(desk))
    assert seen == [("OPEN", 135_000_000)]
    # What the orders hold is in their own rows; the sum follows behind the bytes.
    assert [desk.row(each).reserved_e6 for each in orders(desk)] == [46_000_000, 32_000_000]
    assert desk.cash().reserved_e6 == 135_000_000 + 46_000_000 + 32_000_000
    ((_, body),) = desk.posts()
    assert [each["order"]["makerAmount"] for each in body] == ["46000000", "32000000"]


def test_equal_legs_are_filled_then_complete_and_free_the_reserve(desk):
    desk.wish(*legs(desk))
    answer_batch(desk, 100, 100)
    assert State(group_row(desk).state) == State.FILLED
    assert desk.cash().reserved_e6 == 135_000_000
    first, second = orders(desk)
    confirm(desk, first, 100, 0.46, "t0")
    assert State(group_row(desk).state) == State.FILLED
    confirm(desk, second, 100, 0.32, "t1")
    assert group_states(desk) == ["OPEN", "FILLED", "COMPLETE"]
    assert desk.cash().reserved_e6 == 0
    row = group_row(desk)
    assert (row.filled_low_e6, row.filled_high_e6, row.legs_done) == (100_000_000, 100_000_000, 2)


def test_a_reload_is_for_the_next_group_what_is_open_keeps_its_deadline(desk):
    desk.wish(*legs(desk))
    before = group_row(desk)
    desk.engine.reload(ExecutorParams(group_deadline_ns=9 * SECOND, group_dust_e6=2_000_000))
    assert group_row(desk).deadline_ns == before.deadline_ns
    answer_batch(desk, None, None)
    desk.wish(*(leg._replace(group=78) for leg in legs(desk)))
    rows = [lo.GROUP_ROW.unpack(data) for _, data in desk.shared.groups.store.values()]
    (after,) = [row for row in rows if row.id == 78]
    assert after.deadline_ns - after.opened_ns == 9 * SECOND
    assert after.dust_e6 == 2_000_000


def test_no_leg_filled_is_flat(desk):
    desk.wish(*legs(desk))
    answer_batch(desk, None, None)
    assert group_states(desk) == ["OPEN", "FLAT"]
    assert desk.cash().reserved_e6 == 0


def test_missing_leg_is_bought_at_its_own_limit_when_the_depth_is_there(desk):
    desk.wish(*legs(desk))
    answer_batch(desk, 100, None)
    (_, (key, body)) = desk.posts()
    assert body["order"]["tokenId"] == str(desk.token(2))
    assert (body["orderType"], body["order"]["makerAmount"]) == ("FAK", "32000000")
    desk.answer(key, desk.matched(orders(desk)[-1], "100", "32", trade="again"))
    desk.turn()
    assert group_states(desk) == ["OPEN", "FILLED"]


def test_surplus_is_unwound_by_buying_the_complement_and_the_cost_told(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    answer_batch(desk, 100, None)
    (_, (key, body)) = desk.posts()
    unwind = orders(desk)[-1]
    assert unwind.instrument == 1
    assert unwind.order_flags & lo.IntentFlag.UNWIND
    assert (body["orderType"], body["order"]["side"]) == ("FAK", "BUY")
    assert body["order"]["makerAmount"] == "55000000"
    assert State(group_row(desk).state) == State.UNWINDING
    desk.answer(key, desk.matched(unwind, "100", "55", trade="u"))
    desk.turn()
    assert group_states(desk) == ["OPEN", "UNWINDING", "UNWOUND"]
    assert group_row(desk).unwind_cost_e6 == 46_000_000 + 55_000_000 - 100_000_000
    assert desk.cash().reserved_e6 == 0
    assert desk.position(0).size_e6 == desk.position(1).size_e6 == 100_000_000


def test_less_than_the_venue_trades_is_left_as_a_position_not_as_naked(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    answer_batch(desk, 100, None)
    (_, (key, _)) = desk.posts()
    desk.answer(key, desk.matched(orders(desk)[-1], "97", "53.35", trade="u"))
    desk.turn()
    row = group_row(desk)
    assert (State(row.state), row.filled_high_e6 - row.filled_low_e6) == (State.UNWOUND, 3_000_000)
    assert desk.cash().reserved_e6 == 0


def test_unwinding_passes_a_halt_that_stops_new_orders(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    answer_batch(desk, 100, None)
    sent = [(bytes(request[:12]), urgent) for _, request, urgent in desk.transport.sent]
    assert sent[-2:] == [(b"POST /orders", True), (b"POST /order ", False)]


def test_settled_tokens_are_sold_instead(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    first = orders(desk)[0]
    desk.user(desk.trade_event(first, "100", "0.46", "t0", "CONFIRMED"))
    answer_batch(desk, 100, None)
    (_, (key, body)) = desk.posts()
    assert (body["order"]["side"], body["order"]["tokenId"]) == ("SELL", str(desk.token(0)))
    desk.answer(key, desk.matched(orders(desk)[-1], "100", "45", trade="u"))
    desk.turn()
    assert State(group_row(desk).state) == State.UNWOUND
    assert group_row(desk).unwind_cost_e6 == 1_000_000
    assert desk.position(0).size_e6 == 0


def half_filled(desk, group, trade):
    """Open a group whose second leg is killed; return the newest order, the one that unwinds."""
    desk.book(1, [(3000, 500)], [(3200, 500)])
    desk.wish(*legs(desk, group=group))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    key, _ = desk.posts()[-1]
    first = orders(desk)[-2]
    killed = {"success": False, "errorMsg": KILLED, "orderID": "", "status": ""}
    desk.answer(key, [desk.matched(first, "100", "46", trade), killed])
    desk.turn()
    return orders(desk)[-1]


def test_tokens_that_were_sold_are_not_sold_again_before_the_sale_settles(desk):
    desk.wish(desk.intent(0, 4600, size=100))
    desk.answer(desk.posts()[0][0], desk.matched(desk.order(), "100", "46", "before"))
    desk.user(desk.trade_event(desk.order(), "100", "0.46", "before", "CONFIRMED"))
    sale = half_filled(desk, 77, "one")
    assert (sale.instrument, lo.Action(sale.action)) == (0, lo.Action.SELL)
    desk.answer(desk.posts()[-1][0], desk.matched(sale, "100", "45", "sold"))
    desk.turn()
    assert desk.position(0).size_e6 == desk.position(0).confirmed_e6 == 100_000_000
    again = half_filled(desk, 78, "two")
    assert (again.instrument, lo.Action(again.action)) == (1, lo.Action.BUY)


def test_sale_that_the_venue_refuses_is_followed_by_the_complement(desk):
    desk.wish(desk.intent(0, 4600, size=100))
    desk.answer(desk.posts()[0][0], desk.matched(desk.order(), "100", "46", "before"))
    desk.user(desk.trade_event(desk.order(), "100", "0.46", "before", "CONFIRMED"))
    sale = half_filled(desk, 77, "one")
    assert lo.Action(sale.action) == lo.Action.SELL
    desk.answer(desk.posts()[-1][0], {"error": "not enough balance / allowance"}, 400)
    desk.turn()
    second = orders(desk)[-1]
    assert (second.instrument, lo.Action(second.action)) == (1, lo.Action.BUY)


def test_partly_filled_legs_are_evened_to_the_smaller(desk):
    desk.wish(*legs(desk, order_type=int(lo.OrderType.FAK)))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    answer_batch(desk, 100, 40)
    (_, (_, body)) = desk.posts()
    assert body["order"]["makerAmount"] == str(33_000_000)
    desk.answer(desk.posts()[-1][0], desk.matched(orders(desk)[-1], "60", "33", trade="u"))
    desk.turn()
    row = group_row(desk)
    assert (State(row.state), row.filled_low_e6, row.filled_high_e6) == (
        State.UNWOUND,
        40_000_000,
        40_000_000,
    )


def test_unwind_never_pays_more_than_the_worst_price_and_ends_naked_at_the_deadline(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    desk.book(0, [(3900, 500)], [(4600, 120)])
    answer_batch(desk, 100, None)
    desk.run(30, 100_000_000)
    assert len(desk.posts()) == 1
    assert group_states(desk) == ["OPEN", "UNWINDING", "NAKED"]
    assert desk.cash().reserved_e6 == 0


def test_naked_group_of_which_nothing_is_expected_rests(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    desk.book(0, [(3900, 500)], [(4600, 120)])
    first = orders(desk)[0]
    desk.user(desk.trade_event(first, "100", "0.46", "t0", "CONFIRMED"))
    answer_batch(desk, 100, None)
    desk.run(30, 100_000_000)
    assert group_states(desk)[-1] == "NAKED"
    assert not desk.engine.groups.active


def test_unwinding_is_not_stopped_by_an_order_that_cannot_rest_whose_fate_is_unknown(desk):
    """Buying the complement crosses our own BUY in price, but neither can meet the other."""
    desk.wish(desk.intent(0, 4600, size=10))
    ((lost, _),) = desk.posts()
    desk.engine.inbox.on_lost(lost, desk.clock.now_ns)
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    (_, (batch, _)) = desk.posts()
    _, first, second = orders(desk)
    killed = {"success": False, "errorMsg": KILLED, "orderID": "", "status": ""}
    desk.answer(batch, [desk.matched(first, "100", "46", "t0"), killed])
    desk.turn()
    assert second.state == lo.OrderState.UNMATCHED
    unwind = orders(desk)[-1]
    assert (unwind.instrument, unwind.size_e6) == (1, 100_000_000)


def test_unwinding_still_stops_at_an_order_of_ours_that_rests(desk):
    desk.wish(desk.intent(0, 4500, size=10, order_type=int(lo.OrderType.GTC)))
    ((key, _),) = desk.posts()
    desk.answer(key, desk.matched(desk.order(), "", "", "", "live"))
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    (_, (batch, _)) = desk.posts()
    killed = {"success": False, "errorMsg": KILLED, "orderID": "", "status": ""}
    desk.answer(batch, [desk.matched(orders(desk)[1], "100", "46", "t0"), killed])
    desk.turn()
    assert State(group_row(desk).state) == State.UNWINDING
    assert len(desk.posts()) == 2


def test_order_without_an_answer_is_looked_up_at_its_groups_deadline(desk):
    desk.wish(*legs(desk))
    desk.run(19, 100_000_000)
    assert not desk.take(b"DELETE /order")
    desk.answered = len(desk.transport.sent)
    desk.turn(2, 200_000_000)
    assert [each.state for each in orders(desk)] == [lo.OrderState.UNKNOWN] * 2
    assert len(desk.take(b"DELETE /order")) == 2
    # What the legs got, nobody knows: that is shown, and nothing can be done but to ask.
    assert group_states(desk) == ["OPEN", "NAKED"]
    assert desk.cash().reserved_e6 > 0
    assert desk.engine.groups.turn(desk.clock.now_ns + SECOND) == 0
    desk.run(40, SECOND)
    assert group_states(desk)[-1] == "FLAT"
    assert desk.cash().reserved_e6 == 0
    assert not desk.engine.groups.active


def test_legs_in_doubt_at_the_deadline_that_filled_after_all_complete_their_group(desk):
    desk.wish(*legs(desk))
    desk.run(25, 100_000_000)
    assert group_states(desk) == ["OPEN", "NAKED"]
    first, second = orders(desk)
    desk.user(desk.trade_event(first, "100", "0.46", "t0"))
    desk.user(desk.trade_event(second, "100", "0.32", "t1"))
    desk.turn()
    assert group_states(desk)[-1] == "FILLED"
    assert not any(each.order_flags & lo.IntentFlag.UNWIND for each in orders(desk))


def test_a_leg_in_doubt_at_the_deadline_that_filled_alone_is_unwound(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    desk.run(25, 100_000_000)
    first, second = orders(desk)
    desk.venue_orders.append(desk.order_event(second, "CANCELED"))
    desk.user(desk.order_event(second, "CANCELED", kind="CANCELLATION"))
    desk.user(desk.trade_event(first, "100", "0.46", "t0"))
    desk.turn(3)
    assert orders(desk)[-1].order_flags & lo.IntentFlag.UNWIND
    assert group_states(desk)[-1] == "UNWINDING"


@pytest.mark.parametrize("state", ["delayed", "matched"])
def test_what_the_venue_delays_or_does_not_list_is_asked_about_at_the_deadline(make_desk, state):
    desk = make_desk(params=ExecutorParams(group_deadline_ns=SECOND))
    desk.wish(*legs(desk))
    ((key, _),) = desk.posts()
    answers = [
        desk.matched(order, "100", cash, None, status=state)
        for order, cash in zip(orders(desk), ("46", "32"), strict=True)
    ]
    desk.answer(key, answers)
    desk.run(9, 100_000_000)
    assert not desk.take(b"GET /data/order/")
    desk.answered = len(desk.transport.sent)
    desk.turn(3, 100_000_000)
    assert len(desk.take(b"GET /data/order/")) == 2


def test_unwind_waits_for_depth_until_its_deadline(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    desk.book(0, [(3900, 500)], [(4600, 120)])
    answer_batch(desk, 100, None)
    desk.run(5, 100_000_000)
    assert len(desk.posts()) == 1
    desk.book(0, [(4200, 500)], [(4600, 120)])
    desk.run(2, 100_000_000)
    assert desk.posts()[-1][1]["order"]["makerAmount"] == "58000000"


def test_attempts_to_unwind_are_rounds_however_many_legs_there_are(make_desk):
    desk = make_desk(params=ExecutorParams(unwind_attempts_max=2))
    desk.market(2)
    desk.book(2, [(1000, 500)], [(1200, 500)])
    common = {"group": 77, "legs": 3, "size": 100, "unwind_reserve_e6": 90_000_000}
    desk.wish(
        desk.intent(0, 4600, leg=0, unwind_price_e4=6000, **common),
        desk.intent(2, 3200, leg=1, unwind_price_e4=7500, **common),
        desk.intent(4, 1200, leg=2, unwind_price_e4=9500, **common),
    )
    desk.book(2, [(1000, 500)], [(1500, 500)])
    ((key, _),) = desk.posts()
    first, second, _ = orders(desk)
    killed = {"success": False, "errorMsg": KILLED, "orderID": "", "status": ""}
    desk.answer(
        key,
        [desk.matched(first, "100", "46", "t0"), desk.matched(second, "100", "32", "t1"), killed],
    )
    desk.turn()
    for (sent, _), order in zip(desk.posts()[1:], orders(desk)[3:], strict=True):
        desk.answer(sent, desk.matched(order, "80", "44", trade=f"u{order.leg}"))
    desk.turn()
    assert State(group_row(desk).state) == State.UNWINDING
    assert len(desk.posts()) == 5
    for (sent, _), order in zip(desk.posts()[3:], orders(desk)[5:], strict=True):
        desk.answer(sent, desk.matched(order, "10", "5.5", trade=f"v{order.leg}"))
    desk.turn(2)
    assert State(group_row(desk).state) == State.NAKED
    assert len(desk.posts()) == 5


def test_failed_settlement_reopens_the_group_as_naked_and_unwinds(desk):
    desk.wish(*legs(desk))
    answer_batch(desk, 100, 100)
    desk.book(1, [(3000, 500)], [(3500, 500)])
    second = orders(desk)[1]
    desk.user(desk.trade_event(second, "100", "0.32", "t1", "FAILED"))
    desk.turn()
    assert group_states(desk)[:4] == ["OPEN", "FILLED", "NAKED", "UNWINDING"]
    unwind = orders(desk)[-1]
    assert unwind.instrument == 1
    desk.answer(desk.posts()[-1][0], desk.matched(unwind, "100", "55", trade="u"))
    desk.turn()
    assert group_states(desk)[-1] == "UNWOUND"


def test_an_unwound_group_is_unwound_again_and_never_completed(desk):
    desk.wish(*legs(desk))
    desk.book(1, [(3000, 500)], [(3500, 500)])
    answer_batch(desk, 100, None)
    unwind = orders(desk)[-1]
    assert unwind.instrument == 1
    desk.answer(desk.posts()[-1][0], desk.matched(unwind, "100", "55", trade="u"))
    desk.turn()
    assert group_states(desk)[-1] == "UNWOUND"
    # The missing leg is to be had at its limit now, but nobody allows for its shares any more.
    desk.book(1, [(3000, 500)], [(3200, 500)])
    desk.user(desk.trade_event(unwind, "100", "0.55", "u", "FAILED"))
    desk.turn()
    assert group_states(desk)[-2:] == ["NAKED", "UNWINDING"]
    assert orders(desk)[-1].instrument == 1


def test_surplus_of_better_prices_is_kept_when_every_leg_got_its_size(desk):
    desk.wish(*legs(desk))
    ((key, _),) = desk.posts()
    first, second = orders(desk)
    desk.answer(
        key, [desk.matched(first, "110", "46", "t0"), desk.matched(second, "100", "32", "t1")]
    )
    desk.turn()
    row = group_row(desk)
    assert State(row.state) == State.FILLED
    assert (row.filled_low_e6, row.filled_high_e6) == (100_000_000, 110_000_000)
    assert len(desk.posts()) == 1


def test_dust_is_a_cents_worth_and_stated(desk):
    desk.wish(*legs(desk))
    assert group_row(desk).dust_e6 == 10_000 * 10_000 // 3200


def test_refused_leg_drops_the_whole_group_unsent(desk):
    first, second = legs(desk)
    desk.wish(first, second._replace(limit_price_e4=3250))
    assert sorted(dropped(desk)) == ["GROUP_INCOMPLETE", "OFF_GRID"]
    assert desk.posts() == []
    assert desk.shared.groups.store == {}


def test_group_without_cash_for_its_unwinding_is_not_begun(make_desk):
    desk = make_desk(cash_e6=200_000_000)
    desk.wish(*legs(desk))
    assert dropped(desk) == ["RESERVE", "RESERVE"]
    assert desk.posts() == []


def test_leg_that_never_comes_drops_the_others(desk):
    first, _ = legs(desk)
    desk.wish(first)
    desk.run(3, 100_000_000)
    assert dropped(desk) == ["GROUP_INCOMPLETE"]
    assert desk.posts() == []


def test_unsent_batch_is_flat_and_reported(desk):
    desk.transport.results.append(SEND_NONE)
    desk.wish(*legs(desk))
    assert group_states(desk) == ["OPEN", "FLAT"]
    assert dropped(desk) == ["NO_CONNECTION", "NO_CONNECTION"]
    assert desk.cash().reserved_e6 == 0


@pytest.fixture
def thin(make_desk):
    return make_desk(params=ExecutorParams(group_batch=False))


def test_thinnest_leg_goes_first_and_the_next_takes_its_size(thin):
    thin.wish(*legs(thin, order_type=int(lo.OrderType.FAK)))
    ((key, body),) = thin.posts()
    assert body["order"]["tokenId"] == str(thin.token(0))
    thin.answer(key, thin.matched(orders(thin)[0], "60", "27.6", "t0"))
    thin.turn()
    (_, (key, body)) = thin.posts()
    assert (body["order"]["tokenId"], body["order"]["makerAmount"]) == (
        str(thin.token(2)),
        "19200000",
    )
    thin.answer(key, thin.matched(orders(thin)[1], "60", "19.2", "t1"))
    thin.turn()
    row = group_row(thin)
    assert (State(row.state), row.filled_low_e6) == (State.FILLED, 60_000_000)


def test_second_leg_is_not_sent_when_the_first_is_killed(thin):
    thin.wish(*legs(thin))
    ((key, _),) = thin.posts()
    thin.answer(key, {"error": KILLED}, 400)
    thin.turn()
    assert len(thin.posts()) == 1
    assert group_states(thin) == ["OPEN", "FLAT"]
    assert dropped(thin) == ["GROUP_INCOMPLETE"]


def test_second_leg_that_cannot_leave_unwinds_the_first(thin):
    thin.transport.results.extend([SENT, SEND_NONE, SEND_NONE])
    thin.wish(*legs(thin))
    ((key, _),) = thin.posts()
    thin.answer(key, thin.matched(orders(thin)[0], "100", "46", "t0"))
    thin.turn(4, 2_000_000)
    assert orders(thin)[-1].instrument == 1
    assert group_states(thin)[-1] == "UNWINDING"


def test_unknown_leg_counts_as_unfilled_after_the_deadline_and_its_fill_is_unwound(desk):
    desk.wish(*legs(desk))
    ((key, _),) = desk.posts()
    first, second = orders(desk)
    desk.book(1, [(3000, 500)], [(3500, 500)])
    desk.user(desk.trade_event(first, "100", "0.46", "t0"))
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    desk.run(5, 100_000_000)
    assert second.state == lo.OrderState.UNKNOWN
    assert group_states(desk) == ["OPEN"]
    desk.run(20, 100_000_000)
    unwind = orders(desk)[-1]
    assert unwind.instrument == 1
    desk.answer(desk.posts()[-1][0], desk.matched(unwind, "100", "55", trade="u"))
    desk.run(2, 1_000_000)
    # Now the unknown leg turns out to have been filled after all.
    desk.user(desk.trade_event(second, "100", "0.32", "t1"))
    desk.run(2, 1_000_000)
    assert orders(desk)[-1].instrument == 3
    assert orders(desk)[-1].order_flags & lo.IntentFlag.UNWIND


def test_hearing_everything_twice_moves_a_group_once(desk):
    desk.wish(*legs(desk))
    answer_batch(desk, 100, 100)
    first, second = orders(desk)
    for _ in range(2):
        for order, price, trade in ((first, 0.46, "t0"), (second, 0.32, "t1")):
            for status in ("MATCHED", "MINED", "CONFIRMED"):
                desk.user(desk.trade_event(order, "100", str(price), trade, status))
                desk.turn()
    assert group_states(desk) == ["OPEN", "FILLED", "COMPLETE"]
