"""A module takes back what it rests: cancels for its orders of that side, whatever the limits."""

from risk_rig import Rig

from lowlat.core.layout import (
    INTENT,
    IntentFlag,
    OrderState,
    ReportKind,
    Rule,
)

LOW = 0


def quoted(**limits):
    rig = Rig(**limits)
    rig.market()
    return rig


def rest(rig, instrument=0, limit_e4=3_900, **changes):
    rig.signal(instrument, 10.0, limit_e4, urgency=LOW, **changes)
    rig.turn()
    return rig.intents.decoded(INTENT)[-1]


def take_back(rig, instrument=0, **changes):
    before = len(rig.intents.records)
    rig.signal(instrument, 0.0, 100, urgency=LOW, expected_value=0.0, **changes)
    rig.turn()
    return rig.intents.decoded(INTENT)[before:]


def test_the_order_of_that_module_token_and_side_is_canceled():
    rig = quoted()
    wish = rest(rig)
    assert wish.intent_flags == IntentFlag.POST_ONLY
    [cancel] = take_back(rig)
    assert cancel.intent_flags == IntentFlag.CANCEL
    assert cancel.target == wish.id
    last = rig.decided[-1]
    assert (last.approved, last.size_e6, last.intent) == (1, 0, cancel.id)


def test_other_modules_tokens_and_sides_stay():
    rig = quoted()
    rest(rig)
    assert take_back(rig, module=b"other") == []
    assert take_back(rig, instrument=1) == []
    assert take_back(rig, action=1) == []
    assert [each.approved for each in rig.decided] == [1, 1, 1, 1]


def test_halt_does_not_stop_it():
    rig = quoted()
    wish = rest(rig)
    rig.halt = int(Rule.HALTED)
    [cancel] = take_back(rig)
    assert cancel.target == wish.id


def test_what_ended_is_not_canceled():
    rig = quoted()
    wish = rest(rig)
    rig.report(ReportKind.CANCELED, wish, OrderState.CANCELED)
    rig.turn()
    assert take_back(rig) == []


def test_a_wish_of_nothing_that_is_not_low_is_refused():
    rig = quoted()
    rest(rig)
    rig.signal(0, 0.0, 4_000)
    rig.turn()
    assert rig.decided[-1].rule == Rule.MIN_SIZE
