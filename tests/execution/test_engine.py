"""The executor over list-backed ports: an intent becomes a row, a report, bytes, a fill.

Convergence is tested on the whole engine: the HTTP answer, order events and trade events of one
order, in every order and twice, must leave the same rows, positions and cash.
"""

import json
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo
from lowlat.core.ports import SEND_HALTED, SEND_NONE, SEND_PARTIAL, SENT
from lowlat.execution.params import ExecutorParams

SECOND = 1_000_000_000
State = lo.OrderState


def dropped(desk):
    return [
        lo.Rule(each.reason).name for each in desk.reports() if each.kind == lo.ReportKind.DROPPED
    ]


# ------------------------------------------------------------------ the plain path
def test_fok_buy_over_two_levels_spends_the_walked_cost_and_fills(desk):
    desk.wish(desk.intent(price_e4=4700, size=320))
    ((key, body),) = desk.posts()
    assert body["order"]["makerAmount"] == "149200000"
    assert body["orderType"] == "FOK"
    order = desk.order()
    desk.answer(key, desk.matched(order, "320", "149.2"))
    assert order.state == State.MATCHED
    row = desk.row(order)
    assert (row.filled_e6, row.cash_e6, row.reserved_e6) == (320_000_000, 149_200_000, 0)
    assert desk.cash().cash_e6 == 1_000_000_000 - 149_200_000
    assert desk.position(0).size_e6 == 320_000_000
    assert desk.kinds()[-3:] == ["SENDING", "ACK", "FILL"]


def test_row_and_report_exist_before_the_bytes_leave(desk):
    seen = []

    def look(request):
        if request.startswith(b"POST /order"):
            row = lo.ORDER_ROW.unpack(desk.shared.orders.store[0][1])
            seen.append((State(row.state).name, desk.kinds()[-1], row.order_id, row.reserved_e6))

    desk.transport.before_send = look
    desk.wish(desk.intent())
    assert seen == [("SENDING", "SENDING", desk.order().order_id, 149_200_000)]
    assert desk.cash().reserved_e6 == 149_200_000


def test_25_shares_at_a_fine_tick_never_leave_unrounded(desk):
    desk.market(0, tick_e4=10)
    desk.book(0, [(3360, 500)], [(3370, 100)], tick_e4=10)
    desk.wish(desk.intent(price_e4=3370, size=25, order_type=int(lo.OrderType.GTC)))
    assert dropped(desk) == ["OFF_GRID"]
    desk.wish(desk.intent(price_e4=3370, size=25))
    ((_, body),) = desk.posts()
    maker, taker = int(body["order"]["makerAmount"]), int(body["order"]["takerAmount"])
    assert maker == 8_420_000
    assert taker % 100 == 0
    assert taker <= maker * 10_000 // 3370


def test_order_that_the_venue_could_only_refuse_is_dropped_not_signed(desk):
    gtd, fok = int(lo.OrderType.GTD), int(lo.OrderType.FOK)
    soon_s = desk.clock.wall_ns() // SECOND + 179
    desk.wish(desk.intent(price_e4=4500, size=10, order_type=gtd, expiration_s=soon_s))
    desk.wish(desk.intent(price_e4=4600, size=10, order_type=fok, intent_flags=1))
    assert dropped(desk) == ["EXPIRED", "OFF_GRID"]
    assert desk.engine.pool.signed == 0


def test_stamps_of_every_stage_end_up_in_the_row(desk):
    desk.wish(
        desk.intent(event_ns=1, recv_ns=2, decoded_ns=3, published_ns=4, decided_ns=5, checked_ns=6)
    )
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "320", "149.2"))
    row = desk.row(order)
    stamps = [row.event_ns, row.recv_ns, row.decoded_ns, row.published_ns, row.decided_ns]
    assert stamps == [1, 2, 3, 4, 5]
    assert row.checked_ns == 6
    assert 0 < row.sent_ns < row.acked_ns <= row.filled_ns
    for name in ("intent_to_sent", "tick_to_sent", "sent_to_acked", "sent_to_filled", "template"):
        assert getattr(desk.meters, name).values, name


