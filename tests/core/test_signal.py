"""One Signal class for people, one record for the stream, no loss between them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import SIGNAL, SIGNAL_METADATA_BYTES, Action, Urgency
from lowlat.core.signal import Signal, Stamps, decode_signal, encode_signal, identity_of

MARKET = "0x" + "ab" * 32
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
IDENTITY = identity_of(7, 1, MARKET, TOKEN)

values = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(string.printable, max_size=10),
)
signals = st.builds(
    Signal,
    module=st.text(string.ascii_lowercase, min_size=1, max_size=16),
    market_id=st.just(MARKET),
    token_id=st.just(TOKEN),
    action=st.sampled_from(Action),
    confidence=st.floats(0, 1),
    expected_value=st.floats(-1e6, 1e6),
    size_suggestion=st.integers(1, 2**62),
    urgency=st.sampled_from(Urgency),
    metadata=st.dictionaries(st.text(string.ascii_letters, max_size=5), values, max_size=4),
    limit_price_e4=st.integers(1, 9999),
    expires_ns=st.integers(0, 2**62),
    group=st.integers(0, 2**63),
    leg=st.integers(0, 14),
    legs=st.integers(1, 15),
    cause=st.integers(0, 2**63),
)


@given(signals)
def test_a_signal_survives_its_record(signal):
    record = encode_signal(signal, 1, IDENTITY, Stamps(1, 2, 3, 4), 5, 2)
    buffer = bytearray(SIGNAL.size_bytes)
    SIGNAL.pack(buffer, record)
    assert decode_signal(SIGNAL.unpack(buffer)) == signal


GOOD = Signal("m", MARKET, TOKEN, Action.BUY, 0.5, 1.0, 1, Urgency.LOW, {}, limit_price_e4=1)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"metadata": {"k": "x" * SIGNAL_METADATA_BYTES}}, "metadata"),
        ({"module": "a" * 17}, "module"),
        ({"module": "é"}, "module"),
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"expected_value": float("inf")}, "expected_value"),
        ({"size_suggestion": 0, "urgency": Urgency.NORMAL}, "size_suggestion"),
        ({"size_suggestion": -1}, "size_suggestion"),
        ({"limit_price_e4": 10_000}, "limit_price_e4"),
    ],
)
def test_what_the_record_cannot_hold_is_an_error_where_it_is_emitted(change, word):
    import msgspec

    with pytest.raises(ValueError, match=word):
        encode_signal(msgspec.structs.replace(GOOD, **change), 1, IDENTITY, Stamps(), 0, 0)
