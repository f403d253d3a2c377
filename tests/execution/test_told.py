"""Whatever the moment of a death, reports say in the end what the rows say: once, and by name.

The writer dies at every store and every publication of a story; the venue knows the whole of it.
The ring of reports outlives its writer, so the next life knows what was told.
"""

from collections import Counter

import pytest

from lowlat.core import layout as lo
from lowlat.execution.trade_ids import trade_digest

SECOND = 1_000_000_000
Kind = lo.ReportKind
State = lo.OrderState


class Died(Exception):
    pass


def kill_at(desk, count):
    """Make the count-th store or publication of any kind raise; return what disarms it."""
    left = [count]

    def store():
        left[0] -= 1
        if left[0] == 0:
            raise Died

    shared = desk.shared
    tables = (shared.orders, shared.positions, shared.cash, shared.groups)
    for table in tables:
        table.on_write = store
    publish = shared.reports.publish

    def publish_or_die(kind):
        store()
        return publish(kind)

    shared.reports.publish = publish_or_die

    def disarm():
        for table in tables:
            table.on_write = None
        del shared.reports.publish

    return disarm


def restart(desk):
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.boot()
    desk.ready()
    desk.run(45, SECOND)


def told_of(desk, order_id):
    """Sum what reports said of an order: (size, cash, fee) by trade, shares confirmed by trade."""
    moved, confirmed = Counter(), Counter()
    state = State.NONE
    for each in desk.reports():
        if each.order_id != order_id:
            continue
        state = each.order_state
        sign = {Kind.FILL: 1, Kind.FAILED: -1}.get(each.kind, 0)
        for name in ("size_e6", "cash_e6", "fee_e6"):
            moved[each.trade_id, name] += sign * getattr(each, name)
        if each.kind == Kind.CONFIRMED:
            confirmed[each.trade_id] += each.size_e6
    return {key: amount for key, amount in moved.items() if amount}, confirmed, state


def listing(desk, order, trades):
    """Let the venue list trades: name, size, price, status."""
    for name, size, price, status in trades:
        event = desk.trade_event(order, size, price, name, status)
        desk.venue_trades.append({**event, "status": f"TRADE_STATUS_{status}"})


def whole(desk):
    order = desk.order()
    desk.user(desk.trade_event(order, "100", "0.46", "a"))
    desk.user(desk.trade_event(order, "100", "0.46", "a", "MINED"))
    desk.user(desk.trade_event(order, "100", "0.46", "a", "CONFIRMED"))
    desk.turn()


def parts(desk):
    order = desk.order()
    desk.user(desk.trade_event(order, "30", "0.46", "a"))
    desk.user(desk.trade_event(order, "50", "0.45", "b"))
    desk.user(desk.trade_event(order, "30", "0.46", "a", "FAILED"))
    desk.user(desk.trade_event(order, "50", "0.45", "b", "CONFIRMED"))
    desk.user(desk.order_event(order, "CANCELED", "50", kind="CANCELLATION"))
    desk.turn()


def refused(desk):
    (key, _) = desk.posts()[0]
    desk.answer(key, {"error": "order couldn't be fully filled. FOK orders are fully filled or"
                      " killed."}, 400)  # fmt: skip
    desk.turn()


STORIES = {
    "whole": (whole, lo.OrderType.FOK, [("a", "100", "0.46", "CONFIRMED")]),
    "parts": (
        parts,
        lo.OrderType.GTC,
        [("a", "30", "0.46", "FAILED"), ("b", "50", "0.45", "CONFIRMED")],
    ),
    "refused": (refused, lo.OrderType.FOK, []),
}


def begin(make_desk, order_type, trades):
    desk = make_desk()
    desk.market(0, fee_rate_e6=70_000)
    desk.wish(desk.intent(price_e4=4600, size=100, order_type=int(order_type)))
    order = desk.order()
    listing(desk, order, trades)
    status = "CANCELED" if order_type == lo.OrderType.GTC or not trades else "MATCHED"
    matched = {"GTC": "50", "FOK": "100" if trades else "0"}[order_type.name]
    desk.venue_orders.append(desk.order_event(order, status, matched))
    return desk, order.order_id