def test_fee_by_the_markets_schedule_is_booked_on_top(desk):
    desk.market(0, fee_rate_e6=70_000)
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "100", "46", trade=None))
    desk.user(desk.trade_event(order, "100", "0.46"))
    fee_e6 = 1_738_800
    assert desk.row(order).fee_e6 == fee_e6
    assert desk.cash().cash_e6 == 1_000_000_000 - 46_000_000 - fee_e6
    assert desk.position(0).cost_e6 == 46_000_000 + fee_e6


def test_market_buy_may_fill_more_shares_than_asked(desk):
    desk.wish(desk.intent(price_e4=4700, size=320))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.user(desk.trade_event(order, "331.555555", "0.45"))
    desk.answer(key, desk.matched(order, "331.555555", "149.2", trade=None))
    assert desk.row(order).filled_e6 == 331_555_555
    assert desk.position(0).size_e6 == 331_555_555


def test_sell_books_proceeds_and_realizes(desk):
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    desk.answer(key, desk.matched(desk.order(), "100", "46"))
    desk.wish(desk.intent(price_e4=4500, size=100, action=1))
    (_, (key, body)) = desk.posts()
    assert (body["order"]["makerAmount"], body["order"]["takerAmount"]) == ("100000000", "45000000")
    desk.answer(key, desk.matched(desk.order(), "100", "45", trade="trade-2"))
    held = desk.position(0)
    assert (held.size_e6, held.cost_e6, held.realized_e6) == (0, 0, -1_000_000)
    assert desk.cash().cash_e6 == 999_000_000
    assert desk.cash().realized_e6 == -1_000_000


# ------------------------------------------------------------------ checks
@pytest.mark.parametrize(
    ("rule", "fields", "setup"),
    [
        ("EXPIRED", {"expires_ns": 1}, None),
        ("GENERATION_GONE", {"generation": 2}, None),
        ("GENERATION_GONE", {"instrument": 20}, None),
        ("NOT_TRADEABLE", {}, lambda desk: desk.market(0, known=31)),
        ("NOT_TRADEABLE", {}, lambda desk: desk.market(0, status=2)),
        ("STALE_BOOK", {}, lambda desk: desk.shard(alive=0)),
        ("STALE_BOOK", {}, lambda desk: desk.shard(generation=2)),
        ("BOOK_UNHEALTHY", {}, lambda desk: desk.book(0, [(4500, 1)], [(4600, 1)], flags=2)),
        ("BOOK_UNHEALTHY", {}, lambda desk: desk.book(0, [], [])),
        ("PRICE_BAND", {"price_e4": 5200}, None),
        ("OFF_GRID", {"price_e4": 4650}, None),
        ("OFF_GRID", {"size": 1}, None),
        ("FAT_FINGER", {"size": 20_000, "spend_e6": 149_200_000}, None),
        ("NOTIONAL", {"size": 320, "spend_e6": 200_000_000}, None),
        ("POSITION", {"action": 1, "price_e4": 4500, "size": 10}, None),
    ],
)
def test_hard_limit_drops_before_anything_is_written(desk, rule, fields, setup):
    if setup is not None:
        setup(desk)
    desk.wish(desk.intent(**fields))
    assert dropped(desk) == [rule]
    assert desk.posts() == []
    assert desk.shared.orders.store == {}


def test_cash_that_other_orders_hold_is_not_spent_again(make_desk):
    desk = make_desk(cash_e6=200_000_000)
    desk.wish(desk.intent(), desk.intent())
    assert dropped(desk) == ["CASH"]
    assert len(desk.posts()) == 1


