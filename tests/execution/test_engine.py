"""The executor over list-backed ports: an intent becomes a row, a report, bytes, a fill."""

import json

import pytest

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