@pytest.mark.parametrize("story", STORIES)
def test_after_a_death_at_any_store_reports_add_up_to_the_rows(make_desk, story):
    tell, order_type, trades = STORIES[story]
    count = 0
    while True:
        count += 1
        desk, order_id = begin(make_desk, order_type, trades)
        disarm = kill_at(desk, count)
        try:
            tell(desk)
            break
        except Died:
            disarm()
        restart(desk)
        order = desk.engine.desk.by_order_id[order_id]
        moved, confirmed, state = told_of(desk, order_id)
        sums = Counter()
        for (_, name), amount in moved.items():
            sums[name] += amount
        rows = {"size_e6": order.filled_e6, "cash_e6": order.cash_e6, "fee_e6": order.fee_e6}
        assert {**dict.fromkeys(rows, 0), **sums} == rows, count
        good = {trade_digest(name) for name, _, _, status in trades if status == "CONFIRMED"}
        assert {trade for trade, _ in moved} == good, count
        assert sum(confirmed.values()) == order.confirmed_e6 == order.filled_e6, count
        assert state == order.state, count
    assert count > 3


def test_a_fill_that_was_told_is_not_told_again(make_desk):
    desk, order_id = begin(make_desk, lo.OrderType.FOK, STORIES["whole"][2])
    whole(desk)
    before = len(desk.shared.reports.records)
    restart(desk)
    restart(desk)
    about = [each for each in desk.reports(before) if each.order_id == order_id]
    assert about == []


def test_a_groups_end_that_was_written_and_not_told_is_told_by_the_next_life(make_desk):
    count = 0
    while True:
        count += 1
        desk = make_desk()
        fields = {"group": 77, "legs": 2, "size": 100, "unwind_reserve_e6": 60_000_000}
        desk.wish(
            desk.intent(0, 4600, leg=0, unwind_price_e4=6000, **fields),
            desk.intent(2, 3200, leg=1, unwind_price_e4=7500, **fields),
        )
        orders = list(desk.engine.desk.by_id.values())
        for order in orders:
            desk.venue_orders.append(desk.order_event(order, "CANCELED"))
        disarm = kill_at(desk, count)
        try:
            for order in orders:
                desk.user(desk.order_event(order, "CANCELED", kind="CANCELLATION"))
            desk.turn()
            break
        except Died:
            disarm()
        restart(desk)
        told = [each for each in desk.reports() if each.kind == Kind.GROUP]
        (row,) = [lo.GROUP_ROW.unpack(data) for _, data in desk.shared.groups.store.values()]
        assert told[-1].group_state == row.state == lo.GroupState.FLAT, count
        assert desk.cash().reserved_e6 == 0, count
    assert count > 3


def test_a_group_that_died_before_its_first_order_is_flat_in_the_next_life(make_desk):
    count = 0
    ended = 0
    while True:
        count += 1
        desk = make_desk()
        fields = {"group": 77, "legs": 2, "size": 100, "unwind_reserve_e6": 60_000_000}
        disarm = kill_at(desk, count)
        try:
            desk.wish(
                desk.intent(0, 4600, leg=0, unwind_price_e4=6000, **fields),
                desk.intent(2, 3200, leg=1, unwind_price_e4=7500, **fields),
            )
            break
        except Died:
            disarm()
        if desk.shared.orders.store:
            break
        restart(desk)
        rows = [lo.GROUP_ROW.unpack(data) for _, data in desk.shared.groups.store.values()]
        ended += len(rows)
        assert [row.state for row in rows] in ([], [lo.GroupState.FLAT]), count
        told = [each for each in desk.reports() if each.kind == Kind.GROUP]
        assert [each.group_state for each in told[-1:]] == [row.state for row in rows], count
        assert desk.cash().reserved_e6 == 0, count
    assert ended


def test_a_start_onto_a_half_full_ring_keeps_the_whole_reserve(make_desk):
    desk = make_desk()
    reports = desk.shared.reports
    reports.slots = 100
    reports.gate = len(reports.records) - 60
    desk.shared.reports.epoch += 1
    desk.answered = len(desk.transport.sent)
    desk.boot()
    desk.ready()
    # More than half of it is unread: what is free is kept for cancels and unwinds.
    assert reports.free() < 50
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert desk.posts() == []
    reports.gate = len(reports.records)
    desk.wish(desk.intent(price_e4=4600, size=10))
    assert len(desk.posts()) == 1
