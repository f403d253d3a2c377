"""Answers to questions: orders, trades, balances, beats, time, fees; pages and broken bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reply_kit import BUY, ID, ID_TEXT, SELL

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.venues.polymarket.account import Account, OrderStatus, TradeStatus
from lowlat.venues.polymarket.lookups import (
    HeartbeatReply,
    decode_balance,
    decode_fee_rate,
    decode_heartbeat_reply,
    decode_order,
    decode_orders_page,
    decode_server_time,
    decode_trades_page,
)
from lowlat.venues.polymarket.replies import (
    CancelReply,
    OrderReply,
    decode_batch_reply,
    decode_cancel_reply,
    decode_order_reply,
)

US = "00000000-0000-0000-0000-000000000001"
ACCOUNT = Account(US, "0x" + "11" * 20)
MARKET = "0x" + "0f" * 32


# ------------------------------------------------------------------------------- questions
def rest_order(**change):
    order = {
        "id": ID_TEXT,
        "status": "ORDER_STATUS_LIVE",
        "owner": US,
        "maker_address": ACCOUNT.maker_address,
        "market": MARKET,
        "asset_id": "777",
        "side": "SELL",
        "original_size": "100",
        "size_matched": "0",
        "price": "0.5",
        "outcome": "Yes",
        "expiration": "0",
        "order_type": "GTD",
        "associate_trades": [],
        "created_at": 1795305600,
    }
    return order | change


def rest_trade(**change):
    trade = {
        "id": "trade-1",
        "taker_order_id": ID_TEXT,
        "market": MARKET,
        "asset_id": "777",
        "side": "BUY",
        "size": "10",
        "fee_rate_bps": "",
        "price": "0.5",
        "status": "TRADE_STATUS_MATCHED_NOT_BROADCASTED",
        "match_time": "1795305600",
        "match_time_nano": "1795305600123456789",
        "last_update": "1795305601",
        "outcome": "Yes",
        "bucket_index": 0,
        "owner": US,
        "maker_address": ACCOUNT.maker_address,
        "transaction_hash": "0x12",
        "err_msg": None,
        "trader_side": "TAKER",
        "type": "TRADE",
        "maker_orders": [],
    }
    return trade | change


def page(rows, cursor="LTE="):
    return json.dumps({"limit": 100, "count": 1, "next_cursor": cursor, "data": rows}).encode()


def test_pages_of_orders_and_trades_end_with_the_end_cursor():
    orders = decode_orders_page(200, page([rest_order(), rest_order(side="BUY")], "MTAw"))
    assert orders.next_cursor == "MTAw"
    assert [row.action for row in orders.rows] == [Action.SELL, Action.BUY]
    assert orders.rows[0].status == OrderStatus.LIVE
    assert orders.rows[0].created_ns == 1_795_305_600_000_000_000
    trades = decode_trades_page(200, page([rest_trade()]), ACCOUNT)
    assert trades.next_cursor == ""
    assert trades.rows[0].status == TradeStatus.MATCHED_NOT_BROADCASTED
    assert trades.rows[0].fills[0].cash_e6 == 5_000_000
    assert decode_orders_page(200, page([])).rows == ()


@pytest.mark.parametrize("status", [199, 204 + 100, 400, 404, 429, 500, 503])
def test_a_question_without_its_answer_raises(status):
    for ask in (
        lambda: decode_orders_page(status, page([])),
        lambda: decode_trades_page(status, page([]), ACCOUNT),
        lambda: decode_balance(status, b'{"balance":"1"}'),
        lambda: decode_server_time(status, b"1795305600"),
    ):
        with pytest.raises(RemoteProtocolError, match=f"HTTP {status}"):
            ask()


def test_one_bad_row_spoils_the_page():
    for rows in ([rest_order(), rest_order(price="x")], [{}], {}, None):
        with pytest.raises(RemoteProtocolError):
            decode_orders_page(200, page(rows))
    with pytest.raises(RemoteProtocolError):
        decode_orders_page(200, b'{"data":[]}')
    with pytest.raises(RemoteProtocolError):
        decode_trades_page(200, page([rest_trade(size="-1")]), ACCOUNT)


def test_rows_of_trades_that_came_before_are_not_read_again():
    known = {}
    first = decode_trades_page(200, page([rest_trade()]), ACCOUNT, known)
    mined = rest_trade(status="MINED")
    again = decode_trades_page(200, page([rest_trade(), mined]), ACCOUNT, known)
    assert again.rows[0] is first.rows[0]
    assert again == decode_trades_page(200, page([rest_trade(), mined]), ACCOUNT)
    with pytest.raises(RemoteProtocolError):
        decode_trades_page(200, page([rest_trade(size="-1")]), ACCOUNT, known)
    assert len(known) == 2
    many = [rest_trade(id=f"trade-{number}") for number in range(4_100)]
    decode_trades_page(200, page(many), ACCOUNT, known)
    decode_trades_page(200, page([mined]), ACCOUNT, known)
    assert len(known) == 1


def test_an_order_is_absent_only_by_the_venues_word():
    found = decode_order(200, json.dumps(rest_order()).encode())
    assert found is not None
    assert found.order_id == ID
    for body in (b"", b"null", b" {}\n"):
        assert decode_order(200, body) is None
    assert decode_order(404, b'{"error":"order not found"}') is None
    for status, body in (
        (404, b"<html>no such page</html>"),
        (404, b""),
        (500, b""),
        (502, b"null"),
        (429, b"{}"),
        (401, b'{"error":"Unauthorized/Invalid api key"}'),
        (200, b"[]"),
        (200, b'{"id":"0x12"}'),
    ):
        with pytest.raises(RemoteProtocolError):
            decode_order(status, body)


def test_balances_are_base_units():
    body = {"balance": "149200000", "allowances": {"0xE1": str(2**256 - 1), "0xe2": "0"}}
    balance = decode_balance(200, json.dumps(body).encode())
    assert balance.balance_e6 == 149_200_000
    assert balance.allowances_e6 == {"0xE1": 2**256 - 1, "0xe2": 0}
    assert decode_balance(200, b'{"balance":"0","allowance":"5"}').allowances_e6 == {}
    for bad in ('"1.5"', '"-1"', '""', "5", "null", '"' + "9" * 79 + '"', '"\u0661"'):
        with pytest.raises(RemoteProtocolError):
            decode_balance(200, f'{{"balance":{bad}}}'.encode())


def test_a_heartbeat_names_the_next_id_also_when_it_was_wrong():
    assert decode_heartbeat_reply(200, b'{"heartbeat_id":"n"}') == HeartbeatReply(True, "n")
    refused = b'{"error_msg":"Invalid Heartbeat ID","heartbeat_id":"right"}'
    assert decode_heartbeat_reply(400, refused) == HeartbeatReply(False, "right")
    for status, body in ((400, b'{"error":"x"}'), (200, b"{}"), (500, refused), (200, b"null")):
        with pytest.raises(RemoteProtocolError):
            decode_heartbeat_reply(status, body)


def test_server_time_is_seconds_of_this_century():
    assert decode_server_time(200, b"1795305600") == 1_795_305_600
    for body in (b'"1795305600"', b"1795305600000", b"0", b"-5", b"1.5", b"9" * 5_000, b"{}"):
        with pytest.raises(RemoteProtocolError):
            decode_server_time(200, body)


@given(data=st.data())
def test_any_damage_to_a_page_is_rows_or_one_error(data, mangle, keeps_promise):
    orders = mangle(data, page([rest_order()]))
    keeps_promise(lambda body: decode_orders_page(200, body), orders)
    trades = mangle(data, page([rest_trade()]))
    keeps_promise(lambda body: decode_trades_page(200, body, ACCOUNT), trades)
    keeps_promise(lambda body: decode_order(200, body), mangle(data, page([rest_order()])))
    balance = mangle(data, b'{"balance":"5","allowances":{"0x1":"7"}}')
    keeps_promise(lambda body: decode_balance(200, body), balance)
    beat = mangle(data, b'{"heartbeat_id":"n"}')
    keeps_promise(lambda body: decode_heartbeat_reply(200, body), beat)


@given(st.binary(max_size=100), st.integers(100, 599))
def test_any_bytes_and_status_are_no_crash(keeps_promise, body, status):
    assert isinstance(decode_order_reply(status, body, BUY), OrderReply)
    assert isinstance(decode_cancel_reply(status, body), CancelReply)
    assert len(decode_batch_reply(status, body, [BUY, SELL])) == 2
    for ask in (decode_orders_page, decode_order, decode_balance, decode_server_time):
        keeps_promise(lambda raw, ask=ask: ask(status, raw), body)


@pytest.mark.parametrize(("text", "bps"), [(b'{"base_fee":"150"}', 150), (b'{"base_fee":0}', 0)])
def test_base_fee_is_a_number_of_bps(text, bps):
    assert decode_fee_rate(200, text) == bps


@pytest.mark.parametrize("text", [b'{"base_fee":"-1"}', b'{"base_fee":1e9}', b"{}", b"", b"null"])
def test_fee_rate_that_is_no_number_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        decode_fee_rate(200, text)
