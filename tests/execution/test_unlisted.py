"""Tokens whose market has no row: kept, counted, compared with the venue, never traded.

A reboot empties the markets table, and a market that ended meanwhile is not among what the venue
lists. What we hold of it is ours all the same.
"""

import pytest

from lowlat.core import layout as lo
from lowlat.core.recovered import Recovered

SECOND = 1_000_000_000
UNLISTED = 56
"""First row for such tokens in a table of 64."""


def token_id(desk, instrument):
    return desk.token(instrument).to_bytes(32, "big")


def journal(desk, *instruments, orders=()):
    """What the journal says: 100 of each token, bought for 46 dollars."""
    zeros = dict.fromkeys(lo.PositionRow._fields, 0)
    positions = [
        lo.PositionRow(**zeros)._replace(
            token_id=token_id(desk, instrument),
            size_e6=100_000_000,
            confirmed_e6=100_000_000,
            cost_e6=46_000_000,
            instrument=instrument,
            generation=1,
        )
        for instrument in instruments
    ]
    cash = lo.CashRow(**dict.fromkeys(lo.CashRow._fields, 0))._replace(cash_e6=954_000_000)
    return Recovered(list(orders), positions, cash, "", 0, set())


def reboot(make_desk, *instruments, orders=(), cash_e6=954_000_000):
    """Boot on empty memory; market 0 is gone, market 1 is listed again."""
    before = make_desk(start=False)
    desk = make_desk(start=False, shared=type(before.shared)(), cash_e6=cash_e6)
    # What that start wrote is no part of it.
    desk.shared.cash.store.clear()
    desk.shared.reports.records.clear()
    desk.transport.sent.clear()
    desk.market(1)
    desk.shard()
    desk.book(1, [(3000, 500)], [(3200, 500)])
    desk.venue_tokens = {desk.token(each): 100_000_000 for each in instruments}
    desk.boot(journal(desk, *instruments, orders=orders))
    return desk


