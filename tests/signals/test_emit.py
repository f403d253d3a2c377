"""Compiled writer of signals: the bytes of encode_signal, or a refusal that Python explains."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.book._view import BookView
from lowlat.core.instruments import Instrument
from lowlat.core.layout import BOOK_ROW, SIGNAL, Action, Urgency
from lowlat.core.signal import Signal, Stamps, encode_signal, identity_of
from lowlat.signals._emit import RowCopier, SignalSlot
from lowlat.signals.engine import _Source

MARKET_ID = "0x" + "ab" * 32
TOKEN_ID = "123456789"
IDENTITY = identity_of(6, 3, MARKET_ID, TOKEN_ID)
BY_TOKEN = {TOKEN_ID: Instrument(6, 3, 3, 0, TOKEN_ID, MARKET_ID, IDENTITY)}
SOURCE = _Source(77, 1, 2, 3, 4)


def write(signal, metadata=b"{}", source=SOURCE):
    # Dirty: what an older signal left must not show.
    buffer = bytearray(b"\xff" * SIGNAL.size_bytes)
    buffer[:16] = bytes(16)
    taken = SignalSlot(buffer, BY_TOKEN).write(signal, metadata, source, 9, 50, 2)
    return taken, buffer


def signal(**changes):
    plain = {
        "module": "probe",
        "market_id": MARKET_ID,
        "token_id": TOKEN_ID,
        "action": Action.BUY,
        "confidence": 0.5,
        "expected_value": 1.25,
        "size_suggestion": 5_000_000,
        "urgency": Urgency.IMMEDIATE,
        "metadata": {},
        "limit_price_e4": 4200,
        "expires_ns": 10**12,
    }
    return Signal(**plain | changes)


@given(
    module=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16),
    action=st.sampled_from(Action),
    urgency=st.sampled_from(Urgency),
    confidence=st.floats(0.0, 1.0),
    value=st.floats(allow_nan=False, allow_infinity=False),
    size_e6=st.integers(1, 2**63 - 1),
    price_e4=st.integers(1, 9_999),
    expires_ns=st.integers(1, 2**63 - 1),
    group=st.integers(0, 2**64 - 1),
    legs=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    cause=st.integers(0, 2**64 - 1),
    text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100),
)
def test_bytes_are_those_of_encode_signal(
    module, action, urgency, confidence, value, size_e6, price_e4, expires_ns, group, legs, cause,
    text,
):  # fmt: skip
    wish = signal(
        module=module,
        action=action,
        urgency=urgency,
        confidence=confidence,
        expected_value=value,
        size_suggestion=size_e6,
        limit_price_e4=price_e4,
        expires_ns=expires_ns,
        group=group,
        leg=legs[0],
        legs=legs[1],
        cause=cause,
        metadata={"t": text},
    )
    record = encode_signal(wish, 9, IDENTITY, Stamps(1, 2, 3, 4), 50, 2)
    wanted = bytearray(SIGNAL.size_bytes)
    SIGNAL.pack(wanted, record._replace(cause=cause or 77))
    taken, buffer = write(wish, record.metadata)
    assert taken
    end = SIGNAL.dtype.fields["metadata"][1] + 300
    assert buffer[:end] == wanted[:end]


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": math.nextafter(1.0, 2.0)},
        {"confidence": -0.1},
        {"confidence": math.nan},
        {"confidence": 1},
        {"confidence": "1"},
        {"expected_value": math.inf},
        {"expected_value": math.nan},
        {"size_suggestion": 0},
        {"size_suggestion": 2**63},
        {"size_suggestion": 5.0},
        {"limit_price_e4": 0},
        {"limit_price_e4": 10_000},
        {"limit_price_e4": 42.5},
        {"limit_price_e4": 2**32 + 4200},
        {"expires_ns": 0},
        {"action": 2},
        {"urgency": 3},
        {"urgency": -1},
        {"leg": 256},
        {"legs": -1},
        {"group": -1},
        {"group": 1.0},
        {"cause": 2**64},
        {"module": ""},
        {"module": "a" * 17},
        {"module": "é"},
        {"module": "\ud800"},
        {"token_id": "77"},
        {"token_id": 77},
        {"market_id": "0x" + "cd" * 32},
    ],
)
def test_what_is_not_plain_is_left_to_the_checks(changes):
    assert not write(signal(**changes))[0]


def test_metadata_that_does_not_fit_is_left_to_the_checks():
    assert write(signal(), b"x" * 300)[0]
    assert not write(signal(), b"x" * 301)[0]


def test_stamps_of_a_book_are_copied_from_its_row():
    row = bytearray(BOOK_ROW.size_bytes)
    record = BOOK_ROW.unpack(row)._replace(
        id=11, event_ns=21, recv_ns=31, decoded_ns=41, published_ns=51
    )
    BOOK_ROW.pack(row, record)
    _, buffer = write(signal(), source=BookView(row))
    found = SIGNAL.unpack(buffer)
    assert (found.cause, found.event_ns, found.recv_ns) == (11, 21, 31)
    assert (found.decoded_ns, found.published_ns) == (41, 51)


def test_a_small_slot_is_refused():
    with pytest.raises(ValueError, match="signal buffer was 64 bytes"):
        SignalSlot(bytearray(64), BY_TOKEN)
    with pytest.raises(ValueError, match="row buffer was 64 bytes"):
        RowCopier(bytearray(64))


def test_a_row_is_copied_whole():
    source = bytearray(range(256)) * (BOOK_ROW.size_bytes // 256 + 1)
    source = source[: BOOK_ROW.size_bytes]
    buffer = bytearray(BOOK_ROW.size_bytes)
    RowCopier(source).copy_to(BookView(buffer))
    assert buffer == source
