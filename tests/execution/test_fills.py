"""Answers, order events and trade events of one order, in every order and twice: the same books."""

from itertools import permutations

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


def scene(desk, name):
    """Return an order and the messages about it, as callables."""
    fields = {"immediate": {}, "resting": {"order_type": int(lo.OrderType.GTC)}}
    kind, ending = name.split("-")
    desk.wish(desk.intent(price_e4=4600, size=100, **fields[kind]))
    ((key, _),) = desk.posts()
    order = desk.order()
    text = "order couldn't be fully filled. FOK orders are fully filled or killed."
    answers = {
        "filled": (desk.matched(order, "100", "46", trade="a"), 200),
        "split": ({**desk.matched(order, "100", "46"), "tradeIDs": ["a", "b"]}, 200),
        "failed": (desk.matched(order, "100", "46", trade="a"), 200),
        "part": (desk.matched(order, "40", "18.4", trade="a"), 200),
        "killed": ({"error": text}, 400),
        "canceled": (desk.matched(order, "", "", trade=None, status="live"), 200),
    }
    once = [lambda: desk.answer(key, *answers[ending])]
    trade, event = desk.trade_event, desk.order_event
    many = {
        "filled": [
            trade(order, "100", "0.46", "a"),
            trade(order, "100", "0.46", "a", "CONFIRMED"),
            event(order, "MATCHED", "100"),
        ],
        "split": [
            trade(order, "60", "0.46", "a"),
            trade(order, "40", "0.46", "b", "MINED"),
            event(order, "MATCHED", "100"),
        ],
        "failed": [
            trade(order, "100", "0.46", "a"),
            trade(order, "100", "0.46", "a", "FAILED"),
            event(order, "MATCHED", "100"),
        ],
        "part": [
            trade(order, "40", "0.46", "a"),
            event(order, "LIVE", "40"),
            event(order, "CANCELED", "40", "CANCELLATION"),
        ],
        "killed": [
            event(order, "CANCELED_" + text, "", "CANCELLATION"),
            event(order, "DELAYED", "0", "PLACEMENT"),
        ],
        "canceled": [
            event(order, "LIVE", "0", "PLACEMENT"),
            trade(order, "30", "0.46", "a"),
            event(order, "CANCELED", "30", "CANCELLATION"),
        ],
    }[ending]
    return order, once, [lambda each=each: desk.user(each) for each in many]


def books(desk, order):
    row, cash, held = desk.row(order), desk.cash(), desk.position(0)
    return (
        (row.state, row.filled_e6, row.cash_e6, row.fee_e6, row.reserved_e6, row.confirmed_e6),
        (cash.cash_e6, cash.reserved_e6, cash.fees_e6, cash.realized_e6),
        held and (held.size_e6, held.cost_e6, held.confirmed_e6, held.fees_e6),
    )


SCENES = {
    "immediate-filled": (State.MATCHED, 100, 0, 100),
    "immediate-split": (State.MATCHED, 100, 0, 0),
    "immediate-failed": (State.MATCHED, 0, 0, 0),
    "immediate-killed": (State.UNMATCHED, 0, 0, 0),
    "resting-filled": (State.MATCHED, 100, 0, 100),
    "resting-part": (State.CANCELED, 40, 0, 0),
    "resting-canceled": (State.CANCELED, 30, 0, 0),
}


@pytest.mark.parametrize("name", SCENES)
def test_messages_in_every_order_and_twice_leave_the_same_books(make_desk, name):
    outcomes = set()
    count = len(scene(make_desk(), name)[2]) + 1
    for sequence in permutations(range(count)):
        desk = make_desk()
        order, once, many = scene(desk, name)
        messages = once + many
        for at in sequence:
            messages[at]()
            if at:
                messages[at]()
        for each in many:
            each()
        desk.turn(3)
        outcomes.add(books(desk, order))
    assert len(outcomes) == 1
    (row, cash, _) = outcomes.pop()
    state, filled, held, confirmed = SCENES[name]
    assert (row[0], row[1], row[4], row[5]) == (state, filled * 10**6, held, confirmed * 10**6)
    assert cash[0] == 1_000_000_000 - filled * 460_000
    assert cash[1] == 0


@pytest.mark.parametrize("answer_first", [True, False])
def test_trade_corrects_what_the_answer_summed_up(desk, answer_first):
    desk.market(0, fee_rate_e6=70_000)
    desk.wish(desk.intent(price_e4=4700, size=100, spend_e6=46_500_000))
    ((key, _),) = desk.posts()
    order = desk.order()
    # The answer rounds to two decimals; the trade tells the fills of both makers.
    answer = desk.matched(order, "100.3", "46.49", trade="a")
    event = desk.trade_event(order, "100.25", "0.4632", "a", makers=[(60.25, 0.46), (40, 0.468)])
    if answer_first:
        desk.answer(key, answer)
        assert desk.row(order).filled_e6 == 100_300_000
        desk.user(event, event)
    else:
        desk.user(event, event)
        desk.answer(key, answer)
    fee_e6 = desk.row(order).fee_e6
    assert desk.row(order).filled_e6 == desk.position(0).size_e6 == 100_250_000
    assert desk.row(order).cash_e6 == 27_715_000 + 18_720_000
    assert desk.cash().cash_e6 == 1_000_000_000 - 46_435_000 - fee_e6
    assert fee_e6 == 1_744_870


@settings(max_examples=60)
@given(st.data())
def test_many_partial_fills_converge_to_the_venues_totals(make_desk, data):
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    ends = data.draw(
        st.lists(
            st.sampled_from(["MATCHED", "MINED", "CONFIRMED", "FAILED"]),
            min_size=len(sizes),
            max_size=len(sizes),
        )
    )
    desk = make_desk()
    desk.wish(desk.intent(price_e4=4600, size=200, order_type=int(lo.OrderType.GTC)))
    order = desk.order()
    events = []
    for at, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        events += [
            desk.trade_event(order, str(size), "0.46", f"t{at}", each) for each in {"MATCHED", end}
        ]
    events = data.draw(st.permutations(events + events))
    desk.user(*events)
    kept = sum(size for size, end in zip(sizes, ends, strict=True) if end != "FAILED")
    assert desk.row(order).filled_e6 == kept * 10**6
    assert desk.row(order).cash_e6 == kept * 460_000
    assert desk.cash().cash_e6 == 1_000_000_000 - kept * 460_000
    assert (desk.position(0).size_e6, desk.position(0).cost_e6) == (kept * 10**6, kept * 460_000)
    sealed = sum(size for size, end in zip(sizes, ends, strict=True) if end == "CONFIRMED")
    assert desk.row(order).confirmed_e6 == sealed * 10**6
