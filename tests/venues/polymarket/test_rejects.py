"""Refusals: every text of the reference is one code with one policy; words never seen."""

import pytest
from reply_kit import A, H, L, R, ok, read

from lowlat.venues.polymarket.account import NO_SIZE_E6
from lowlat.venues.polymarket.rejects import RejectCode, classify

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
