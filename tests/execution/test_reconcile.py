"""Restarts: the writer dies at every store and every byte handed over, a new one takes over.

The venue below keeps what it was sent before the death. Whatever the moment, the new executor
sends nothing again, books exactly the venue's fills, and holds nothing in the end.
"""

import pytest

from lowlat.core import layout as lo
from lowlat.core.recovered import Recovered

SECOND = 1_000_000_000
State = lo.OrderState


class Died(Exception):
    pass


def kill_at(desk, count):
    """Make the count-th store of any kind raise; return the countdown."""
    left = [count]

    def store():
        left[0] -= 1
        if left[0] == 0:
            raise Died

    tables = (desk.shared.orders, desk.shared.positions, desk.shared.cash, desk.shared.groups)
    for table in tables:
        table.on_write = store
    publish = desk.shared.reports.publish

    def publish_or_die(kind):
        store()
        return publish(kind)

    desk.shared.reports.publish = publish_or_die
    desk.transport.before_send = lambda request: store()

    def disarm():
        for table in tables:
            table.on_write = None
        del desk.shared.reports.publish
        desk.transport.before_send = None

    return disarm


def named(desk):
    """What the executor said of differences that no amount tells."""
    texts = [each.trade_text.rstrip(b"\0") for each in desk.reports()]
    return [text for text in texts if text.startswith((b"canceled ", b"adopted ", b"unlisted "))]


def event_order(event):
    return event["taker_order_id"]


def restart(desk):
    """Boot a second executor on what the first left behind."""
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    before = len(desk.posts())
    desk.boot()
    desk.ready()
    return before


def whole_story(desk):
    """One order sent, answered and settled: every store it takes happens in here."""
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "100", "46", trade="a"))
    for status in ("MATCHED", "MINED", "CONFIRMED"):
        desk.user(desk.trade_event(order, "100", "0.46", "a", status))
    desk.turn()


def stores_of_the_whole_story(make_desk):
    desk = make_desk()
    count = 0
    while True:
        count += 1
        desk = make_desk()
        disarm = kill_at(desk, count)
        try:
            whole_story(desk)
        except Died:
            disarm()
            continue
        return count - 1


def test_killed_at_every_store_nothing_is_sent_twice_and_the_books_agree(make_desk):
    stores = stores_of_the_whole_story(make_desk)
    assert stores > 12
    for count in range(1, stores + 1):
        desk = make_desk()
        disarm = kill_at(desk, count)
        with pytest.raises(Died):
            whole_story(desk)
        disarm()
        sent = desk.posts()
        # The venue has what was handed over, and matched it.
        if sent:
            order_row = lo.ORDER_ROW.unpack(desk.shared.orders.store[0][1])
            trade = {
                "id": "a",
                "taker_order_id": "0x" + order_row.order_id.hex(),
                "market": "0x" + "01" * 32,
                "asset_id": sent[0][1]["order"]["tokenId"],
                "side": "BUY",
                "size": "100",
                "price": "0.46",
                "status": "TRADE_STATUS_CONFIRMED",
                "match_time": "1795305605",
                "owner": "00000000-0000-0000-0000-000000000001",
                "maker_address": "",
                "trader_side": "TAKER",
                "maker_orders": [],
            }
            desk.venue_trades.append(trade)
            desk.venue_cash_e6 -= 46_000_000
            desk.venue_tokens[desk.token(0)] = 100_000_000
        restart(desk)
        assert len(desk.posts()) == len(sent), count
        desk.run(45, SECOND)
        assert len(desk.posts()) == len(sent), count
        cash = desk.cash()
        assert cash.cash_e6 == 1_000_000_000 - (46_000_000 if sent else 0), count
        assert cash.reserved_e6 == 0, count
        held = desk.position(0)
        assert (held.size_e6 if held else 0) == (100_000_000 if sent else 0), count
        assert not desk.engine.desk.unsettled, count
        assert desk.kinds().count("RECONCILED") == 1, count  # the very first start took the balance


