"""Lives of risk: what tables and rings hold is believed, what was left over is ended once."""

import pytest
from engine_fakes import MS, S
from risk_rig import CALM, Rig, rule

from lowlat.core.layout import (
    EXPOSURE_ROW,
    RESET,
    STAKE_ROW,
    TURN,
    OrderState,
    ReportKind,
    Rule,
    Writer,
    record_id,
)
from lowlat.core.ports import EMPTY
from lowlat.core.units import E6


def test_a_restart_rebuilds_from_the_tables_and_ends_what_was_left():
    rig = Rig(start=False, intents_epoch=2)
    rig.world.put_market(0, **CALM)
    rig.world.put_book(0, [(3900, 1000)], [(4000, 1000)])
    rig.world.put_position(rig.positions, 0, 50, 20.0)
    rig.put_order(
        0,
        id=55,
        state=int(OrderState.LIVE),
        reserved_e6=5 * E6,
        instrument=0,
        size_e6=10 * E6,
        price_e4=3900,
    )
    rig.put_order(1, id=56, state=int(OrderState.CANCELED), instrument=0)
    reader_at_zero = rig.signals.reader
    rig.signal(0, 10, 4000)
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.start()
    assert rig.rules == [("DROPPED_EPOCH", 0)]
    state = rig.engine.state
    assert state.exposure.total_e6 == 25 * E6
    assert [own.intent for own in state.own] == [55]
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    # The executor is asked, and what it said to an earlier life is no answer.
    epoch = rig.intents.epoch
    assert [each.previous_epoch for each in rig.intents.decoded(RESET)] == [epoch - 1]
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, epoch - 1, 0))
    rig.turn()
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, epoch, 0))
    rig.turn()
    assert rig.decide(0, 10, 4000).approved


def test_an_order_in_a_market_that_nobody_lists_any_more_counts_after_a_restart():
    # World seeds 184 and 268: the market ended before the reboot, its order was still in doubt.
    rig = Rig(start=False, intents_epoch=2)
    doubtful = {"instrument": 14, "size_e6": 10 * E6, "price_e4": 3900, "reserved_e6": 4 * E6}
    rig.put_order(0, id=55, state=int(OrderState.UNKNOWN), **doubtful)
    rig.start()
    assert [own.intent for own in rig.engine.state.own] == [55]
    assert rig.engine.state.exposure.total_e6 == 4 * E6
    rig.turn()
    rows = [EXPOSURE_ROW.unpack(image) for image in rig.exposure.images[1:] if image is not None]
    (told,) = [row for row in rows if row.market == 7]
    assert (told.market, told.generation, told.worst_loss_e6) == (7, 0, 4 * E6)


def test_shares_of_a_market_that_nobody_lists_any_more_are_kept_for_nobody():
    # World seed 303: they come back from the journal behind our start.
    rig = Rig(cash=None)
    rig.world.put_position(rig.positions, 28, 150, 42.6, generation=0)
    rig.world.put_cash(rig.cash, 1_000)
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    rig.turn()
    assert rig.engine.state.exposure.total_e6 == 42_600_000
    written = [STAKE_ROW.unpack(image) for image in rig.stakes.images if image is not None]
    assert [(each.size_e6, each.generation, each.owner) for each in written] == [
        (150 * E6, 0, bytes(16))
    ]


def test_what_a_journal_brings_back_after_a_reboot_counts_once_the_account_is_known():
    # The executor fills its tables behind our start, and reports none of what it had before.
    rig = Rig(cash=None)
    rig.market(bids=((3900, 1_000),), asks=((4000, 10_000),))
    rig.world.put_position(rig.positions, 0, 50, 20.0)
    resting = {"instrument": 0, "size_e6": 10 * E6, "price_e4": 3900}
    rig.put_order(0, id=55, state=int(OrderState.LIVE), reserved_e6=4 * E6, **resting)
    rig.put_order(1, id=56, state=int(OrderState.CANCELED), instrument=0)
    rig.world.put_cash(rig.cash, 1_000, reconciled_ns=0)
    rig.report(ReportKind.SENDING, 55, OrderState.LIVE, reserved_e6=4 * E6)
    rig.turn()
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    rig.world.put_cash(rig.cash, 1_000)
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    rig.turn()
    state = rig.engine.state
    assert state.exposure.holdings[0].loss_e6 == 24 * E6
    assert [own.intent for own in state.own] == [55]
    assert [stake.size_e6 for stake in state.scores.of_token(0)] == [50 * E6]
    # 26 dollars are left of the 50 that this market may lose.
    assert rig.decide(0, 100, 4000).size_e6 < 65 * E6


