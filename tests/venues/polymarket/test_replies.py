"""HTTP answers: every text of the reference, both amount units, per-leg results, broken bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reply_kit import BUY, FOK, ID, ID_TEXT, OTHER_TEXT, SELL, A, H, L, R, ok, read

from lowlat.core.layout import Action, OrderType
from lowlat.venues.polymarket.account import NO_SIZE_E6, OrderStatus
from lowlat.venues.polymarket.rejects import Policy, RejectCode
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