def test_row_written_but_never_sent_is_unknown_then_gone(desk):
    def die(request):
        raise Died

    desk.transport.before_send = die
    with pytest.raises(Died):
        desk.wish(desk.intent(price_e4=4600, size=100))
    desk.transport.before_send = None
    restart(desk)
    order = desk.order()
    assert order.state == State.UNKNOWN
    assert desk.cash().reserved_e6 >= 46_000_000
    desk.run(35, SECOND)
    assert order.state == State.CANCELED
    assert desk.cash().reserved_e6 == 0
    assert desk.posts() == []


def test_restart_refuses_waiting_intents_and_says_epoch_seen(desk):
    intents = [desk.intent(price_e4=4600, size=10) for _ in range(20)]
    for intent in intents:
        lo.INTENT.pack(desk.shared.intents.buffer, intent)
        desk.shared.intents.publish(lo.INTENT.kind)
    desk.shared.reports.epoch += 1
    before = len(desk.shared.reports.records)
    desk.boot()
    desk.ready()
    assert desk.posts() == []
    kinds = desk.kinds(before)
    assert kinds.count("DROPPED") == 20
    assert kinds.index("EPOCH_SEEN") > max(at for at, kind in enumerate(kinds) if kind == "DROPPED")
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert len(desk.posts()) == 1


def test_new_epoch_of_risk_is_acknowledged(desk):
    before = len(desk.shared.reports.records)
    desk.shared.intents.epoch = 5
    desk.wish(desk.intent(price_e4=4600, size=10))
    (seen,) = [each for each in desk.reports(before) if each.kind == lo.ReportKind.EPOCH_SEEN]
    assert seen.intent == lo.record_id(lo.Writer.RISK, 5, 0)


def test_a_new_life_of_risk_is_answered_before_it_wishes_anything(desk):
    before = len(desk.shared.reports.records)
    desk.shared.intents.epoch = 6
    reset = lo.Reset(lo.record_id(lo.Writer.RISK, 6, 1), desk.clock.now_ns, 5, 0)
    lo.RESET.pack(desk.shared.intents.buffer, reset)
    desk.shared.intents.publish(lo.RESET.kind)
    desk.turn()
    (seen,) = [each for each in desk.reports(before) if each.kind == lo.ReportKind.EPOCH_SEEN]
    assert seen.intent == lo.record_id(lo.Writer.RISK, 6, 0)
    assert desk.posts() == []


def test_intents_wait_for_the_venue(make_desk):
    desk = make_desk(start=False)
    desk.wish(desk.intent())
    desk.turn(5)
    assert desk.posts() == []
    assert not desk.engine.ready


def test_first_start_takes_the_venues_balances(make_desk):
    desk = make_desk(cash_e6=123_456_789)
    assert desk.cash().cash_e6 == 123_456_789


def test_resting_order_of_our_key_that_nobody_knows_is_canceled(make_desk):
    desk = make_desk(start=False)
    stranger = {
        "id": "0x" + "ab" * 32,
        "status": "LIVE",
        "market": "0x" + "01" * 32,
        "asset_id": str(desk.token(0)),
        "side": "BUY",
        "price": "0.4",
        "original_size": "10",
        "size_matched": "0",
        "order_type": "GTC",
    }
    desk.venue_orders.append(stranger)
    desk.ready()
    assert stranger["status"] == "CANCELED"
    assert desk.posts() == []
    desk.engine.reconciler.check_orders(desk.clock.now_ns)
    desk.run(20, SECOND // 10)
    assert named(desk) == [b"canceled 0x" + b"ab" * 14 + b"a"], "once, not with each listing"


def test_listing_that_breaks_off_is_read_again(make_desk):
    desk = make_desk(start=False)
    desk.turn()
    key = desk.transport.sent[-1][0]
    desk.answer(key, b"<html>", 502)
    desk.answered = len(desk.transport.sent)
    desk.clock.now_ns += SECOND
    desk.ready()
    assert desk.engine.ready


def test_resting_order_survives_a_restart_and_its_fill_is_booked(desk):
    desk.wish(desk.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC)))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "", "", trade=None, status="live"))
    desk.venue_orders.append(desk.order_event(order, "LIVE"))
    restart(desk)
    again = desk.order()
    assert again.state == State.LIVE
    assert desk.cash().reserved_e6 == 4_500_000
    desk.user(desk.trade_event(again, "10", "0.45"))
    assert desk.position(0).size_e6 == 10_000_000
    assert desk.cash().reserved_e6 == 0


