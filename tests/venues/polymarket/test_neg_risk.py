"""Which tokens are one event: rows of the simulator's shape, holes in them, and any bytes."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket.neg_risk import (
    conditions_query,
    decode_event_conditions,
    decode_tokens,
    event_of,
    event_query,
    tokens_query,
)
from lowlat.venues.polymarket.relayer import NEG_RISK_ADAPTER, convert_call

MARKET = "0x" + "c0" * 31 + "00"


def condition(number):
    return f"0x{number:064x}"


def row(question, outcome=1, **changes):
    return {
        "token_id": str(100 * question + outcome),
        "condition_id": condition(question),
        "module": "v1_ctf",
        "outcome_index": outcome,
        "resolved": False,
        "neg_risk": True,
        "neg_risk_market_id": MARKET,
        "question_index": question,
        "event_id": 7,
    } | changes


def body(rows):
    return json.dumps({"data": rows}).encode()


def tokens(rows):
    return decode_tokens(200, body(rows))


def test_an_event_is_every_market_by_its_question():
    rows = [row(question, outcome) for question in (2, 0, 1) for outcome in (0, 1)]
    event = event_of([condition(each) for each in (1, 2, 0)], tokens(rows))
    assert event.market_id == MARKET
    assert event.no_tokens == ("1", "101", "201")
    assert event.condition_ids == (condition(0), condition(1), condition(2))


@pytest.mark.parametrize(
    "rows",
    [
        [row(0), row(1)],
        [row(0), row(1), row(2, resolved=True)],
        [row(0), row(1), row(2, module="neg_risk")],
        [row(0), row(1), row(2, 0)],
        [row(0), row(1), row(2, question_index=3)],
        [row(0), row(1), row(2, neg_risk_market_id="0x" + "dd" * 32)],
        [row(0), row(1), row(2), row(3)],
    ],
)
def test_whatever_is_not_the_whole_event_is_none(rows):
    assert event_of([condition(each) for each in range(3)], tokens(rows)) is None
    assert event_of([condition(0)], tokens([row(0)])) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"question_index": None},
        {"question_index": 256},
        {"outcome_index": 999},
        {"event_id": None},
        {"neg_risk_market_id": None},
        {"condition_id": "0x12"},
        {"token_id": "x"},
    ],
)
def test_a_row_of_an_event_without_what_a_conversion_needs_spoils_the_answer(changes):
    with pytest.raises(RemoteProtocolError):
        tokens([row(0), row(1, **changes)])


def test_rows_that_no_conversion_is_about_need_nothing():
    assert tokens([{"token_id": "1", "condition_id": "", "neg_risk": False}]) == []


@pytest.mark.parametrize("decode", [decode_tokens, decode_event_conditions])
@given(status=st.sampled_from([200, 404]), data=st.binary(max_size=60) | st.just(b'{"data":[{}]}'))
def test_any_bytes_are_rows_or_a_protocol_error(decode, status, data):
    with suppress(RemoteProtocolError):
        assert isinstance(decode(status, data), list)


def test_questions_are_asked_with_comma_joined_ids():
    assert tokens_query(["1", "2"]) == ("/v2/tokens", "token_id=1,2")
    assert conditions_query([condition(1)]) == ("/v2/tokens", f"condition={condition(1)}")
    assert event_query("7") == ("/v2/resolutions", "event_id=7")


def test_a_conversion_names_questions_as_bits():
    call = convert_call(bytes.fromhex(MARKET[2:]), [0, 2], 5_000_000)
    assert call.target.hex() == NEG_RISK_ADAPTER[2:].lower()
    market, index_set, size = (call.data[4 + 32 * at : 36 + 32 * at] for at in range(3))
    assert (market.hex(), len(call.data)) == (MARKET[2:], 100)
    assert (int.from_bytes(index_set), int.from_bytes(size)) == (0b101, 5_000_000)


@pytest.mark.parametrize(
    ("market", "questions", "size_e6"),
    [(bytes(31), [0], 1), (bytes(32), [], 1), (bytes(32), [256], 1), (bytes(32), [0], 0)],
)
def test_a_conversion_of_nothing_is_refused(market, questions, size_e6):
    with pytest.raises(LocalProtocolError):
        convert_call(market, questions, size_e6)
