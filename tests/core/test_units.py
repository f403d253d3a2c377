"""Decimal text to integers: exact, or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import cost_e6, floor_to_step, format_fixed, parse_fixed, parse_fixed_floor


@given(st.integers(0, 10**12), st.sampled_from([2, 4, 6, 8]))
def test_text_and_integer_are_inverse(value, decimals):
    assert parse_fixed(format_fixed(value, decimals), decimals) == value


@given(st.decimals(0, 10**8, places=9, allow_nan=False, allow_infinity=False))
def test_floor_agrees_with_decimal(number):
    assert parse_fixed_floor(format(number, "f"), 6) == int(number * 10**6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "inf",
        " 1",
        "1 ",
        ".5",
        "5.",
        "1.2.3",
        "0x1",
        "١",
        "9" * 19,
        "0.00000001",
        None,
        1,
        1.0,
    ],
)
def test_anything_but_a_plain_decimal_in_range_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        parse_fixed(text, 6)


def test_negative_values_print_for_people():
    assert format_fixed(-1_500_000, 6) == "-1.5"
    assert format_fixed(0, 6) == "0"


def test_cost_and_steps_round_down():
    assert cost_e6(4600, 120_000_000) + cost_e6(4700, 200_000_000) == 149_200_000
    assert cost_e6(1, 1) == 0
    assert floor_to_step(1_999_999, 1_000_000) == 1_000_000