def test_order_never_crosses_our_own_in_either_token(desk):
    gtc = int(lo.OrderType.GTC)
    desk.wish(desk.intent(0, 4500, 10, order_type=gtc))
    desk.wish(desk.intent(1, 5500, 10))
    assert dropped(desk) == ["SELF_CROSS"]
    desk.book(0, [(4300, 500)], [(4600, 120)])
    desk.wish(desk.intent(1, 5400, 10))
    assert dropped(desk) == ["SELF_CROSS", "OFF_GRID"]  # no NO ask at 0.54: nothing to walk


def test_rate_bucket_keeps_headroom_and_says_so(make_desk):
    desk = make_desk(params=ExecutorParams(orders_burst=12, orders_headroom=10))
    desk.wish(*(desk.intent(price_e4=4600, size=10) for _ in range(3)))
    assert len(desk.posts()) == 2
    assert dropped(desk) == ["RATE"]


def test_same_intent_twice_is_one_order(desk):
    intent = desk.intent()
    desk.wish(intent, intent)
    assert len(desk.posts()) == 1
    assert dropped(desk) == ["DUPLICATE"]


def test_new_orders_stop_when_reports_are_half_full(desk):
    desk.shared.reports.gate = len(desk.shared.reports.records) - 4096
    desk.wish(desk.intent())
    assert dropped(desk) == ["NO_ROOM"]
    assert desk.posts() == []


def test_a_finished_order_keeps_its_row_until_the_ledger_has_read_it(make_desk):
    desk = make_desk(params=ExecutorParams(orders_per_s=1000, orders_burst=1000))
    rows, reports = desk.shared.orders.rows, desk.shared.reports
    reports.gate = len(reports.records)
    for _ in range(rows):
        desk.transport.results.append(SEND_NONE)
        desk.wish(desk.intent(size=10))
    first = desk.order(0)
    assert first.state == State.REJECTED
    sent = len(desk.posts())
    desk.wish(desk.intent(size=10))
    assert len(desk.posts()) == sent, "every row holds what the ledger has not seen"
    assert desk.row(first).order_id == first.order_id
    reports.gate += 3
    desk.wish(desk.intent(size=10))
    assert len(desk.posts()) == sent + 1, "its row is another's once its reports are read"
    assert first.id not in desk.engine.desk.by_id


