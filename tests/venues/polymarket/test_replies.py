"""HTTP answers: every text of the reference, both amount units, per-leg results, broken bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, OrderType
from lowlat.venues.polymarket.account import NO_SIZE_E6, Account, OrderStatus, TradeStatus
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
from lowlat.venues.polymarket.rejects import Policy, RejectCode, classify
from lowlat.venues.polymarket.replies import (
    NO_COUNT,
    CancelCode,
    CancelReply,
    OrderReply,
    RateLimit,
    Sent,
    decode_batch_reply,
    decode_cancel_reply,
    decode_order_reply,
    decode_rate_limit,
)

US = "00000000-0000-0000-0000-000000000001"
ACCOUNT = Account(US, "0x" + "11" * 20)
ID = b"\xab" * 32
ID_TEXT, OTHER_TEXT = "0x" + "ab" * 32, "0x" + "cd" * 32
MARKET = "0x" + "0f" * 32
BUY = Sent(ID, Action.BUY, 1_450_000, 5_000_000, OrderType.GTC)
FOK = Sent(ID, Action.BUY, 149_200_000, 317_446_800, OrderType.FOK)
SELL = Sent(ID, Action.SELL, 5_000_000, 1_450_000, OrderType.GTC)

KILLED_FOK = "order couldn't be fully filled. FOK orders are fully filled or killed."
KILLED_FAK = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no "
    "match is found."
)
GEO = (
    "Trading restricted in your region, please refer to available regions - "
    "https://docs.polymarket.com/developers/CLOB/geoblock"
)
ACCURACY = (
    "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
    "taker amount a max of 4 decimals"
)
DISCREPANCY = (
    "the price of the taker's order has a discrepancy greater than allowed with the worst maker "
    "order"
)
NOT_ENOUGH = "not enough balance / allowance: the balance is not enough -> balance: 1, order: 2"
WRONG_WALLET = "maker address not allowed, please use the deposit wallet flow"
WRONG_SIGNER = "the order signer address has to be the address of the API KEY"
R, L, H, A = Policy.REJECTED, Policy.RETRY_LATER, Policy.HALT, Policy.AMBIGUOUS

# Every row of polymarket.md 6.
TEXTS = [
    (400, "Invalid order payload", RejectCode.INVALID_PAYLOAD, R),
    (400, "the order owner has to be the owner of the API KEY", RejectCode.WRONG_OWNER, H),
    (400, WRONG_SIGNER, RejectCode.WRONG_OWNER, H),
    (400, "invalid signature", RejectCode.INVALID_SIGNATURE, R),
    (400, "order_version_mismatch", RejectCode.VERSION_MISMATCH, R),
    (400, WRONG_WALLET, RejectCode.WRONG_WALLET, H),
    (400, "'0xab' address banned", RejectCode.BANNED, H),
    (400, "'0xab' address in closed only mode", RejectCode.CLOSED_ONLY, H),
    (
        400,
        "order 0xab is invalid. Price (0.555) breaks minimum tick size rule: 0.01",
        RejectCode.TICK,
        R,
    ),
    (400, "order 0xab is invalid. Size (4) lower than the minimum: 5", RejectCode.MIN_SIZE, R),
    (400, "order 0xab is invalid. Duplicated.", RejectCode.DUPLICATED, A),
    (400, "order 0xab crosses the book", RejectCode.CROSSES_BOOK, R),
    (400, "invalid post-only order: order crosses book", RejectCode.CROSSES_BOOK, R),
    (400, "not enough balance / allowance", RejectCode.BALANCE, R),
    (400, NOT_ENOUGH, RejectCode.BALANCE, R),
    (400, "invalid expiration", RejectCode.EXPIRATION, R),
    (400, ACCURACY, RejectCode.DECIMALS, R),
    (
        400,
        "invalid amount for a marketable BUY order ($0.98), min size: $1",
        RejectCode.MIN_NOTIONAL,
        R,
    ),
    (400, KILLED_FOK, RejectCode.FOK_KILLED, R),
    (400, KILLED_FAK, RejectCode.FAK_NO_MATCH, R),
    (400, "the market is not yet ready to process new orders", RejectCode.MARKET_NOT_READY, L),
    (400, "order canceled in the CTF exchange contract", RejectCode.CANCELED_ON_CHAIN, R),
    (400, "order match delayed due to market conditions", RejectCode.MATCH_DELAYED, A),
    (400, "Too many orders in payload: 16, max allowed: 15", RejectCode.TOO_MANY_ORDERS, R),
    (401, "Unauthorized/Invalid api key", RejectCode.UNAUTHORIZED, H),
    (401, "Invalid L1 Request headers", RejectCode.UNAUTHORIZED, H),
    (403, GEO, RejectCode.GEOBLOCKED, H),
    (404, "No orderbook exists for the requested token id", RejectCode.NO_BOOK, R),
    (404, "market not found", RejectCode.NO_BOOK, R),
    (425, "service not ready", RejectCode.NOT_READY, L),
    (429, "Too Many Requests", RejectCode.RATE_LIMITED, L),
    (500, "could not insert order", RejectCode.NOT_INSERTED, A),
    (500, "could not run the execution", RejectCode.EXECUTION, A),
    (500, "there are no matching orders", RejectCode.NO_MATCH, A),
    (500, "the trade contains rounding issues", RejectCode.ROUNDING, A),
    (500, DISCREPANCY, RejectCode.PRICE_DISCREPANCY, A),
    (500, "FOK orders are filled or killed", RejectCode.FOK_KILLED, R),
    (500, "order timed out", RejectCode.TIMED_OUT, L),
    (
        503,
        "Trading is currently disabled. Check polymarket.com for updates",
        RejectCode.TRADING_DISABLED,
        L,
    ),
    (
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        RejectCode.CANCEL_ONLY,
        L,
    ),
    (
        503,
        "post-only mode: only post-only orders and cancels are allowed",
        RejectCode.POST_ONLY_MODE,
        L,
    ),
    (400, "INVALID_ORDER_MIN_TICK_SIZE", RejectCode.TICK, R),
    (400, "INVALID_ORDER_MIN_SIZE", RejectCode.MIN_SIZE, R),
    (400, "INVALID_ORDER_DUPLICATED", RejectCode.DUPLICATED, A),
    (400, "INVALID_ORDER_NOT_ENOUGH_BALANCE", RejectCode.BALANCE, R),
    (400, "INVALID_ORDER_EXPIRATION", RejectCode.EXPIRATION, R),
    (400, "INVALID_ORDER_ERROR", RejectCode.OTHER, R),
    (400, "INVALID_POST_ONLY_ORDER_TYPE", RejectCode.POST_ONLY_TYPE, R),
    (400, "INVALID_POST_ONLY_ORDER", RejectCode.CROSSES_BOOK, R),
    (400, "EXECUTION_ERROR", RejectCode.EXECUTION, A),
    (400, "ORDER_DELAYED", RejectCode.MATCH_DELAYED, A),
    (400, "DELAYING_ORDER_ERROR", RejectCode.MATCH_DELAYED, A),
    (400, "FOK_ORDER_NOT_FILLED_ERROR", RejectCode.FOK_KILLED, R),
    (400, "MARKET_NOT_READY", RejectCode.MARKET_NOT_READY, L),
]


def ok(**change):
    answer = {
        "success": True,
        "errorMsg": "",
        "orderID": ID_TEXT,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
        "transactionsHashes": [],
        "tradeIDs": [],
    }
    return answer | change


def read(answer, sent=BUY, status=200):
    return decode_order_reply(status, json.dumps(answer).encode(), sent)


def test_codes_are_stable_numbers():
    """They are stored in reports: this list may only grow at its end."""
    assert {code.name: code.value for code in RejectCode} == {
        "NONE": 0,
        "OTHER": 1,
        "UNPARSEABLE": 2,
        "ID_MISMATCH": 3,
        "STATUS_UNKNOWN": 4,
        "TRANSPORT_STATUS": 5,
        "INVALID_PAYLOAD": 10,
        "WRONG_OWNER": 11,
        "INVALID_SIGNATURE": 12,
        "VERSION_MISMATCH": 13,
        "WRONG_WALLET": 14,
        "BANNED": 15,
        "CLOSED_ONLY": 16,
        "TICK": 17,
        "MIN_SIZE": 18,
        "DUPLICATED": 19,
        "CROSSES_BOOK": 20,
        "BALANCE": 21,
        "EXPIRATION": 22,
        "DECIMALS": 23,
        "MIN_NOTIONAL": 24,
        "FOK_KILLED": 25,
        "FAK_NO_MATCH": 26,
        "MARKET_NOT_READY": 27,
        "CANCELED_ON_CHAIN": 28,
        "MATCH_DELAYED": 29,
        "TOO_MANY_ORDERS": 30,
        "UNAUTHORIZED": 31,
        "GEOBLOCKED": 32,
        "NO_BOOK": 33,
        "NOT_READY": 34,
        "RATE_LIMITED": 35,
        "NOT_INSERTED": 36,
        "EXECUTION": 37,
        "NO_MATCH": 38,
        "ROUNDING": 39,
        "PRICE_DISCREPANCY": 40,
        "TIMED_OUT": 41,
        "TRADING_DISABLED": 42,
        "CANCEL_ONLY": 43,
        "POST_ONLY_MODE": 44,
        "UNMATCHED": 45,
        "POST_ONLY_TYPE": 46,
        "FORBIDDEN": 47,
    }


@pytest.mark.parametrize(("status", "text", "code", "policy"), TEXTS)
def test_every_refusal_of_the_reference_is_classified(status, text, code, policy):
    reply = read({"error": text}, status=status)
    assert (reply.code, reply.policy, reply.text) == (code, policy, text)
    assert classify(status, text).code == code
    # A leg of a batch brings the same words in a 200, with or without success.
    if status < 500 and status not in (401, 403, 425, 429):
        for success in (True, False):
            leg = read(ok(success=success, orderID="", status=None, errorMsg=text))
            assert (leg.code, leg.policy) == (code, policy)


def test_every_code_that_words_can_give_is_tested():
    by_form = {
        RejectCode.NONE,
        RejectCode.UNPARSEABLE,
        RejectCode.ID_MISMATCH,
        RejectCode.STATUS_UNKNOWN,
        RejectCode.TRANSPORT_STATUS,
        RejectCode.UNMATCHED,
        RejectCode.FORBIDDEN,
    }
    assert {code for _, _, code, _ in TEXTS} == set(RejectCode) - by_form


@pytest.mark.parametrize(
    ("status", "body", "code", "policy"),
    [
        (400, {"error": "words never seen"}, RejectCode.OTHER, R),
        (422, {"error": "words never seen"}, RejectCode.OTHER, R),
        (408, {"error": "words never seen"}, RejectCode.OTHER, A),
        (500, {"error": "Internal server error"}, RejectCode.OTHER, A),
        (503, {"error": "words never seen"}, RejectCode.OTHER, A),
        (200, {"error": "words never seen"}, RejectCode.OTHER, A),
        (302, {}, RejectCode.TRANSPORT_STATUS, A),
        (400, {}, RejectCode.TRANSPORT_STATUS, A),
        (200, {}, RejectCode.TRANSPORT_STATUS, A),
        (403, {}, RejectCode.FORBIDDEN, H),
        (401, {"error": "words never seen"}, RejectCode.UNAUTHORIZED, H),
        # The order was not even looked at, whatever the words say of it.
        (403, {"error": "invalid signature"}, RejectCode.INVALID_SIGNATURE, H),
        (425, {"error": "could not insert order"}, RejectCode.NOT_INSERTED, L),
    ],
)
def test_words_never_seen_are_a_no_only_where_the_status_says_so(status, body, code, policy):
    reply = read(body, status=status)
    assert (reply.code, reply.policy) == (code, policy)
    unknown = policy == A
    assert reply.size_e6 == reply.cash_e6 == (NO_SIZE_E6 if unknown else 0)


@pytest.mark.parametrize(
    ("status", "code", "policy"),
    [
        (200, RejectCode.UNPARSEABLE, A),
        (400, RejectCode.UNPARSEABLE, A),
        (403, RejectCode.FORBIDDEN, H),
        (425, RejectCode.NOT_READY, L),
        (429, RejectCode.RATE_LIMITED, L),
        (500, RejectCode.UNPARSEABLE, A),
        (502, RejectCode.UNPARSEABLE, A),
        (520, RejectCode.UNPARSEABLE, A),
    ],
)
def test_a_proxys_page_proves_nothing_but_its_status(status, code, policy):
    for body in (b"<html>cloudflare</html>", b"", b"null", b'"OK"', b"[]", b'{"success":'):
        reply = decode_order_reply(status, body, BUY)
        assert (reply.code, reply.policy) == (code, policy), body


def test_a_waiting_time_in_the_body_is_read():
    body = {"error": "post-only mode", "code": "post_only_mode", "retry_after_seconds": 1.5}
    reply = read(body, status=503)
    assert (reply.code, reply.retry_after_ms) == (RejectCode.POST_ONLY_MODE, 1_500)
    assert read({"code": "post_only_mode"}, status=503).code == RejectCode.POST_ONLY_MODE
    for odd in (-1, 1e9, None):
        reply = read({"error": "x", "retry_after_seconds": odd}, status=503)
        assert reply.retry_after_ms == NO_COUNT


@pytest.mark.parametrize(
    ("sent", "making", "taking", "size", "cash"),
    [
        (BUY, "1.45", "5", 5_000_000, 1_450_000),
        (BUY, "1450000", "5000000", 5_000_000, 1_450_000),
        (BUY, "0.29", "1", 1_000_000, 290_000),
        (BUY, "290000", "1000000", 1_000_000, 290_000),
        (BUY, "1", "5", 5_000_000, 1_000_000),
        (SELL, "5", "1.45", 5_000_000, 1_450_000),
        (SELL, "5000000", "1450000", 5_000_000, 1_450_000),
        (SELL, "2.5", "1", 2_500_000, 1_000_000),
        # A dollar-sized BUY gets more shares than it asked for: improvement, not base units.
        (FOK, "149.2", "320", 320_000_000, 149_200_000),
        (FOK, "149200000", "320000000", 320_000_000, 149_200_000),
        (FOK, 149.2, 320, 320_000_000, 149_200_000),
    ],
)
def test_amounts_are_read_in_either_unit(sent, making, taking, size, cash):
    reply = read(ok(status="matched", makingAmount=making, takingAmount=taking), sent)
    assert (reply.policy, reply.status) == (Policy.ACCEPTED, OrderStatus.MATCHED)
    assert (reply.size_e6, reply.cash_e6) == (size, cash)


@pytest.mark.parametrize(
    ("making", "taking"),
    [
        ("", ""),
        ("0", "0"),
        ("1.45", ""),
        ("", "5"),
        ("1.46", "5"),  # more than the order gives
        ("1.45", "4"),  # a worse price than signed
        ("1.45", "1"),  # over a dollar a share
        ("1450000", "4000000"),
        ("-1", "5"),
        ("1e0", "5"),
        ("NaN", "5"),
        ("1.45", "5.0000001"),
        ("9" * 30, "5"),
    ],
)
def test_amounts_that_cannot_be_are_unknown_and_the_order_is_still_taken(making, taking):
    reply = read(ok(status="matched", makingAmount=making, takingAmount=taking))
    assert reply.policy == Policy.ACCEPTED
    assert (reply.size_e6, reply.cash_e6) == (NO_SIZE_E6, NO_SIZE_E6)


def test_no_share_sells_for_more_than_a_dollar():
    reply = read(ok(status="matched", makingAmount="1", takingAmount="2"), SELL)
    assert (reply.size_e6, reply.cash_e6) == (NO_SIZE_E6, NO_SIZE_E6)


def test_an_amount_that_both_units_explain_is_unknown():
    huge = Sent(ID, Action.BUY, 20_000_000_000, 40_000_000_000, OrderType.GTC)
    reply = read(ok(status="matched", makingAmount="15000", takingAmount="30000"), huge)
    assert (reply.size_e6, reply.cash_e6) == (NO_SIZE_E6, NO_SIZE_E6)
    # A fraction settles it, and so does an amount under a cent if read as base units.
    reply = read(ok(status="matched", makingAmount="15000.5", takingAmount="30001"), huge)
    assert reply.cash_e6 == 15_000_500_000
    reply = read(ok(status="matched", makingAmount="9000", takingAmount="18000"), huge)
    assert reply.cash_e6 == 9_000_000_000


@given(
    st.integers(1, 9_999),
    st.integers(5, 10**4).map(lambda n: n * 1_000_000),
    st.integers(1, 100),
    st.sampled_from(Action),
    st.booleans(),
)
def test_any_partial_fill_reads_the_same_in_both_units(price, size, percent, action, base):
    from lowlat.core.units import format_fixed

    cash = size * price // 10_000
    part_size = size // 100 * percent
    part_cash = part_size * price // 10_000
    sent = (
        Sent(ID, action, cash, size, OrderType.GTC)
        if action == Action.BUY
        else Sent(ID, action, size, cash, OrderType.GTC)
    )
    amounts = (part_cash, part_size) if action == Action.BUY else (part_size, part_cash)
    making, taking = (str(a) if base else format_fixed(a, 6) for a in amounts)
    reply = read(ok(status="matched", makingAmount=making, takingAmount=taking), sent)
    if reply.size_e6 == NO_SIZE_E6:
        # Only where both units explain it: a very large order.
        assert sent.maker_e6 >= 10**10
    else:
        assert (reply.size_e6, reply.cash_e6) == (part_size, part_cash)


@pytest.mark.parametrize(
    ("word", "order_type", "policy", "code", "status"),
    [
        ("live", OrderType.GTC, Policy.ACCEPTED, RejectCode.NONE, OrderStatus.LIVE),
        ("LIVE", OrderType.GTD, Policy.ACCEPTED, RejectCode.NONE, OrderStatus.LIVE),
        ("live", OrderType.FAK, A, RejectCode.STATUS_UNKNOWN, OrderStatus.LIVE),
        ("live", OrderType.FOK, A, RejectCode.STATUS_UNKNOWN, OrderStatus.LIVE),
        ("delayed", OrderType.FOK, Policy.ACCEPTED, RejectCode.NONE, OrderStatus.DELAYED),
        ("delayed", OrderType.GTC, Policy.ACCEPTED, RejectCode.NONE, OrderStatus.DELAYED),
        ("unmatched", OrderType.FAK, R, RejectCode.UNMATCHED, OrderStatus.UNMATCHED),
        ("unmatched", OrderType.GTC, A, RejectCode.UNMATCHED, OrderStatus.UNMATCHED),
        ("parked", OrderType.GTC, A, RejectCode.STATUS_UNKNOWN, OrderStatus.UNKNOWN),
        ("", OrderType.GTC, A, RejectCode.STATUS_UNKNOWN, OrderStatus.UNKNOWN),
        (None, OrderType.GTC, A, RejectCode.STATUS_UNKNOWN, OrderStatus.UNKNOWN),
    ],
)
def test_a_status_is_believed_only_where_it_fits_the_order(word, order_type, policy, code, status):
    reply = read(ok(status=word), BUY._replace(order_type=order_type))
    assert (reply.policy, reply.code, reply.status) == (policy, code, status)


def test_an_answer_for_another_order_is_no_answer():
    reply = read(ok(orderID=OTHER_TEXT))
    assert (reply.policy, reply.code) == (A, RejectCode.ID_MISMATCH)
    assert read(ok(orderID=ID_TEXT.replace("ab", "AB"))).policy == Policy.ACCEPTED


def test_success_needs_every_part_of_it():
    assert read(ok()).policy == Policy.ACCEPTED
    assert read(ok(errorMsg=None, makingAmount=None)).policy == Policy.ACCEPTED
    assert read(ok(orderID="", errorMsg="words never seen")).policy == A
    assert read(ok(orderID=None)).policy == A
    assert read(ok(success=False)).policy == A
    # The venue's plain no, in words we do not know.
    assert read(ok(success=False, orderID=None, errorMsg="no idea")).policy == R
    # An id and an error at once: it may rest.
    assert read(ok(errorMsg="not enough balance / allowance")).policy == A
    assert read(ok(success=False, errorMsg="not enough balance / allowance")).policy == R


def test_ids_of_trades_and_transactions_are_kept():
    reply = read(ok(status="matched", makingAmount="1.45", takingAmount="5", tradeIDs=["t-1"]))
    assert reply.trade_ids == ("t-1",)
    assert reply.transaction_hashes == ()


def test_a_batch_answers_leg_by_leg():
    second = BUY._replace(order_id=b"\xcd" * 32)
    body = [
        ok(),
        ok(success=True, orderID="", errorMsg="not enough balance / allowance", status=None),
        5,
        ok(orderID=OTHER_TEXT, status="matched", makingAmount="1.45", takingAmount="5"),
    ]
    legs = decode_batch_reply(200, json.dumps(body).encode(), [BUY, second, BUY, second])
    assert [leg.policy for leg in legs] == [Policy.ACCEPTED, R, A, Policy.ACCEPTED]
    assert legs[1].code == RejectCode.BALANCE
    assert legs[3].size_e6 == 5_000_000


@pytest.mark.parametrize(
    ("status", "body", "policy"),
    [
        (200, b"[]", A),
        (200, b"{}", A),
        (200, b"gibberish", A),
        (200, json.dumps([ok()]).encode(), A),
        (502, b"<html>", A),
        (429, b"{}", L),
        (400, b'{"error":"Too many orders in payload: 16, max allowed: 15"}', R),
    ],
)
def test_a_batch_refused_whole_says_so_for_every_leg(status, body, policy):
    legs = decode_batch_reply(status, body, [BUY, SELL, FOK])
    assert [leg.policy for leg in legs] == [policy] * 3


@given(data=st.data())
def test_any_damage_to_an_answer_never_raises_and_never_invents_a_fill(data, mangle):
    answer = data.draw(
        st.sampled_from(
            [ok(), ok(status="matched", makingAmount="1.45", takingAmount="5"), {"error": "x"}]
        )
    )
    payload = mangle(data, json.dumps(answer).encode())
    status = data.draw(st.sampled_from([200, 201, 302, 400, 403, 425, 429, 500, 503]))
    reply = decode_order_reply(status, payload, BUY)
    assert isinstance(reply, OrderReply)
    assert len(reply.text) <= 250
    if reply.policy == Policy.ACCEPTED:
        assert 200 <= status < 300
    if reply.size_e6 != NO_SIZE_E6:
        assert 0 <= reply.cash_e6 <= BUY.maker_e6
        assert reply.cash_e6 <= reply.size_e6
    for leg in decode_batch_reply(status, b"[" + payload + b"]", [BUY]):
        assert isinstance(leg, OrderReply)


# ------------------------------------------------------------------------------- cancels
def test_a_cancel_names_what_went_and_what_did_not():
    body = {
        "canceled": [ID_TEXT],
        "not_canceled": {
            OTHER_TEXT: "already canceled or matched",
            "0x" + "01" * 32: "order not found",
            "0x" + "02" * 32: "cannot cancel because the order is in delayed status",
            "0x" + "03" * 32: "something new",
        },
    }
    reply = decode_cancel_reply(200, json.dumps(body).encode())
    assert reply.policy == Policy.ACCEPTED
    assert reply.canceled == (ID,)
    assert [refusal.code for refusal in reply.refused] == [
        CancelCode.ALREADY_DONE,
        CancelCode.NOT_FOUND,
        CancelCode.DELAYED,
        CancelCode.OTHER,
    ]
    assert reply.refused[0].order_id == b"\xcd" * 32


def test_an_empty_cancel_is_an_answer():
    for body in ({"canceled": [], "not_canceled": {}}, {"canceled": None, "not_canceled": None}):
        reply = decode_cancel_reply(200, json.dumps(body).encode())
        assert reply == CancelReply(Policy.ACCEPTED, RejectCode.NONE)


@pytest.mark.parametrize(
    ("status", "body", "policy"),
    [
        (200, b"", A),
        (200, b"{}", A),
        (200, b'{"canceled":["0x12"]}', A),
        (200, b'{"canceled":[],"not_canceled":{"0x12":"x"}}', A),
        (500, b"{}", A),
        (425, b"{}", L),
        (429, b"{}", L),
        (401, b'{"error":"Unauthorized/Invalid api key"}', H),
    ],
)
def test_a_cancel_that_says_nothing_is_sent_again(status, body, policy):
    assert decode_cancel_reply(status, body).policy == policy


@given(data=st.data())
def test_any_damage_to_a_cancel_never_raises(data, mangle):
    body = {"canceled": [ID_TEXT], "not_canceled": {OTHER_TEXT: "order not found"}}
    reply = decode_cancel_reply(200, mangle(data, json.dumps(body).encode()))
    assert all(len(each) == 32 for each in reply.canceled)


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


@pytest.mark.parametrize("body", [b"[" * 5_000, b"9" * 5_000, b'{"makingAmount":' + b"9" * 5_000])
def test_depth_and_length_prove_nothing(body):
    assert decode_order_reply(200, body, BUY).policy == A
    assert decode_batch_reply(200, body, [BUY])[0].policy == A
    huge = b'{"success":true,"orderID":"%s","status":"matched","makingAmount":%s}'
    reply = decode_order_reply(200, huge % (ID_TEXT.encode(), b"9" * 5_000), BUY)
    assert reply.size_e6 == NO_SIZE_E6


# ------------------------------------------------------------------------------- limits
def test_rate_headers_are_read_in_any_case():
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Poly-RateLimit-Remaining", b"39"),
        (b"poly-ratelimit-reset", b" 1795305601 "),
        (b"POLY-RATELIMIT-TIER", b"Standard"),
        (b"Poly-RateLimit-Warning", b"true"),
        (b"Retry-After", b"2"),
    ]
    assert decode_rate_limit(headers) == RateLimit(39, 1_795_305_601, "Standard", True, 2_000)


def test_missing_or_odd_rate_headers_are_unknown_and_never_zero():
    assert decode_rate_limit([]) == RateLimit()
    assert RateLimit().remaining == NO_COUNT
    odd = decode_rate_limit(
        [
            (b"Poly-RateLimit-Remaining", b"many"),
            (b"Poly-RateLimit-Reset", b"-1"),
            (b"Retry-After", b"Wed, 21 Oct 2026 07:28:00 GMT"),
            (b"Poly-RateLimit-Tier", b"\xff\xfe"),
            (b"Poly-RateLimit-Warning", b"false"),
        ]
    )
    assert (odd.remaining, odd.reset, odd.retry_after_ms, odd.malformed) == (-1, -1, -1, 3)
    assert not odd.warning


@given(st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=30)), max_size=5))
def test_any_headers_are_no_crash(headers):
    assert isinstance(decode_rate_limit(headers), RateLimit)
    named = [(b"retry-after", value) for _, value in headers]
    assert decode_rate_limit(named).retry_after_ms >= NO_COUNT


@pytest.mark.parametrize(("text", "bps"), [(b'{"base_fee":"150"}', 150), (b'{"base_fee":0}', 0)])
def test_base_fee_is_a_number_of_bps(text, bps):
    assert decode_fee_rate(200, text) == bps


@pytest.mark.parametrize("text", [b'{"base_fee":"-1"}', b'{"base_fee":1e9}', b"{}", b"", b"null"])
def test_fee_rate_that_is_no_number_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        decode_fee_rate(200, text)