def until_ready(desk):
    desk.run(120, SECOND // 10)
    assert desk.engine.ready


def test_shares_of_a_market_that_ended_are_still_ours_after_a_reboot(make_desk):
    desk = reboot(make_desk, 0, 2)
    until_ready(desk)
    row = desk.position(UNLISTED)
    assert (row.token_id, row.size_e6, row.cost_e6) == (token_id(desk, 0), 100_000_000, 46_000_000)
    assert row.generation == 0
    assert desk.position(2).size_e6 == 100_000_000
    assert desk.cash().cash_e6 == 954_000_000
    texts = [each.trade_text for each in desk.reports()]
    assert any(text.startswith(b"unlisted " + str(desk.token(0))[:20].encode()) for text in texts)
    # The venue says the same of it, asked by its token, minute after minute.
    before = len(desk.shared.reports.records)
    desk.run(5, 61 * SECOND)
    asked = [request for _, request, _ in desk.transport.sent if b"/balance-allowance?" in request]
    assert any(str(desk.token(0)).encode() in request for request in asked)
    assert "RECONCILED" not in desk.kinds(before)


def test_the_fee_that_was_booked_stands_when_its_market_is_gone(make_desk):
    # World seed 444: the trade was listed again, its fee was unknown then and counted as nothing.
    before = make_desk()
    before.market(0, fee_rate_e6=70_000)
    before.wish(before.intent(price_e4=4600, size=100))
    order = before.order()
    event = before.trade_event(order, "100", "0.46", "a", "MINED")
    before.user(event)
    row = before.row(order)
    assert row.fee_e6 == 1_738_800
    desk = reboot(make_desk, 0, orders=[row])
    desk.venue_trades = [{**event, "status": "TRADE_STATUS_CONFIRMED"}]
    until_ready(desk)
    assert desk.cash().cash_e6 == 954_000_000
    assert "FILL" not in desk.kinds()


def test_the_question_for_its_market_is_in_the_table_before_the_account_is_known(make_desk):
    desk = reboot(make_desk, 0)
    desk.turn()
    assert not desk.engine.ready
    assert desk.position(UNLISTED).token_id == token_id(desk, 0)
    assert desk.shared.cash.version(0) == 0


def test_a_market_that_is_listed_in_time_gets_its_tokens_at_once(make_desk):
    desk = reboot(make_desk, 0)
    desk.run(5, SECOND // 10)
    desk.market(0, status=int(lo.MarketStatus.CLOSED))
    desk.run(5, SECOND // 10)
    assert desk.engine.ready
    assert desk.position(0).size_e6 == 100_000_000
    assert desk.position(0).generation == 1
    desk.run(5, SECOND // 10)
    assert not any(desk.position(UNLISTED).token_id)


def test_tokens_move_when_their_market_is_listed_late(make_desk):
    desk = reboot(make_desk, 0, 2)
    until_ready(desk)
    before = len(desk.shared.reports.records)
    desk.market(0)
    desk.run(5, SECOND // 10)
    assert (desk.position(0).size_e6, desk.position(0).cost_e6) == (100_000_000, 46_000_000)
    assert desk.position(UNLISTED).size_e6 == 0
    (report,) = [each for each in desk.reports(before) if each.kind == lo.ReportKind.RECONCILED]
    assert (report.instrument, report.position_e6, report.size_e6) == (0, 100_000_000, 0)
    assert report.trade_text.startswith(b"listed ")
    assert desk.engine.desk.accounts.unlisted == {}


def test_what_was_redeemed_is_believed_and_its_row_given_up(make_desk):
    desk = reboot(make_desk, 0)
    until_ready(desk)
    desk.venue_tokens, desk.venue_cash_e6 = {}, 1_054_000_000
    desk.run(4, 61 * SECOND)
    desk.run(20, SECOND)
    assert desk.cash().cash_e6 == 1_054_000_000
    assert desk.position(UNLISTED).size_e6 == 0
    assert desk.engine.desk.accounts.unlisted == {}


@pytest.mark.parametrize("store", [1, 2])
def test_killed_within_the_move_nothing_is_lost_and_nothing_counted_twice(make_desk, store):
    desk = reboot(make_desk, 0)
    until_ready(desk)
    left = [store]

    def die():
        left[0] -= 1
        if not left[0]:
            raise InterruptedError

    desk.shared.positions.on_write = die
    desk.market(0)
    with pytest.raises(InterruptedError):
        desk.run(20, SECOND // 10)
    desk.shared.positions.on_write = None
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.boot()
    desk.ready()
    desk.run(20, SECOND // 10)
    rows = [lo.POSITION_ROW.unpack(data) for _, data in desk.shared.positions.store.values()]
    held = [each for each in rows if each.token_id == token_id(desk, 0)]
    assert [(each.instrument, each.size_e6) for each in held] == [(0, 100_000_000)]


def test_an_order_that_rests_where_no_book_is_seen_is_canceled(make_desk):
    first = make_desk()
    first.wish(first.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC)))
    ((key, _),) = first.posts()
    first.answer(key, first.matched(first.order(), "", "", trade=None, status="live"))
    resting = first.order_event(first.order(), "LIVE")
    desk = reboot(make_desk, orders=[first.row(first.order())])
    desk.venue_orders.append(resting)
    until_ready(desk)
    desk.run(5, SECOND)
    assert resting["status"] == "CANCELED"
    assert desk.cash().reserved_e6 == 0
    assert desk.engine.desk.accounts.unlisted == {}


def test_nothing_is_sent_for_them(make_desk):
    desk = reboot(make_desk, 0)
    until_ready(desk)
    desk.wish(desk.intent(UNLISTED, generation=0), desk.intent(0))
    assert desk.posts() == []
    assert desk.kinds().count("DROPPED") == 2


def test_more_of_them_than_there_is_room_for_stops_trading(make_desk):
    rows = len(range(UNLISTED, 64, 2))
    desk = reboot(make_desk, *range(8, 10 + 2 * rows, 2))
    until_ready(desk)
    assert desk.engine.halted == f"over {rows} tokens without a market"
    assert len(desk.engine.desk.accounts.unlisted) == rows


def test_more_tokens_than_rows_are_asked_for_one_after_the_other(make_desk):
    rows = len(range(UNLISTED, 64, 2))
    markets = list(range(4, 4 + rows + 2))
    desk = reboot(make_desk, *(2 * market for market in markets))
    listed = set()
    for _ in range(40):
        desk.run(1, SECOND // 10)
        asked = [
            lo.POSITION_ROW.unpack(data).token_id
            for row, (_, data) in desk.shared.positions.store.items()
            if row >= UNLISTED
        ]
        for market in markets:
            if market not in listed and token_id(desk, 2 * market) in asked:
                listed.add(market)
                desk.market(market, status=int(lo.MarketStatus.CLOSED))
                break
    assert desk.engine.ready
    assert not desk.engine.halted
    assert all(desk.position(2 * market).size_e6 == 100_000_000 for market in markets)
    assert desk.engine.desk.accounts.unlisted == {}