def test_reports_without_room_are_a_gap_and_stop_everything_new(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.shared.reports.gate = len(desk.shared.reports.records) - 8192
    desk.answer(key, desk.matched(desk.order(), "320", "149.2"))
    assert desk.engine.desk.ledger_gap
    assert desk.meters.ledger_gap.value == 2
    assert desk.row(desk.order()).filled_e6 == 320_000_000
    desk.shared.reports.gate = None
    desk.wish(desk.intent())
    assert len(desk.posts()) == 1


# ------------------------------------------------------------------ the transport's word
def test_halted_send_is_dropped_and_nothing_is_held(desk):
    desk.transport.results.append(SEND_HALTED)
    desk.wish(desk.intent())
    assert dropped(desk) == ["HALTED"]
    order = desk.order()
    assert order.state == State.REJECTED
    assert desk.cash().reserved_e6 == 0
    assert desk.posts() == []


def test_no_connection_drops_and_gives_the_token_back(make_desk):
    desk = make_desk(params=ExecutorParams(orders_burst=11, orders_headroom=10))
    desk.transport.results.append(SEND_NONE)
    desk.wish(desk.intent(), desk.intent())
    assert dropped(desk) == ["NO_CONNECTION"]
    assert len(desk.posts()) == 1


def test_partial_write_is_unknown_and_stays_exposure(desk):
    desk.transport.results.append(SEND_PARTIAL)
    desk.wish(desk.intent())
    assert desk.order().state == State.UNKNOWN
    assert desk.cash().reserved_e6 == 149_200_000


@pytest.mark.parametrize("bad", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("result", [SEND_NONE, SEND_HALTED, SEND_PARTIAL])
def test_nth_send_failing_leaves_the_others_alone(desk, bad, result):
    desk.transport.results.extend([SENT] * bad + [result])
    for _ in range(5):
        desk.wish(desk.intent(price_e4=4600, size=10))
    states = [State(order.state) for order in desk.engine.desk.by_id.values()]
    want = State.UNKNOWN if result == SEND_PARTIAL else State.REJECTED
    assert states == [want if at == bad else State.SENDING for at in range(5)]
    held = 5 if result == SEND_PARTIAL else 4
    assert desk.cash().reserved_e6 == held * 4_600_000


# ------------------------------------------------------------------ refusals
def test_killed_fok_is_the_normal_end_and_frees_the_cash(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    text = "order couldn't be fully filled. FOK orders are fully filled or killed."
    desk.answer(key, {"error": text}, 400)
    assert desk.order().state == State.UNMATCHED
    assert desk.cash().reserved_e6 == 0
    assert desk.meters.breaker_trips.value == 0


def test_server_error_is_unknown_never_a_reject(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.answer(key, {"error": "could not run the execution"}, 500)
    assert desk.order().state == State.UNKNOWN
    assert desk.cash().reserved_e6 == 149_200_000


def test_restart_of_the_venue_opens_the_breaker_for_all(desk):
    desk.wish(desk.intent(price_e4=4600, size=10))
    ((key, _),) = desk.posts()
    desk.answer(key, {"error": "service not ready"}, 425)
    desk.wish(desk.intent(2, 3200, 10))
    assert dropped(desk) == ["BREAKER"]


def test_retry_is_a_new_order_with_a_new_id_and_only_once(desk):
    desk.wish(desk.intent(price_e4=4600, size=10, expires_ns=desk.clock.now_ns + 60 * SECOND))
    ((key, first),) = desk.posts()
    desk.answer(key, {"error": "order timed out"}, 500)
    desk.run(40, 10_000_000)
    (_, (key, second)) = desk.posts()
    assert first["order"]["salt"] != second["order"]["salt"]
    desk.answer(key, {"error": "order timed out"}, 500)
    desk.run(40, 10_000_000)
    assert len(desk.posts()) == 2
    assert desk.meters.retries.value == 1


def test_refusal_of_the_account_halts_and_only_resume_lifts_it(desk):
    desk.wish(desk.intent(price_e4=4600, size=10))
    ((key, _),) = desk.posts()
    desk.answer(key, {"error": "Unauthorized/Invalid api key"}, 401)
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert dropped(desk) == ["HALTED"]
    assert "HALT" in desk.kinds()
    desk.engine.resume(desk.clock.now_ns)
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert len(desk.posts()) == 2
    assert "RESUME" in desk.kinds()


def test_rate_headers_of_the_venue_are_believed_when_lower(desk):
    desk.wish(desk.intent(price_e4=4600, size=10))
    ((key, _),) = desk.posts()
    answer = desk.matched(desk.order(), "10", "4.6")
    desk.answer(key, answer, headers=((b"Poly-RateLimit-Remaining", b"10"),))
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert dropped(desk) == ["RATE"]


# ------------------------------------------------------------------ convergence
def scene(desk, name):
    """Return an order and the messages about it, as callables."""
    fields = {"immediate": {}, "resting": {"order_type": int(lo.OrderType.GTC)}}
    kind, ending = name.split("-")
    desk.wish(desk.intent(price_e4=4600, size=100, **fields[kind]))
    ((key, _),) = desk.posts()
    order = desk.order()
    text = "order couldn't be fully filled. FOK orders are fully filled or killed."
    answers = {
        "filled": (desk.matched(order, "100", "46", trade="a"), 200),
        "split": ({**desk.matched(order, "100", "46"), "tradeIDs": ["a", "b"]}, 200),
        "failed": (desk.matched(order, "100", "46", trade="a"), 200),
        "part": (desk.matched(order, "40", "18.4", trade="a"), 200),
        "killed": ({"error": text}, 400),
        "canceled": (desk.matched(order, "", "", trade=None, status="live"), 200),
    }
    once = [lambda: desk.answer(key, *answers[ending])]
    trade, event = desk.trade_event, desk.order_event
    many = {
        "filled": [
            trade(order, "100", "0.46", "a"),
            trade(order, "100", "0.46", "a", "CONFIRMED"),
            event(order, "MATCHED", "100"),
        ],
        "split": [
            trade(order, "60", "0.46", "a"),
            trade(order, "40", "0.46", "b", "MINED"),
            event(order, "MATCHED", "100"),
        ],
        "failed": [
            trade(order, "100", "0.46", "a"),
            trade(order, "100", "0.46", "a", "FAILED"),
            event(order, "MATCHED", "100"),
        ],
        "part": [
            trade(order, "40", "0.46", "a"),
            event(order, "LIVE", "40"),
            event(order, "CANCELED", "40", "CANCELLATION"),
        ],
        "killed": [
            event(order, "CANCELED_" + text, "", "CANCELLATION"),
            event(order, "DELAYED", "0", "PLACEMENT"),
        ],
        "canceled": [
            event(order, "LIVE", "0", "PLACEMENT"),
            trade(order, "30", "0.46", "a"),
            event(order, "CANCELED", "30", "CANCELLATION"),
        ],
    }[ending]
    return order, once, [lambda each=each: desk.user(each) for each in many]


def books(desk, order):
    row, cash, held = desk.row(order), desk.cash(), desk.position(0)
    return (
        (row.state, row.filled_e6, row.cash_e6, row.fee_e6, row.reserved_e6, row.confirmed_e6),
        (cash.cash_e6, cash.reserved_e6, cash.fees_e6, cash.realized_e6),
        held and (held.size_e6, held.cost_e6, held.confirmed_e6, held.fees_e6),
    )


SCENES = {
    "immediate-filled": (State.MATCHED, 100, 0, 100),
    "immediate-split": (State.MATCHED, 100, 0, 0),
    "immediate-failed": (State.MATCHED, 0, 0, 0),
    "immediate-killed": (State.UNMATCHED, 0, 0, 0),
    "resting-filled": (State.MATCHED, 100, 0, 100),
    "resting-part": (State.CANCELED, 40, 0, 0),
    "resting-canceled": (State.CANCELED, 30, 0, 0),
}


@pytest.mark.parametrize("name", SCENES)
def test_messages_in_every_order_and_twice_leave_the_same_books(make_desk, name):
    outcomes = set()
    count = len(scene(make_desk(), name)[2]) + 1
    for sequence in permutations(range(count)):
        desk = make_desk()
        order, once, many = scene(desk, name)
        messages = once + many
        for at in sequence:
            messages[at]()
            if at:
                messages[at]()
        for each in many:
            each()
        desk.turn(3)
        outcomes.add(books(desk, order))
    assert len(outcomes) == 1
    (row, cash, _) = outcomes.pop()
    state, filled, held, confirmed = SCENES[name]
    assert (row[0], row[1], row[4], row[5]) == (state, filled * 10**6, held, confirmed * 10**6)
    assert cash[0] == 1_000_000_000 - filled * 460_000
    assert cash[1] == 0


@pytest.mark.parametrize("answer_first", [True, False])
def test_trade_corrects_what_the_answer_summed_up(desk, answer_first):
    desk.market(0, fee_rate_e6=70_000)
    desk.wish(desk.intent(price_e4=4700, size=100, spend_e6=46_500_000))
    ((key, _),) = desk.posts()
    order = desk.order()
    # The answer rounds to two decimals; the trade tells the fills of both makers.
    answer = desk.matched(order, "100.3", "46.49", trade="a")
    event = desk.trade_event(order, "100.25", "0.4632", "a", makers=[(60.25, 0.46), (40, 0.468)])
    if answer_first:
        desk.answer(key, answer)
        assert desk.row(order).filled_e6 == 100_300_000
        desk.user(event, event)
    else:
        desk.user(event, event)
        desk.answer(key, answer)
    fee_e6 = desk.row(order).fee_e6
    assert desk.row(order).filled_e6 == desk.position(0).size_e6 == 100_250_000
    assert desk.row(order).cash_e6 == 27_715_000 + 18_720_000
    assert desk.cash().cash_e6 == 1_000_000_000 - 46_435_000 - fee_e6
    assert fee_e6 == 1_744_870


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_many_partial_fills_converge_to_the_venues_totals(make_desk, data):
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    ends = data.draw(
        st.lists(
            st.sampled_from(["MATCHED", "MINED", "CONFIRMED", "FAILED"]),
            min_size=len(sizes),
            max_size=len(sizes),
        )
    )
    desk = make_desk()
    desk.wish(desk.intent(price_e4=4600, size=200, order_type=int(lo.OrderType.GTC)))
    order = desk.order()
    events = []
    for at, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        events += [
            desk.trade_event(order, str(size), "0.46", f"t{at}", each) for each in {"MATCHED", end}
        ]
    events = data.draw(st.permutations(events + events))
    desk.user(*events)
    kept = sum(size for size, end in zip(sizes, ends, strict=True) if end != "FAILED")
    assert desk.row(order).filled_e6 == kept * 10**6
    assert desk.row(order).cash_e6 == kept * 460_000
    assert desk.cash().cash_e6 == 1_000_000_000 - kept * 460_000
    assert (desk.position(0).size_e6, desk.position(0).cost_e6) == (kept * 10**6, kept * 460_000)
    sealed = sum(size for size, end in zip(sizes, ends, strict=True) if end == "CONFIRMED")
    assert desk.row(order).confirmed_e6 == sealed * 10**6


# ------------------------------------------------------------------ strangers and garbage
@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"event_type":"trade"}',
        b"\xff\xfe",
        b'{"event_type":3}',
        b"[" * 2000,
    ],
)
def test_garbage_on_the_user_channel_is_counted_or_ignored(desk, frame):
    before = books_before = desk.cash()
    desk.engine.inbox.on_user_frame(frame, desk.clock.now_ns)
    assert desk.cash() == before == books_before
    assert desk.meters.remote_errors.value == (0 if frame == b"[]" else 1)


def test_trade_of_another_token_under_our_order_id_is_not_booked(desk):
    desk.wish(desk.intent())
    order = desk.order()
    event = desk.trade_event(order, "10", "0.46")
    event["asset_id"] = "999"
    desk.user(event)
    assert desk.row(order).filled_e6 == 0
    assert desk.meters.remote_errors.value == 1


def test_unknown_order_event_is_counted_as_foreign(desk):
    desk.wish(desk.intent())
    event = desk.order_event(desk.order(), "LIVE")
    event["id"] = "0x" + "77" * 32
    desk.user(event)
    assert desk.meters.foreign.value == 1


def test_answer_nobody_asked_for_is_counted(desk):
    desk.engine.inbox.on_answer(999, 200, (), b"{}", desk.clock.now_ns)
    desk.engine.inbox.on_lost(998, desk.clock.now_ns)
    assert desk.meters.remote_errors.value == 2


@given(st.binary(max_size=80), st.sampled_from([200, 400, 404, 425, 500, 503]))
@settings(max_examples=60, deadline=None)
def test_any_answer_ends_in_a_known_state_and_held_cash_matches_it(make_desk, body, status):
    desk = make_desk()
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.answer(key, body, status)
    order = desk.order()
    assert order.state in (State.UNKNOWN, State.REJECTED)
    assert desk.cash().reserved_e6 == (149_200_000 if order.state == State.UNKNOWN else 0)


# ------------------------------------------------------------------ unknown
def test_unknown_order_is_canceled_by_id_and_gone_after_thirty_seconds(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    order = desk.order()
    desk.run(29, SECOND)
    assert order.state == State.UNKNOWN
    assert desk.cash().reserved_e6 == 149_200_000
    desk.run(8, SECOND)
    assert order.state == State.CANCELED
    assert desk.cash().reserved_e6 == 0
    assert desk.kinds().count("RESOLVED_UNKNOWN") == 1
    assert len(desk.posts()) == 1
    deletes = [body for _, body, _ in desk.transport.sent if body.startswith(b"DELETE /order ")]
    assert len(deletes) > 20
    assert all(order.order_id.hex().encode() in each for each in deletes)


def test_cancels_that_are_wanted_again_and_again_do_not_put_off_looking_an_order_up(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    for _ in range(90):
        desk.engine.cancel(desk.order().id)
        desk.run(1, SECOND // 2)
    assert desk.order().state == State.CANCELED


def test_unknown_order_that_filled_is_found_in_the_trades(desk):
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    order = desk.order()
    trade = desk.trade_event(
        order, "320", "0.46625", status="TRADE_STATUS_MINED", makers=[(120, 0.46), (200, 0.47)]
    )
    desk.venue_trades.append(trade)
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    desk.run(6, 10_000_000)
    assert order.state == State.MATCHED
    assert desk.row(order).cash_e6 == 149_200_000
    assert desk.position(0).size_e6 == 320_000_000


def test_unknown_order_found_resting_is_canceled(desk):
    desk.wish(desk.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC)))
    ((key, _),) = desk.posts()
    order = desk.order()
    resting = desk.order_event(order, "LIVE")
    desk.venue_orders.append(resting)
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    desk.run(6, 10_000_000)
    assert order.state == State.CANCELED
    assert resting["status"] == "CANCELED"
    assert desk.cash().reserved_e6 == 0


def test_post_that_lands_after_the_first_cancel_is_canceled_by_the_next(desk):
    desk.wish(desk.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC)))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    desk.run(10, SECOND)
    assert order.state == State.UNKNOWN
    resting = desk.order_event(order, "LIVE")
    desk.venue_orders.append(resting)
    desk.run(6, SECOND)
    assert resting["status"] == "CANCELED"
    assert order.state == State.CANCELED


