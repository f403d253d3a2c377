"""Shared codec pieces; the compiled decimal parser against its Python oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import parse_fixed
from lowlat.venues import wire
from lowlat.venues._fixed import fixed, fixed_pairs

DECIMAL = st.from_regex(r"\A[0-9]{0,20}(\.[0-9]{0,20})?\Z")
NEAR_DECIMAL = st.text(alphabet="0123456789.-+eE _,\x00é\u0661∞", max_size=24)


def outcome(call, *args):
    try:
        return call(*args)
    except RemoteProtocolError:
        return RemoteProtocolError


@given(text=st.one_of(DECIMAL, NEAR_DECIMAL), decimals=st.sampled_from([0, 4, 6, 8, 18]))
def test_compiled_parser_equals_its_oracle(text, decimals):
    assert outcome(fixed, text, decimals) == outcome(parse_fixed, text, decimals)


@pytest.mark.parametrize(
    ("text", "value"),
    [("98123.45000000", 9_812_345_000_000), ("0", 0), ("0.00000001", 1), ("1", 100_000_000),
     ("0.100000000000", 10_000_000), ("9999999999.99999999", 999_999_999_999_999_999)],
)  # fmt: skip
def test_decimal_text_becomes_exact_units(text, value):
    assert fixed(text, 8) == value


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "+1", "1e5", "NaN", "inf", "1_0", " 1", "1 ", "0.000000001",
     "10000000000", "\u0661", "1\x00", "\ud800"],
)  # fmt: skip
def test_text_that_is_no_exact_decimal_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        fixed(text, 8)


def test_pairs_parse_in_place_and_refuse_like_single_numbers():
    assert fixed_pairs([("1.5", "0"), ("2", "0.25")], 2) == [(150, 0), (200, 25)]
    with pytest.raises(RemoteProtocolError):
        fixed_pairs([("1.5", "0"), ("2", "-1")], 2)
    with pytest.raises(RemoteProtocolError):
        fixed_pairs([("1.5", None)], 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2026-11-22T12:00:00Z", 1_795_348_800_000_000_000),
     ("2026-11-22 12:00:00+00", 1_795_348_800_000_000_000),
     ("2026-11-22T07:00:00.000001-05:00", 1_795_348_800_000_001_000)],
)  # fmt: skip
def test_iso_time_becomes_nanoseconds(text, value):
    assert wire.iso_ns(text) == value


@pytest.mark.parametrize(
    "text", ["", "2026-11-22", "2026-11-22T12:00:00", "yesterday", "0001-01-01T00:00:00+23:59x"]
)
def test_iso_time_without_zone_or_sense_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        wire.iso_ns(text)


@given(st.text(alphabet="0123456789-:TZ+. W\u0661", max_size=40))
def test_any_text_is_a_time_or_refused(text):
    assert outcome(wire.iso_ns, text) is not None
    assert outcome(wire.ms_text_ns, text) is not None


def test_times_outside_2020_to_2100_are_refused():
    for value_ms in (-1, 0, 1_577_836_799_999, 4_102_444_800_000, 10**30):
        with pytest.raises(RemoteProtocolError):
            wire.ms_ns(value_ms)
        with pytest.raises(RemoteProtocolError):
            wire.us_ns(value_ms * 1000)
    assert wire.us_ns(1_795_305_600_123_456) == 1_795_305_600_123_456_000
