"""Windows and slugs: New York's calendar, both clock changes, the venue's own slugs."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import Coin
from lowlat.venues.polymarket.windows import (
    Family,
    above_event_slug,
    noon_ns,
    window_at,
    window_slug,
)

SECOND = 1_000_000_000


def at(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("family", "start", "slug"),
    [
        (Family.M5, 1_787_414_400, "btc-updown-5m-1787414400"),
        (Family.M15, 1_790_973_900, "btc-updown-15m-1790973900"),
        (Family.H4, 1_789_372_800, "btc-updown-4h-1789372800"),  # summer: 0 mod 14400
        (Family.H4, 1_768_856_400, "btc-updown-4h-1768856400"),  # winter: 3600 mod 14400
    ],
)
def test_slugs_the_venue_has_used(family, start, slug):
    assert window_slug(Coin.BTC, family, start * SECOND) == slug


@pytest.mark.parametrize(
    ("now", "start", "slug"),
    [
        (at(2026, 7, 28, 8, 30), at(2026, 7, 28, 8), "bitcoin-up-or-down-july-28-2026-4am-et"),
        (at(2026, 11, 22, 17), at(2026, 11, 22, 17), "bitcoin-up-or-down-november-22-2026-12pm-et"),
        (at(2026, 11, 22, 5), at(2026, 11, 22, 5), "bitcoin-up-or-down-november-22-2026-12am-et"),
        (at(2026, 11, 22, 4), at(2026, 11, 22, 4), "bitcoin-up-or-down-november-21-2026-11pm-et"),
    ],
)
def test_hour_slugs_are_new_yorks(now, start, slug):
    window = window_at(Family.H1, now)
    assert window.start_ns == start
    assert window_slug(Coin.BTC, Family.H1, start) == slug


def test_hours_that_share_a_name_in_autumn_are_not_listed():
    assert window_slug(Coin.BTC, Family.H1, at(2026, 11, 1, 5)) is None
    assert window_slug(Coin.BTC, Family.H1, at(2026, 11, 1, 6)) is None
    assert window_slug(Coin.ETH, Family.H1, at(2026, 11, 1, 7)) == (
        "ethereum-up-or-down-november-1-2026-2am-et"
    )


def test_day_ends_at_noon_also_when_it_has_23_or_25_hours():
    spring = window_at(Family.D1, at(2026, 3, 8, 12))
    assert spring == (at(2026, 3, 7, 17), at(2026, 3, 8, 16))
    autumn = window_at(Family.D1, at(2026, 11, 1, 12))
    assert autumn == (at(2026, 10, 31, 16), at(2026, 11, 1, 17))
    assert window_slug(Coin.SOL, Family.D1, autumn.start_ns) == (
        "solana-up-or-down-on-november-1-2026"
    )


def test_four_hour_grid_follows_new_york_and_skips_odd_windows():
    summer = window_at(Family.H4, at(2026, 7, 1, 9))
    assert summer == (at(2026, 7, 1, 8), at(2026, 7, 1, 12))
    winter = window_at(Family.H4, at(2026, 12, 1, 8, 59))
    assert winter == (at(2026, 12, 1, 5), at(2026, 12, 1, 9))
    change = window_at(Family.H4, at(2026, 11, 1, 6))
    assert change == (at(2026, 11, 1, 4), at(2026, 11, 1, 9)), "five hours"
    assert window_slug(Coin.BTC, Family.H4, change.start_ns) is None


def test_other_starts_and_coins_have_no_slug():
    assert window_slug(Coin.BTC, Family.M5, at(2026, 7, 1) + SECOND) is None
    assert window_slug(Coin.BTC, Family.H4, at(2026, 12, 1, 4)) is None, "summer grid in winter"
    assert window_slug(Coin.NONE, Family.M5, at(2026, 7, 1)) is None


def test_strike_event_and_noon():
    assert above_event_slug(Coin.ETH, 2026, 11, 5) == "ethereum-above-on-november-5-2026"
    assert noon_ns(2026, 7, 1) == at(2026, 7, 1, 16)
    assert noon_ns(2026, 12, 1) == at(2026, 12, 1, 17)


@given(
    now_s=st.integers(1_577_836_800, 2_500_000_000),
    family=st.sampled_from(Family),
    offset=st.integers(-3, 3),
)
def test_windows_hold_now_and_follow_each_other_without_gaps(now_s, family, offset):
    now_ns = now_s * SECOND
    here = window_at(family, now_ns)
    assert here.start_ns <= now_ns < here.end_ns
    there = window_at(family, now_ns, offset)
    assert window_at(family, there.start_ns) == there
    assert window_at(family, now_ns, offset + 1).start_ns == there.end_ns
