"""The compiled parts by themselves: arrays against dicts, and the frames a plain order costs."""

import sys
from pathlib import Path

import pytest
from engine_fakes import MS, S
from hypothesis import given
from hypothesis import strategies as st
from risk_rig import Rig

from lowlat.core.layout import SIGNAL, OrderState, ReportKind, SignalRecord
from lowlat.risk._case import CaseReader, Granted
from lowlat.risk._cells import ByMarket, Pace
from lowlat.risk._exposure import Bucket, Holding
from lowlat.risk._scores import Score
from lowlat.risk.limits import LimitsParams
from lowlat.risk.reservations import OwnOrder, OwnOrders

HOLDING = Holding(0, 1, Bucket(0, None, 1, True))
SCORE = Score(bytes(16))


def frames_of(call):
    """Run call; return the functions of lowlat.risk that needed a Python frame."""
    seen = []

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parts[-3:-1] == ("lowlat", "risk") and path.suffix == ".py":
            seen.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


def test_a_plain_order_and_its_reports_enter_no_python_of_risk():
    rig = Rig()
    rig.market()
    # The market's first order: its holding is made on the way.
    rig.signal(0, 10, 4000)
    assert frames_of(lambda: rig.engine.advance(rig.world.now)) == []
    assert frames_of(rig.engine.settle) == []
    assert rig.rules[-1] == ("APPROVED", 1)
    intent = rig.intended[-1]
    for kind, state in (
        (ReportKind.SENDING, OrderState.SENDING),
        (ReportKind.ACK, OrderState.DELAYED),
        (ReportKind.REJECT, OrderState.UNMATCHED),
    ):
        rig.report(kind, intent, state)
        assert frames_of(lambda: rig.engine.turn(rig.world.now)) == []
    assert len(rig.engine.state.own) == 0


def test_a_wish_whose_order_is_over_is_a_duplicate_all_the_same():
    rig = Rig(limits=LimitsParams(duplicate_window_ns=100 * MS, kelly_ppm=0))
    rig.market()
    assert rig.decide(0, 10, 4000).approved
    rig.report(ReportKind.REJECT, rig.intended[0], OrderState.UNMATCHED)
    rig.turn(99 * MS)
    rig.decide(0, 10, 4000)
    assert rig.rules[-1] == ("DUPLICATE", 0)
    rig.turn(MS)
    assert rig.decide(0, 10, 4000).approved


def test_an_idle_turn_with_nothing_due_enters_no_python_of_risk():
    rig = Rig()
    rig.market()
    rig.turn()
    rig.turn()
    assert frames_of(lambda: rig.engine.turn(rig.world.now)) == []
    assert "_watch" in frames_of(lambda: rig.turn(S))


def test_a_shut_intents_gate_spends_no_token_and_no_name():
    rig = Rig(limits=LimitsParams(duplicate_window_ns=0, orders_per_s=1, orders_burst=2))
    rig.market()
    rig.intents.slots = 1
    assert rig.decide(0, 5, 4000).approved
    for _ in range(3):
        assert not rig.decide(0, 5, 4000).approved
    rig.intents.slots = 2
    decision = rig.decide(0, 5, 4000)
    assert decision.approved
    ids = sorted([each.id for each in rig.decided] + [each.id for each in rig.intended])
    assert len(set(ids)) == len(ids)


def case_of(module, instrument, action):
    buffer = memoryview(bytearray(SIGNAL.size_bytes))
    fields = dict.fromkeys(SignalRecord._fields, 0)
    fields |= {"market_id": b"", "token_id": b"", "metadata": b"", "module": module}
    SIGNAL.pack(buffer, SignalRecord(**fields | {"instrument": instrument, "action": action}))
    return CaseReader(buffer).case()


WISHES = [
    case_of(module, token, side) for module in (b"a", b"b") for token in (0, 1) for side in (0, 1)
]


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 60), st.booleans()), max_size=60),
    st.integers(0, 100),
)
def test_a_wish_is_as_old_as_its_last_grant(history, window_ns):
    granted, known, now_ns = Granted(), {}, 0
    for pick, later_ns, grant in history:
        now_ns += later_ns
        # The four wishes of each module are for the same tokens and sides.
        at_ns, by = known.get(pick % 4, (now_ns - window_ns, pick))
        expected = now_ns - at_ns if now_ns - at_ns < window_ns else -1
        assert granted.age(WISHES[pick], now_ns, window_ns) == expected
        if expected >= 0:
            assert granted.by_other == (by != pick)
        if grant:
            granted.add(WISHES[pick], now_ns)
            known[pick % 4] = now_ns, pick


def test_the_oldest_wishes_go_first_when_there_are_too_many():
    granted = Granted()
    granted.add(WISHES[0], 0)
    for _ in range(4_095):
        granted.add(WISHES[1], 0)
    assert granted.age(WISHES[0], 0, 1) == 0
    granted.add(WISHES[1], 0)
    assert granted.age(WISHES[0], 0, 1) == -1


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 3_000)), max_size=600))
def test_own_orders_are_a_dict_by_intent_with_counts_by_market(steps):
    own, model = OwnOrders(), {}
    for intent, market in steps:
        if intent in model:
            own.remove(model.pop(intent))
        else:
            order = OwnOrder(intent, 2 * market, 0, 1, 1, 1, 0, 0, HOLDING, SCORE)
            own.add(order)
            model[intent] = order
    assert list(own) == list(model.values())
    assert len(own) == len(model)
    for intent, market in steps:
        assert own.get(intent) is model.get(intent)
        assert (intent in own) == (intent in model)
        of_market = [each for each in model.values() if each.market == market]
        assert own.orders_in(market) == len(of_market)


def test_an_intent_is_counted_in_and_out_once():
    own = OwnOrders()
    order = OwnOrder(9, 0, 0, 1, 1, 1, 0, 0, HOLDING, SCORE)
    own.add(order)
    with pytest.raises(AssertionError, match="counted in before"):
        own.add(order)
    own.remove(order)
    with pytest.raises(AssertionError, match="counted out twice"):
        own.remove(order)


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=50))
def test_by_market_is_a_dict(steps):
    table, model = ByMarket(), {}
    for market, keep in steps:
        if keep:
            table[market] = model[market] = (market,)
        elif market in model:
            del table[market], model[market]
    assert list(table.items()) == list(model.items())
    assert list(table) == list(model)
    assert len(table) == len(model)
    for market in range(302):
        assert table.get(market) == model.get(market)
        assert (market in table) == (market in model)


def test_a_market_number_that_no_row_can_have_is_refused():
    table = ByMarket()
    with pytest.raises(ValueError, match="market was 32768"):
        table[32_768] = ()
    with pytest.raises(KeyError):
        table[5]
    with pytest.raises(KeyError):
        del table[5]


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 2 * S), st.integers(1, 20)), max_size=30),
)
def test_never_more_orders_than_the_pace_allows(per_s, burst, steps):
    pace, tokens, now_ns = Pace(per_s, burst), burst * S, 0
    for later_ns, count in steps:
        now_ns += later_ns
        tokens = min(burst * S, tokens + later_ns * per_s)
        allowed = tokens >= count * S
        assert pace.take(count, now_ns) == allowed
        tokens -= count * S * allowed


def test_a_reload_lowers_the_burst_at_once():
    pace = Pace(1, 10)
    pace.set_limits(1, 2)
    assert pace.take(2, MS)
    assert not pace.take(1, MS)