def test_answer_that_never_comes_is_looked_up(desk):
    desk.wish(desk.intent())
    desk.run(12, SECOND)
    assert desk.order().state == State.UNKNOWN
    assert "UNKNOWN" in desk.kinds()


def test_cancel_intent_cancels_its_target(desk):
    intent = desk.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC))
    desk.wish(intent)
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "", "", trade=None, status="live"))
    desk.venue_orders.append(desk.order_event(order, "LIVE"))
    desk.wish(desk.intent(intent_flags=int(lo.IntentFlag.CANCEL), target=intent.id))
    desk.run(3, 1_000_000)
    assert order.state == State.CANCELED


# ------------------------------------------------------------------ heartbeat
def test_heartbeat_beats_every_five_seconds_with_the_last_id(desk):
    desk.run(16, SECOND)
    beats = [
        json.loads(body.partition(b"\r\n\r\n")[2])
        for _, body, _ in desk.transport.sent
        if b"/v1/heartbeats" in body[:40]
    ]
    assert [each["heartbeat_id"] for each in beats] == ["", "beat", "beat", "beat"]


def test_unreadable_user_frames_are_sampled_once_a_second_without_the_key(make_desk):
    desk = make_desk()
    desk.notes.clear()
    key = desk.engine.reconciler._account.api_key
    cut_short = b'{"event_type": "trade", "owner": "%s"' % key.encode()
    for _ in range(5):
        desk.engine.inbox.on_user_frame(cut_short, 10**18)
    desk.engine.inbox.on_user_frame(b"garbage", 10**18 + 2 * 10**9)
    assert desk.meters.remote_errors.value == 6
    assert [kind for kind, _ in desk.notes] == ["unreadable user frame"] * 2
    assert not any(key in sample for _, sample in desk.notes)
    assert "malformed" in desk.notes[1][1]
