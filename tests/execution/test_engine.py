"""The executor over list-backed ports: an intent becomes a row, a report, bytes, a fill."""

from lowlat.core import layout as L


def test_fok_buy_over_two_levels_spends_the_walked_cost_and_fills(desk):
    desk.wish(desk.intent(price_e4=4700, size=320))
    (key, body), = desk.posts()
    assert body["order"]["makerAmount"] == "149200000"
    assert body["orderType"] == "FOK"
    order = desk.order()
    desk.answer(key, desk.matched(order, "320", "149.2"))
    assert order.state == L.OrderState.MATCHED
    row = desk.row(order)
    assert (row.filled_e6, row.cash_e6, row.reserved_e6) == (320_000_000, 149_200_000, 0)
    assert desk.cash().cash_e6 == 1_000_000_000 - 149_200_000
    assert desk.position(0).size_e6 == 320_000_000
    assert desk.kinds()[-3:] == ["SENDING", "ACK", "FILL"]
