"""What happens while something is in doubt: fills heard before a restart has listed its trades,
and orders whose fate must be looked up although something else always wants the turn."""

from lowlat.core.layout import OrderState

SECOND = 1_000_000_000
MS = 1_000_000


def listed(order, trade, size, price, status):
    return {
        "id": trade,
        "taker_order_id": "0x" + order.order_id.hex(),
        "market": "0x" + "01" * 32,
        "asset_id": str(int.from_bytes(order.token_id, "big")),
        "side": "BUY",
        "size": size,
        "price": price,
        "status": status,
        "match_time": "1795305605",
        "owner": "00000000-0000-0000-0000-000000000001",
        "maker_address": "",
        "maker_orders": [],
        "trader_side": "TAKER",
        "outcome": "Yes",
        "fee_rate_bps": "0",
        "bucket_index": 0,
        "transaction_hash": "0x",
        "last_update": "1795305605",
    }


def test_fill_heard_before_the_listing_is_not_booked_again_after_a_restart(make_desk):
    desk = make_desk()
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "100", "46", trade="a"))
    desk.turn()
    cash_e6 = desk.engine.desk.accounts.cash_e6
    assert order.filled_e6 == 100_000_000
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.venue_trades.append(listed(order, "a", "100", "0.46", "TRADE_STATUS_MINED"))
    desk.boot()
    # The user channel is faster than the listing: the trade of an earlier life is mined.
    desk.user(desk.trade_event(order, "100", "0.46", "a", "MINED"))
    desk.turn()
    desk.ready()
    desk.user(desk.trade_event(order, "100", "0.46", "a", "CONFIRMED"))
    desk.turn()
    restored = desk.order()
    accounts = desk.engine.desk.accounts
    assert restored.filled_e6 == 100_000_000
    assert accounts.size_e6(0) == 100_000_000
    assert accounts.cash_e6 == cash_e6
    assert not desk.engine.desk.unsettled, "the confirmation held back was heard too"


def test_a_group_in_doubt_does_not_keep_questions_and_beats_from_leaving(make_desk):
    desk = make_desk()
    legs = [
        desk.intent(instrument=instrument, price_e4=price_e4, size=50, group=9, leg=leg, legs=2)
        for leg, (instrument, price_e4) in enumerate(((0, 4600), (2, 3200)))
    ]
    desk.wish(*legs)
    ((key, _),) = desk.posts()
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    # A parked process turns every few milliseconds: the group past its deadline wants each of them.
    desk.run(400, 5 * MS)
    assert desk.order().lookups, "the first question"
    desk.run(3_000, 5 * MS)
    before = desk.order().lookups
    beats = len([1 for _, raw, _ in desk.transport.sent if b"/heartbeats" in raw])
    desk.run(3_000, 5 * MS)
    assert desk.order().lookups - before >= 10, "asked each second"
    later = len([1 for _, raw, _ in desk.transport.sent if b"/heartbeats" in raw])
    assert later - beats >= 2, "a beat each five seconds"


def test_trades_are_listed_for_all_orders_in_doubt_at_once(make_desk):
    desk = make_desk()
    for _ in range(6):
        desk.wish(desk.intent(price_e4=4600, size=10))
    orders = [desk.order(index) for index in range(6)]
    desk.venue_trades.append(listed(orders[3], "t", "10", "0.46", "TRADE_STATUS_MINED"))
    for key, _ in desk.posts():
        desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    desk.run(12, MS)
    listings = desk.transport.sent
    asked = [request[:24] for _, request, _ in listings]
    assert asked.count(b"DELETE /order HTTP/1.1\r\n") == 6
    assert sum(each.startswith(b"GET /data/order/") for each in asked) == 6
    assert 1 <= sum(b"GET /data/trades" in request[:40] for _, request, _ in listings[12:]) <= 3
    assert orders[3].filled_e6 == 10_000_000
    desk.run(40, SECOND)
    assert not desk.engine.desk.unsettled.keys() - {orders[3].id}


def test_listing_that_is_lost_is_asked_for_again(make_desk):
    desk = make_desk()
    for _ in range(3):
        desk.wish(desk.intent(price_e4=4600, size=10))
    for key, _ in desk.posts():
        desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    for _ in range(60):
        desk.turn(step_ns=SECOND // 2)
        for key, _, _ in desk.take(b"GET /data/trades"):
            desk.engine.inbox.on_lost(key, desk.clock.now_ns)
            desk.transport.sent = [each for each in desk.transport.sent if each[0] != key]
        desk.answer_questions()
    assert len(desk.engine.desk.unsettled) == 3, "nothing is decided without a listing"
    desk.run(80, SECOND // 2)
    assert not desk.engine.desk.unsettled


def test_venue_that_hears_no_cancels_for_a_while_does_not_begin_the_wait_anew(make_desk):
    """An order unknown for 20 s, then 20 s of refused cancels: the next whole cycle ends it."""
    desk = make_desk()
    desk.wish(desk.intent(price_e4=4600, size=10))
    ((key, _),) = desk.posts()
    desk.engine.inbox.on_lost(key, desk.clock.now_ns)
    order = desk.order()
    desk.run(20, SECOND)
    since_ns = order.unknown_ns
    reply = desk._reply
    desk._reply = lambda request: (
        ({"error": "service not ready"}, 425) if request[:6] == b"DELETE" else reply(request)
    )
    desk.run(20, SECOND)
    assert order.state == OrderState.UNKNOWN, "no cancel was heard when the time was up"
    assert order.unknown_ns == since_ns > 0
    desk._reply = reply
    desk.run(5, SECOND)
    assert not order.open
