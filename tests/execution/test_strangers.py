"""Orders that the venue names and that have no row: strangers count once, what is over never."""

import pytest

from lowlat.core import layout as lo
from lowlat.core.recovered import Recovered
from lowlat.execution.params import ExecutorParams
from lowlat.execution.strangers import Strangers

SECOND = 1_000_000_000
STRANGER = "0x" + "77" * 32


def stranger(desk, event):
    key = "id" if event["event_type"] == "order" else "taker_order_id"
    return event | {key: STRANGER}


def finished(desk):
    """Buy 100 for 46 dollars, all settled, and forget the order, as rows that are needed do."""
    desk.wish(desk.intent(price_e4=4600, size=100))
    order = desk.order()
    desk.answer(desk.posts()[-1][0], desk.matched(order, "100", "46", trade="a"))
    desk.user(desk.trade_event(order, "100", "0.46", "a", "CONFIRMED"))
    desk.turn(3)
    assert order.done
    desk.engine.desk.drop(order)
    desk.venue_cash_e6 -= 46_000_000
    desk.venue_tokens[desk.token(0)] = 100_000_000
    return order


def balance_questions(desk):
    return sum(b"GET /balance-allowance?" in each for _, each, _ in desk.transport.sent)


def test_a_stranger_is_counted_once_whatever_is_said_of_it(desk):
    desk.wish(desk.intent())
    order = desk.order()
    for _ in range(3):
        desk.user(stranger(desk, desk.order_event(order, "LIVE")))
        for status in ("MATCHED", "MINED", "CONFIRMED"):
            desk.user(stranger(desk, desk.trade_event(order, "10", "0.46", "t", status)))
    assert desk.meters.foreign.value == 1
    assert desk.position(0) is None


def test_each_step_of_a_strangers_trade_doubts_the_balances_once(desk):
    desk.wish(desk.intent())
    order, listener = desk.order(), desk.engine.listener
    for status in ("MATCHED", "CONFIRMED"):
        event = stranger(desk, desk.trade_event(order, "10", "0.46", "t", status))
        listener.in_doubt = False
        desk.user(event)
        assert listener.in_doubt
        listener.in_doubt = False
        desk.user(event)
        assert not listener.in_doubt


@pytest.mark.parametrize("cancels", [True, False])
def test_a_stranger_that_comes_to_rest_behind_the_listing_is_canceled(make_desk, cancels):
    # It left before a reboot and reached the venue when open orders had been listed already.
    desk = make_desk(params=ExecutorParams(cancel_foreign=cancels))
    desk.wish(desk.intent())
    event = stranger(desk, desk.order_event(desk.order(), "LIVE", kind="PLACEMENT"))
    desk.venue_orders.append(event)
    desk.user(event)
    desk.run(6, 2_000_000)
    assert event["status"] == ("CANCELED" if cancels else "LIVE")
    asked = [each for _, each, _ in desk.transport.sent if each.startswith(b"GET /data/orders?")]
    assert len(asked) == (2 if cancels else 1), "one listing for it, the first is the start's"
    assert desk.meters.foreign.value == 1


def test_what_is_over_and_listed_again_is_no_stranger_and_no_doubt(desk):
    order = finished(desk)
    desk.venue_trades.append(
        desk.trade_event(order, "100", "0.46", "a", "CONFIRMED")
        | {"status": "TRADE_STATUS_CONFIRMED"}
    )
    desk.run(5, 10_000_000)
    before = balance_questions(desk)
    desk.engine.reconciler.check_orders(desk.clock.now_ns)
    desk.user(desk.order_event(order, "MATCHED", "100"))
    desk.user(desk.trade_event(order, "100", "0.46", "a", "CONFIRMED"))
    desk.run(50, 100_000_000)
    assert desk.meters.foreign.value == 0
    assert balance_questions(desk) == before
    assert desk.position(0).size_e6 == 100_000_000


def test_a_trade_that_still_settles_for_an_order_that_is_over_doubts_the_balances(desk):
    order = finished(desk)
    desk.run(5, 10_000_000)
    desk.venue_tokens[desk.token(0)] += 5_000_000
    desk.venue_cash_e6 -= 2_300_000
    desk.user(desk.trade_event(order, "5", "0.46", "late", "MATCHED"))
    desk.run(50, 100_000_000)
    assert desk.meters.foreign.value == 0
    assert desk.position(0).size_e6 == 105_000_000
    assert desk.cash().cash_e6 == desk.venue_cash_e6


def test_after_a_reboot_what_the_journal_knew_is_no_stranger(make_desk):
    before = make_desk()
    order = finished(before)
    event = before.trade_event(order, "100", "0.46", "a", "CONFIRMED")
    zeros = dict.fromkeys(lo.PositionRow._fields, 0)
    held = lo.PositionRow(**zeros)._replace(
        token_id=order.token_id, size_e6=100_000_000, confirmed_e6=100_000_000, cost_e6=46_000_000
    )
    cash = lo.CashRow(**dict.fromkeys(lo.CashRow._fields, 0))._replace(cash_e6=954_000_000)
    known = Recovered([], [held], cash, "", 0, {order.order_id})
    desk = make_desk(start=False, recovered=known, cash_e6=954_000_000)
    desk.venue_tokens[desk.token(0)] = 100_000_000
    desk.venue_trades = [event | {"status": "TRADE_STATUS_CONFIRMED"}]
    desk.ready()
    # An order in doubt has all trades listed, again and again.
    desk.wish(desk.intent(price_e4=4600, size=50))
    desk.engine.inbox.on_lost(desk.posts()[-1][0], desk.clock.now_ns)
    desk.run(100, SECOND // 10)
    assert desk.meters.foreign.value == 0
    assert desk.position(0).size_e6 == 100_000_000


def test_memory_of_strangers_and_of_what_is_over_is_bounded():
    class Count:
        value = 0

        def add(self, count):
            self.value += count

    count = Count()
    strangers = Strangers(count)
    ids = [number.to_bytes(8, "big") * 4 for number in range(25_000)]
    strangers.forget(ids)
    strangers.forget(ids[-1:])
    assert strangers.is_over(ids[-1])
    assert strangers.is_over(ids[5_000])
    assert not strangers.is_over(ids[4_999]), "the oldest gave way"
    assert sum(strangers.meet(each) for each in ids) == count.value == 10_000
    assert all(strangers.is_news(ids[0], str(number), 1) for number in range(12_000))
    assert not strangers.is_news(ids[0], "0", 1)
    assert strangers.is_news(ids[0], "11999", 1), "what does not fit is news each time"