def test_a_signal_decided_just_before_a_death_is_not_decided_again():
    rig = Rig()
    rig.market()
    reader_at_zero = rig.signals.reader
    assert rig.decide(0, 10, 4000).approved
    # Death between the decision and giving the signal's slot back.
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.decided_before = _rewound(rig.decisions.reader())
    rig.start()
    assert rig.rules == [("APPROVED", 1)]


def die(rig):
    """Start another life of risk over what the last one left in the streams, which are full."""
    reader_at_zero = rig.signals.reader
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.decided_before = _of_a_full_ring(_rewound(rig.decisions.reader()))
    rig.intended_before = _of_a_full_ring(_rewound(rig.intents.reader()))
    rig.intents.epoch = rig.decisions.epoch = rig.intents.epoch + 1
    rig.start()


def _of_a_full_ring(reader):
    """Let what is published from here on overtake a reader: it finds the newest record only."""
    records, poll = reader.stream.records, reader.poll
    full = len(records)

    def poll_a_ring():
        if len(records) > full:
            reader.at = max(reader.at, len(records) - 1)
        return poll()

    reader.poll = poll_a_ring
    return reader


@pytest.mark.parametrize("size", [10, 12.5])
def test_an_intent_that_left_before_its_decision_is_told_as_approved(size):
    rig = Rig()
    rig.market()
    rig.market(1)
    rig.decide(2, 10, 4000)
    signal = rig.signal(0, size, 4000)
    rig.engine.advance(rig.world.now)
    die(rig)
    assert len(rig.intended) == 2
    intent, decision = rig.intended[-1], rig.decided[-1]
    assert len(rig.decided) == 2
    assert (decision.signal, decision.intent, decision.approved) == (signal.id, intent.id, 1)
    assert decision.size_e6 == intent.size_e6 == int(size) * E6
    assert (decision.checked_ns, decision.config_generation) == (intent.checked_ns, 3)
    assert rule(decision) == (Rule.APPROVED if size == 10 else Rule.CUT)
    die(rig)
    assert len(rig.decided) == 2


def test_left_overs_that_find_no_room_for_their_decisions_are_ended_as_such_later():
    rig = Rig(decision_slots=12)
    rig.market()
    rig.ledger_gate.release()
    sent = rig.signal(0, 10, 4000)
    rig.engine.advance(rig.world.now)
    assert len(rig.intended) == 1
    others = [rig.signal(0, 10, 4000) for _ in range(3)]
    # The ledger reads nothing: the ring of decisions is full when the next life begins.
    while rig.decisions.free() > 0:
        rig.decisions.publish(TURN.kind)
    die(rig)
    assert rig.decided == []
    while rig.ledger_gate.poll() != EMPTY:
        pass
    rig.ledger_gate.release()
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    for _ in range(5):
        rig.turn()
    ended = {each.signal: Rule(each.rule) for each in rig.decided}
    assert ended.pop(sent.id) == Rule.APPROVED
    assert ended == {each.id: Rule.DROPPED_EPOCH for each in others}
    assert len(rig.decided) == 4
    assert len(rig.intended) == 1, "what had left is not sent again"
    while rig.ledger_gate.poll() != EMPTY:
        pass
    rig.ledger_gate.release()
    rig.market(1)
    assert rig.decide(2, 10, 4000).approved


def test_of_a_group_cut_short_by_death_the_legs_that_left_are_approved():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    publish = rig.intents.publish

    def die_after_one(kind):
        position = publish(kind)
        raise SystemExit(position)

    rig.intents.publish = die_after_one
    rig.start()
    rig.group((0, 10, 4000), (2, 10, 4000))
    with pytest.raises(SystemExit):
        rig.engine.advance(rig.world.now)
    rig.intents.publish = publish
    assert rig.decided == []
    die(rig)
    assert rig.rules == [("APPROVED", 1), ("DROPPED_EPOCH", 0)]
    assert rig.decided[0].intent == rig.intended[0].id


def _rewound(reader):
    reader.at = 0
    return reader


def test_after_a_restart_old_intents_expire_before_new_ones_go():
    rig = Rig(intents_epoch=2)
    rig.market()
    assert rule(rig.decide()) == Rule.NOT_RECONCILED
    rig.turn(S + MS)
    assert rig.decide().approved


def test_signals_of_an_older_writer_are_dropped():
    rig = Rig()
    rig.market()
    rig.signal(0, 10, 4000)
    rig.signals.epoch = 2
    rig.signal(0, 20, 4000)
    rig.turn()
    assert sorted(rig.rules) == [("APPROVED", 1), ("DROPPED_EPOCH", 0)]