def test_duplicate_trade_after_a_restart_is_not_booked_again(desk):
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "100", "46", trade="a"))
    event = desk.trade_event(order, "100", "0.46", "a")
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_MATCHED"})
    restart(desk)
    desk.user(event, event)
    desk.user({**event, "status": "CONFIRMED"})
    assert desk.position(0).size_e6 == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    assert not desk.engine.desk.unsettled


def test_a_fill_that_the_listing_lacks_after_a_restart_is_not_booked_again(desk):
    """Listings lag behind the user channel, and behind the answer that an earlier life had."""
    desk.wish(desk.intent(price_e4=4600, size=100))
    ((key, _),) = desk.posts()
    order = desk.order()
    desk.answer(key, desk.matched(order, "100", "46", trade="a"))
    event = desk.trade_event(order, "100", "0.46", "a")
    desk.venue_orders.append(desk.order_event(order, "MATCHED", "100"))
    desk.venue_cash_e6, desk.venue_tokens = 954_000_000, {desk.token(0): 100_000_000}
    restart(desk)
    desk.user({**event, "status": "MINED"})
    desk.run(10, SECOND // 10)
    assert desk.position(0).size_e6 == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_CONFIRMED"})
    desk.user({**event, "status": "CONFIRMED"})
    desk.run(60, SECOND)
    assert desk.position(0).size_e6 == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    assert not desk.engine.desk.unsettled


def test_what_the_listing_still_lacks_after_half_a_minute_never_was(desk):
    desk.wish(desk.intent(price_e4=4600, size=100, order_type=int(lo.OrderType.GTC)))
    order = desk.order()
    desk.user(
        desk.trade_event(order, "30", "0.46", "a"), desk.trade_event(order, "50", "0.46", "b")
    )
    desk.venue_orders.append(desk.order_event(order, "CANCELED", "50"))
    event = desk.trade_event(order, "50", "0.46", "b", "CONFIRMED")
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_CONFIRMED"})
    desk.venue_cash_e6, desk.venue_tokens = 977_000_000, {desk.token(0): 50_000_000}
    restart(desk)
    desk.run(5, SECOND)
    assert desk.position(0).size_e6 == 80_000_000
    desk.run(70, SECOND)
    assert desk.position(0).size_e6 == 50_000_000
    assert desk.cash().cash_e6 == 977_000_000
    assert not desk.engine.desk.unsettled


def test_fill_missed_while_dead_is_booked_from_the_listing(desk):
    desk.wish(desk.intent(price_e4=4600, size=100, order_type=int(lo.OrderType.GTC)))
    order = desk.order()
    desk.user(desk.trade_event(order, "30", "0.46", "a"))
    for trade, size in (("a", "30"), ("b", "50")):
        event = desk.trade_event(order, size, "0.46", trade, "MINED")
        desk.venue_trades.append({**event, "status": "TRADE_STATUS_MINED"})
    desk.venue_orders.append(desk.order_event(order, "LIVE", "80"))
    restart(desk)
    assert desk.row(desk.order()).filled_e6 == 80_000_000
    assert desk.cash().cash_e6 == 1_000_000_000 - 80 * 460_000
    desk.user(desk.trade_event(desk.order(), "50", "0.46", "b", "CONFIRMED"))
    assert desk.position(0).size_e6 == 80_000_000


def test_reversal_missed_while_dead_is_taken_back(desk):
    desk.wish(desk.intent(price_e4=4600, size=100))
    order = desk.order()
    desk.user(desk.trade_event(order, "100", "0.46", "a"))
    event = desk.trade_event(order, "100", "0.46", "a")
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_FAILED"})
    restart(desk)
    assert desk.position(0).size_e6 == 0
    assert desk.cash().cash_e6 == 1_000_000_000


def test_group_half_sent_when_killed_is_unwound_after_the_restart(desk):
    fields = {"group": 77, "legs": 2, "size": 100, "unwind_reserve_e6": 60_000_000}
    desk.wish(
        desk.intent(0, 4600, leg=0, unwind_price_e4=6000, **fields),
        desk.intent(2, 3200, leg=1, unwind_price_e4=7500, **fields),
    )
    first, second = desk.engine.desk.by_id.values()
    desk.user(desk.trade_event(first, "100", "0.46", "a"))
    event = desk.trade_event(first, "100", "0.46", "a")
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_MATCHED"})
    desk.venue_orders.append(
        {
            **desk.order_event(second, "CANCELED_order couldn't be fully filled. FOK"),
            "size_matched": "0",
        }
    )
    desk.book(1, [(3000, 500)], [(3500, 500)])
    restart(desk)
    desk.run(10, 10_000_000)
    unwind = desk.posts()[-1][1]["order"]
    assert (unwind["tokenId"], unwind["makerAmount"]) == (str(desk.token(1)), "55000000")
    assert len(desk.posts()) == 2


def test_balance_that_differs_twice_is_believed_and_reported(desk):
    desk.venue_cash_e6 = 900_000_000
    before = len(desk.shared.reports.records)
    desk.run(3, 61 * SECOND)
    desk.run(20, SECOND)
    (report,) = [each for each in desk.reports(before) if each.kind == lo.ReportKind.RECONCILED]
    assert report.cash_e6 == -100_000_000
    assert desk.cash().cash_e6 == 900_000_000


def held_and_over(desk):
    """Buy 100 of token 0; then its market ends, the venue pays and takes the shares."""
    desk.wish(desk.intent(price_e4=4600, size=100))
    desk.user(desk.trade_event(desk.order(), "100", "0.46", "a", "CONFIRMED"))
    desk.venue_cash_e6, desk.venue_tokens = 954_000_000, {desk.token(0): 100_000_000}
    desk.run(3, 61 * SECOND)
    desk.market(0, status=int(lo.MarketStatus.CLOSED))
    desk.venue_cash_e6, desk.venue_tokens = 1_054_000_000, {}


def test_what_an_ended_market_pays_is_in_the_books_within_seconds(desk):
    held_and_over(desk)
    desk.run(100, SECOND // 10)
    assert desk.position(0).size_e6 == 0
    assert desk.cash().cash_e6 == 1_054_000_000


def test_balances_that_moved_while_they_were_asked_for_are_still_in_doubt(desk):
    held_and_over(desk)
    desk.engine.listener.in_doubt = True
    for _ in range(100):
        desk.turn(step_ns=SECOND // 10)
        if b"/balance-allowance" in desk.transport.sent[-1][1]:
            break
        desk.answer_questions()
    else:
        raise AssertionError("balances are not asked for")
    desk.engine.desk.accounts.bookings += 1
    desk.run(45, SECOND // 10)
    assert desk.cash().cash_e6 == 1_054_000_000


def test_reading_orders_again_and_again_does_not_put_off_comparing_balances(desk):
    desk.venue_cash_e6 = 900_000_000
    for _ in range(140):
        desk.engine.reconciler.check_orders(desk.clock.now_ns)
        desk.run(5, SECOND // 5)
    assert desk.cash().cash_e6 == 900_000_000


def test_a_round_that_was_asked_for_says_when_all_agree(desk):
    desk.run(5, SECOND // 10)
    asked_ns = desk.clock.now_ns
    desk.engine.reconciler.check_balances(asked_ns)
    assert desk.engine.reconciler.agreed_ns < asked_ns
    desk.run(6, SECOND // 10)
    assert desk.engine.reconciler.agreed_ns >= asked_ns
    desk.venue_cash_e6 -= 1
    desk.engine.reconciler.check_balances(desk.clock.now_ns)
    before_ns = desk.clock.now_ns
    desk.run(3, SECOND // 10)
    assert desk.engine.reconciler.agreed_ns < before_ns
    desk.run(30, SECOND // 10)
    assert desk.engine.reconciler.agreed_ns >= before_ns
    assert desk.cash().cash_e6 == 999_999_999


def test_balance_is_not_believed_while_a_fill_is_on_its_way(desk):
    desk.wish(desk.intent(price_e4=4600, size=100))
    desk.user(desk.trade_event(desk.order(), "100", "0.46", "a"))
    desk.venue_trades.append(
        {**desk.trade_event(desk.order(), "100", "0.46", "a"), "status": "MATCHED"}
    )
    desk.run(10, 61 * SECOND)
    assert desk.cash().cash_e6 == 954_000_000


def test_reconnect_of_the_user_channel_reads_what_was_missed(desk):
    desk.wish(desk.intent(price_e4=4600, size=100))
    order = desk.order()
    desk.venue_trades.append({**desk.trade_event(order, "100", "0.46", "a"), "status": "MATCHED"})
    desk.engine.inbox.on_user_disconnected(desk.clock.now_ns)
    desk.engine.inbox.on_user_connected(desk.clock.now_ns)
    desk.run(6, 1_000_000)
    assert desk.position(0).size_e6 == 100_000_000


def test_requests_of_reconciliation_sign_the_path_without_the_query(desk):
    lines = [request.split(b"\r\n")[0] for _, request, _ in desk.transport.sent]
    assert any(b"/data/orders?next_cursor=" in line for line in lines)
    assert any(b"/data/trades?" in line for line in lines)


def bare(make_desk, **options):
    """Boot on empty shared memory: not even a market is known yet."""
    empty = type(make_desk(start=False).shared)()
    return make_desk(start=False, shared=empty, cash_e6=954_000_000, **options)


def after_reboot(make_desk):
    """Boot with a journal that holds 100 of token 0."""
    zeros = dict.fromkeys(lo.PositionRow._fields, 0)
    position = lo.PositionRow(**zeros)._replace(
        token_id=((1 << 200) + (1 << 41)).to_bytes(32, "big"),
        size_e6=100_000_000,
        confirmed_e6=100_000_000,
        cost_e6=46_000_000,
    )
    cash = lo.CashRow(**dict.fromkeys(lo.CashRow._fields, 0))._replace(cash_e6=954_000_000)
    return bare(make_desk, recovered=Recovered([], [position], cash, "", 0, set()))


def test_after_a_reboot_positions_wait_for_their_markets(make_desk):
    desk = after_reboot(make_desk)
    desk.run(20, SECOND // 10)
    assert not desk.engine.ready
    assert desk.shared.cash.version(0) == 0, "nothing is said before the account is known"
    desk.market(0)
    desk.run(20, SECOND // 10)
    assert desk.engine.ready
    assert desk.engine.desk.accounts.size_e6(0) == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    assert desk.meters.foreign.value == 0


def test_after_a_reboot_a_market_that_is_gone_is_not_waited_for_forever(make_desk):
    desk = after_reboot(make_desk)
    desk.market(1)
    desk.run(120, SECOND // 10)
    assert desk.engine.ready
    assert desk.engine.desk.accounts.cash_e6 == 954_000_000


def test_closed_before_its_markets_were_listed_writes_no_cash(make_desk):
    desk = after_reboot(make_desk)
    desk.engine.close()
    assert desk.shared.cash.version(0) == 0


def test_after_a_reboot_a_fill_that_the_journal_missed_waits_for_its_market(make_desk):
    before = make_desk()
    before.wish(before.intent(price_e4=4600, size=100))
    event = before.trade_event(before.order(), "100", "0.46", "a", "MINED")
    cash = lo.CashRow(**dict.fromkeys(lo.CashRow._fields, 0))._replace(cash_e6=1_000_000_000)
    desk = bare(make_desk, recovered=Recovered([], [], cash, "", 0, set()))
    desk.venue_trades = [{**event, "status": "TRADE_STATUS_MINED"}]
    desk.run(20, SECOND // 10)
    assert not desk.engine.ready
    desk.market(0)
    desk.run(20, SECOND // 10)
    assert desk.engine.ready
    assert desk.engine.desk.accounts.size_e6(0) == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    assert named(desk) == [b"adopted 0x" + event_order(event)[2:32].encode()]


def test_first_start_waits_for_the_markets_of_what_is_held(make_desk):
    before = make_desk()
    before.wish(before.intent(price_e4=4600, size=100))
    event = before.trade_event(before.order(), "100", "0.46", "a", "CONFIRMED")
    desk = bare(make_desk)
    desk.venue_trades = [{**event, "status": "TRADE_STATUS_CONFIRMED"}]
    desk.venue_tokens = {desk.token(0): 100_000_000}
    desk.run(20, SECOND // 10)
    assert not desk.engine.ready
    desk.market(0)
    desk.run(20, SECOND // 10)
    assert desk.engine.ready
    assert desk.engine.desk.accounts.size_e6(0) == 100_000_000
