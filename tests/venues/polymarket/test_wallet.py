"""The wallet's history and holdings: the documented shape is read, the rest is refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import ConfigError, RemoteProtocolError
from lowlat.venues.polymarket.wallet import (
    WalletRequests,
    decode_activity_page,
    decode_condition,
    decode_holdings_page,
)

WALLET = "0x" + "1a" * 20
CONDITION = "0x" + "22" * 32
HASH = "0x" + "AB" * 32


def page(rows, **pagination):
    return json.dumps({"data": rows, "pagination": {"has_more": False} | pagination}).encode()


def activity(**changes):
    blank = {
        "proxy_wallet": WALLET, "type": "TRADE", "timestamp": 1_795_305_600,
        "transaction_hash": HASH, "condition_id": CONDITION, "token_id": "77", "side": "buy",
        "size": "12.5", "usdc_size": 6.123456, "price": 0.49, "is_combo": False, "new_field": [1],
    }  # fmt: skip
    return blank | changes


def test_a_trade_is_read_with_amounts_in_base_units():
    found = decode_activity_page(200, page([activity()]))
    (row,) = found.rows
    assert row == (
        "TRADE", 1_795_305_600_000, CONDITION, "77", "BUY", 12_500_000, 6_123_456, HASH.lower(),
    )  # fmt: skip
    assert found.next_cursor == ""


@pytest.mark.parametrize(
    ("amount", "expected_e6"),
    [("", 0), (None, 0), (0, 0), ("1e-7", 0), (1e-06, 1), ("1.2345678", 1_234_567), (3, 3_000_000)],
)
def test_amounts_are_numbers_or_text_and_cut_to_base_units(amount, expected_e6):
    (row,) = decode_activity_page(200, page([activity(usdc_size=amount)])).rows
    assert row.cash_e6 == expected_e6


@pytest.mark.parametrize(
    "changes",
    [
        {"usdc_size": "-1"},
        {"usdc_size": "NaN"},
        {"usdc_size": "Infinity"},
        {"usdc_size": "1e40"},
        {"usdc_size": "five"},
        {"timestamp": "yesterday"},
        {"timestamp": -5},
        {"timestamp": 10**13},
        {"transaction_hash": "0x12"},
        {"condition_id": "0x12"},
        {"token_id": "seven"},
        {"type": None},
    ],
)
def test_one_bad_row_spoils_the_page(changes):
    with pytest.raises(RemoteProtocolError, match="/v2/activity"):
        decode_activity_page(200, page([activity(), activity(**changes)]))


def test_pages_follow_their_cursor_and_end():
    more = decode_activity_page(200, page([], has_more=True, next_cursor="abc=="))
    assert more.next_cursor == "abc=="
    assert decode_activity_page(200, page([], next_cursor="abc")).next_cursor == ""
    with pytest.raises(RemoteProtocolError, match="no cursor"):
        decode_activity_page(200, page([], has_more=True))
    with pytest.raises(RemoteProtocolError, match="cursor"):
        decode_activity_page(200, page([], has_more=True, next_cursor="a b\r\nX: y"))


def test_holdings_leave_out_what_is_empty():
    full = {
        "token_id": "7", "opposite_token_id": "8", "condition_id": CONDITION,
        "current_size": "3.5", "redeemable": True, "negative_risk": True, "status": "REDEEMABLE",
    }  # fmt: skip
    found = decode_holdings_page(200, page([full, full | {"current_size": 0}]))
    assert found.rows == (("7", "8", CONDITION, 3_500_000, True, True, "REDEEMABLE"),)
    with pytest.raises(RemoteProtocolError, match="without a token"):
        decode_holdings_page(200, page([full | {"token_id": ""}]))


def test_a_condition_has_two_tokens_and_at_most_one_winner():
    def market(*winners):
        tokens = [{"token_id": str(7 + n), "winner": won} for n, won in enumerate(winners)]
        return json.dumps({"condition_id": CONDITION, "tokens": tokens}).encode()

    assert decode_condition(200, market(False, True)) == (CONDITION, ("7", "8"), "8")
    assert decode_condition(200, market(False, False)).winner == ""
    for wrong in (market(True, True), market(True), market(False, False, False)):
        with pytest.raises(RemoteProtocolError, match="expected 2"):
            decode_condition(200, wrong)


@pytest.mark.parametrize("decode", [decode_activity_page, decode_holdings_page, decode_condition])
@given(status=st.sampled_from([200, 404, 500]), body=st.binary(max_size=80))
def test_whatever_comes_is_a_page_or_an_error_of_ours(decode, status, body):
    try:
        decode(status, body)
    except RemoteProtocolError:
        return


def test_requests_name_the_wallet_and_refuse_what_is_none():
    requests = WalletRequests("data.test", WALLET)
    assert requests.activity(0).startswith(f"GET /v2/activity?user={WALLET}&start=1&".encode())
    assert b"&cursor=x= HTTP/1.1\r\nHost: data.test\r\n" in requests.holdings("x=")
    with pytest.raises(ConfigError, match="funder"):
        WalletRequests("data.test", "0x12")


@pytest.mark.parametrize(
    "amount", ["1E999999999999999999", "NaN", "sNaN", "-Infinity", "-1", 1e300]
)
def test_amount_out_of_all_bounds_is_refused(amount):
    row = {
        "type": "TRADE",
        "timestamp": 1_795_305_600,
        "transaction_hash": "0x" + "22" * 32,
        "usdc_size": amount,
    }
    with pytest.raises(RemoteProtocolError):
        decode_activity_page(200, json.dumps({"data": [row]}).encode())
