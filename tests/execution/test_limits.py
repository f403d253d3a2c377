"""Rate bucket, breaker, retries and heartbeat against a clock made of integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.execution.heartbeat import Heartbeat
from lowlat.execution.limits import TIERS, Breaker, RateBucket

SECOND = 1_000_000_000
START = 100 * SECOND


@given(st.lists(st.tuples(st.integers(0, 200_000_000), st.integers(1, 15)), max_size=200))
def test_bucket_never_lets_more_through_than_rate_and_burst(asks):
    bucket = RateBucket(40, 60, 0)
    now_ns, passed = START, []
    for wait_ns, count in asks:
        now_ns += wait_ns
        if bucket.take(count, now_ns):
            passed += [now_ns] * count
    for first in range(len(passed)):
        for last in range(first, len(passed), 7):
            span_ns = passed[last] - passed[first]
            assert last - first + 1 <= 60 + span_ns * 40 // SECOND + 1


def test_bucket_fills_at_its_rate():
    bucket = RateBucket(40, 60, 0)
    assert bucket.take(60, START)
    assert not bucket.take(1, START)
    assert not bucket.take(1, START + SECOND // 40 - 1)
    assert bucket.take(1, START + SECOND // 40)


def test_headroom_is_for_unwinds_only():
    bucket = RateBucket(40, 60, 10)
    assert bucket.take(50, START)
    assert not bucket.take(1, START)
    assert bucket.take(10, START, reserve=True)
    assert not bucket.take(1, START, reserve=True)


def test_batch_that_does_not_fit_is_refused_whole():
    bucket = RateBucket(40, 60, 0)
    assert bucket.take(50, START)
    assert not bucket.take(11, START)
    assert bucket.available(START) == 10


def test_venue_is_believed_when_it_counts_fewer_tokens_never_more():
    bucket = RateBucket(40, 60, 0)
    bucket.correct(5, START)
    assert bucket.available(START) == 5
    bucket.correct(59, START)
    assert bucket.available(START) == 5


def test_retry_after_blocks_unwinds_too():
    bucket = RateBucket(40, 60, 10)
    bucket.block(START + SECOND)
    assert not bucket.take(1, START, reserve=True)
    assert bucket.take(1, START + SECOND, reserve=True)


def test_tier_changes_rate_and_burst():
    bucket = RateBucket(40, 60, 10)
    bucket.set_tier(*TIERS["silver"][:2])
    assert bucket.available(START) == 50
    assert bucket.available(START + 2 * SECOND) == 290


def test_breaker_opens_after_errors_of_one_class_in_one_market():
    breaker = Breaker(3, 10 * SECOND, 5 * SECOND)
    for market in (1, 2, 1, 2):
        assert not breaker.error(7, market, START)
    assert not breaker.error(8, 1, START)
    assert breaker.error(7, 1, START)
    assert not breaker.closed(1, START + 1)
    assert breaker.closed(2, START + 1)
    assert breaker.closed(1, START + 5 * SECOND)
    assert breaker.trips == 1


def test_breaker_forgets_old_errors_and_success_forgets_all():
    breaker = Breaker(2, SECOND, SECOND)
    breaker.error(7, 1, START)
    assert not breaker.error(7, 1, START + 2 * SECOND)
    breaker.ok(1)
    assert not breaker.error(7, 1, START + 2 * SECOND)


def test_breaker_everywhere_stops_all_markets():
    breaker = Breaker(2, SECOND, SECOND)
    breaker.open_for(Breaker.EVERYWHERE, START + SECOND)
    assert not breaker.closed(123, START)
    assert breaker.closed(123, START + SECOND)


# ------------------------------------------------------------------ heartbeat
def beat(heartbeat, now_ns):
    assert heartbeat.due(now_ns)
    heartbeat.sent(now_ns)


def test_first_beat_is_empty_and_the_next_carries_the_answered_id():
    heartbeat = Heartbeat()
    beat(heartbeat, START)
    assert heartbeat.heartbeat_id == ""
    assert not heartbeat.due(START + SECOND)
    heartbeat.accepted("one", START)
    assert not heartbeat.due(START + 5 * SECOND - 1)
    beat(heartbeat, START + 5 * SECOND)
    assert heartbeat.heartbeat_id == "one"


def test_wrong_id_is_corrected_at_once_but_never_in_a_flood():
    heartbeat = Heartbeat()
    beat(heartbeat, START)
    heartbeat.corrected_to("right", START + 1)
    beat(heartbeat, START + 1)
    heartbeat.corrected_to("other", START + 2)
    assert not heartbeat.due(START + 3)
    assert heartbeat.due(START + 1 + SECOND)
    assert heartbeat.corrected == 2


@pytest.mark.parametrize("answered", [True, False])
def test_lost_beat_is_sent_again_within_seconds(answered):
    heartbeat = Heartbeat()
    beat(heartbeat, START)
    if answered:
        heartbeat.lost(START + SECOND)
        assert heartbeat.due(START + 2 * SECOND)
    else:
        assert heartbeat.due(START + 5 * SECOND)


def test_long_silence_means_that_the_venue_may_have_canceled_everything():
    heartbeat = Heartbeat()
    assert not heartbeat.may_have_fired(START)
    beat(heartbeat, START)
    heartbeat.accepted("one", START)
    assert not heartbeat.may_have_fired(START + 10 * SECOND)
    assert heartbeat.may_have_fired(START + 11 * SECOND)
