"""What comes in and cannot be read, was never asked for, or is not about an order of ours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo

SECOND = 1_000_000_000


State = lo.OrderState


def dropped(desk):
    return [
        lo.Rule(each.reason).name for each in desk.reports() if each.kind == lo.ReportKind.DROPPED
    ]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"event_type":"trade"}',
        b"\xff\xfe",
        b'{"event_type":3}',
        b"[" * 2000,
    ],
)
def test_garbage_on_the_user_channel_is_counted_or_ignored(desk, frame):
    before = books_before = desk.cash()
    desk.engine.inbox.on_user_frame(frame, desk.clock.now_ns)
    assert desk.cash() == before == books_before
    assert desk.meters.remote_errors.value == (0 if frame == b"[]" else 1)


def test_trade_of_another_token_under_our_order_id_is_not_booked(desk):
    desk.wish(desk.intent())
    order = desk.order()
    event = desk.trade_event(order, "10", "0.46")
    event["asset_id"] = "999"
    desk.user(event)
    assert desk.row(order).filled_e6 == 0
    assert desk.meters.remote_errors.value == 1


def test_unknown_order_event_is_counted_as_foreign(desk):
    desk.wish(desk.intent())
    event = desk.order_event(desk.order(), "LIVE")
    event["id"] = "0x" + "77" * 32
    desk.user(event)
    assert desk.meters.foreign.value == 1


def test_answer_nobody_asked_for_is_counted(desk):
    desk.engine.inbox.on_answer(999, 200, (), b"{}", desk.clock.now_ns)
    desk.engine.inbox.on_lost(998, desk.clock.now_ns)
    assert desk.meters.remote_errors.value == 2


@given(st.binary(max_size=80), st.sampled_from([200, 400, 404, 425, 500, 503]))
@settings(max_examples=60)
def test_any_answer_ends_in_a_known_state_and_held_cash_matches_it(make_desk, body, status):
    desk = make_desk()
    desk.wish(desk.intent())
    ((key, _),) = desk.posts()
    desk.answer(key, body, status)
    order = desk.order()
    assert order.state in (State.UNKNOWN, State.REJECTED)
    assert desk.cash().reserved_e6 == (149_200_000 if order.state == State.UNKNOWN else 0)


def test_unreadable_user_frames_are_sampled_once_a_second_without_the_key(make_desk):
    desk = make_desk()
    desk.notes.clear()
    key = desk.engine.reconciler._account.api_key
    cut_short = b'{"event_type": "trade", "owner": "%s"' % key.encode()
    for _ in range(5):
        desk.engine.inbox.on_user_frame(cut_short, 10**18)
    desk.engine.inbox.on_user_frame(b"garbage", 10**18 + 2 * 10**9)
    assert desk.meters.remote_errors.value == 6
    assert [kind for kind, _ in desk.notes] == ["unreadable user frame"] * 2
    assert not any(key in sample for _, sample in desk.notes)
    assert "malformed" in desk.notes[1][1]
