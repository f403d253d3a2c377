"""An order of which nobody told the end: canceled by its id, looked up, and given up at last."""

from lowlat.core import layout as lo

SECOND = 1_000_000_000


State = lo.OrderState


def dropped(desk):
    return [
        lo.Rule(each.reason).name for each in desk.reports() if each.kind == lo.ReportKind.DROPPED
    ]


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
