"""Compiled outlet of signals: the bytes of encode_signal, or a refusal that Python explains."""

import math
from types import SimpleNamespace

import pytest
from engine_fakes import Counts
from hypothesis import given
from hypothesis import strategies as st

from lowlat.book._view import BookView
from lowlat.core.instruments import Instrument
from lowlat.core.layout import BOOK_ROW, SIGNAL, Action, Urgency
from lowlat.core.signal import Signal, Stamps, encode_signal, identity_of
from lowlat.signals._emit import Outlet
from lowlat.signals.engine import _Source

MARKET_ID = "0x" + "ab" * 32
TOKEN_ID = "123456789"
IDENTITY = identity_of(6, 3, MARKET_ID, TOKEN_ID)
BY_TOKEN = {TOKEN_ID: Instrument(6, 3, 3, 0, TOKEN_ID, MARKET_ID, IDENTITY)}
SOURCE = _Source(77, 1, 2, 3, 4)


class Slot:
    """A stream writer that keeps what it was last told to publish; ``room`` slots are free."""

    def __init__(self, room=1):
        # Dirty: what an older signal left must not show.
        self.buffer = bytearray(b"\xff" * SIGNAL.size_bytes)
        self.buffer[:16] = bytes(16)
        self.room = room
        self.published = []

    def publish(self, kind):
        if len(self.published) == self.room:
            return 0
        self.published.append(kind)
        return len(self.published)


def outlet(slot, counts, source=SOURCE):
    made = Outlet(
        slot,
        BY_TOKEN,
        SimpleNamespace(monotonic_ns=lambda: 50),
        8,
        counts.cell("emitted"),
        counts.cell("dropped"),
        counts.recorder("decide_ns"),
    )
    if source is not None:
        made.about(source)
    made.mode = 2
    return made


def write(signal, metadata=b"{}", source=SOURCE):
    slot = Slot()
    sent = outlet(slot, Counts(), source).emit(signal, metadata)
    assert len(slot.published) == (sent is True)
    return sent, slot.buffer


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
    assert taken is True
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
    assert write(signal(**changes))[0] is None


def test_metadata_that_does_not_fit_is_left_to_the_checks():
    assert write(signal(), b"x" * 300)[0]
    assert write(signal(), b"x" * 301)[0] is None


def test_stamps_of_a_book_are_copied_from_its_row():
    row = bytearray(BOOK_ROW.size_bytes)
    record = BOOK_ROW.unpack(row)._replace(
        id=11, event_ns=21, recv_ns=31, decoded_ns=41, published_ns=45
    )
    BOOK_ROW.pack(row, record)
    _, buffer = write(signal(), source=BookView(row))
    found = SIGNAL.unpack(buffer)
    assert (found.cause, found.event_ns, found.recv_ns) == (11, 21, 31)
    assert (found.decoded_ns, found.published_ns) == (41, 45)


def test_a_small_slot_is_refused():
    slot = Slot()
    slot.buffer = bytearray(64)
    with pytest.raises(ValueError, match="signal buffer was 64 bytes"):
        outlet(slot, Counts())


def test_a_full_gate_drops_and_counts():
    slot, counts = Slot(room=1), Counts()
    out = outlet(slot, counts)
    assert [out.emit(signal(), b"{}") for _ in range(3)] == [True, False, False]
    assert (counts["emitted"], counts["dropped"], counts["decide_ns"]) == (1, 2, 1)
    assert slot.published == [SIGNAL.kind]


def test_an_error_behind_the_check_is_not_taken_for_a_refusal():
    class Failing(Slot):
        def publish(self, kind):
            raise TypeError("the stream's own fault")

    with pytest.raises(TypeError, match="own fault"):
        outlet(Failing(), Counts()).emit(signal(), b"{}")


def test_a_signal_outside_a_callback_is_a_programming_fault():
    slot = Slot()
    with pytest.raises(AssertionError, match="outside a callback"):
        outlet(slot, Counts(), None).emit(signal(), b"{}")
    assert slot.published == []
