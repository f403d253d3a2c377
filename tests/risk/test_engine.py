"""Each rule by a case worked out by hand; what is sent, held and given back."""

from engine_fakes import MS, S
from risk_rig import FREE, Rig, rule

from lowlat.core.layout import (
    OrderState,
    ReportKind,
    Rule,
)
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams


# ------------------------------------------------------------------------------- reports
def test_reports_give_cash_back_and_positions_take_its_place():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    (intent,) = rig.intended
    state = rig.engine.state
    assert state.held_e6 == 41_600_000
    rig.report(ReportKind.SENDING, intent, OrderState.SENDING, reserved_e6=41_600_000)
    rig.report(ReportKind.ACK, intent, OrderState.MATCHED, reserved_e6=41_600_000)
    rig.turn()
    assert state.held_e6 == 41_600_000
    rig.fill(intent, 100, 40.96)
    rig.turn()
    assert state.held_e6 == 0
    assert state.exposure.total_e6 == 40_960_000
    assert state.cash_e6 == 1_000 * E6 - 40_960_000
    decision = rig.decide(0, 100, 4000)
    assert (decision.limit, decision.was) == (50 * E6, 40_960_000 + 41_600_000)


def test_unknown_stays_in_exposure_until_it_is_resolved():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    (intent,) = rig.intended
    rig.report(ReportKind.UNKNOWN, intent, OrderState.UNKNOWN, reserved_e6=41_600_000)
    for _ in range(20):
        rig.turn(S)
    assert rig.engine.state.held_e6 == 41_600_000
    rig.report(ReportKind.RESOLVED_UNKNOWN, intent, OrderState.CANCELED, reserved_e6=0)
    rig.turn()
    assert rig.engine.state.held_e6 == 0
    assert len(rig.engine.state.own) == 0


def test_a_failed_fill_is_undone():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.fill(rig.intended[0], 100, 40.96)
    rig.turn()
    rig.world.put_position(rig.positions, 0, 0, 0.0)
    rig.world.put_cash(rig.cash, 1_000.0)
    rig.report(ReportKind.FAILED, rig.intended[0], OrderState.MATCHED)
    rig.turn()
    assert rig.engine.state.exposure.total_e6 == 0
    assert rig.engine.state.cash_e6 == 1_000 * E6


def test_an_intent_that_was_never_sent_is_found_in_no_table_and_let_go():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.decide(0, 10, 4000)
    sent, lost = rig.intended[1], rig.intended[0]
    rig.put_order(0, id=sent.id, state=int(OrderState.LIVE), reserved_e6=4_160_000, size_e6=1)
    for _ in range(7):
        rig.turn(S)
    assert rig.counts["risk.intents_never_sent"] == 1
    assert lost.id not in rig.engine.state.own
    assert rig.engine.state.held_e6 == 4_160_000


def test_orders_the_executor_makes_by_itself_count_too():
    rig = Rig()
    rig.market()
    rig.decide(0, 10, 4000)
    unwind = rig.intended[0]._replace(id=123, instrument=1, limit_price_e4=6300)
    rig.report(ReportKind.SENDING, unwind, OrderState.SENDING, reserved_e6=7 * E6)
    rig.turn()
    assert rig.engine.state.held_e6 == 4_160_000 + 7 * E6
    assert rule(rig.decide(0, 10, 4000)) == Rule.SELF_CROSS


def test_tokens_without_a_market_count_as_lost_and_never_as_a_complete_set():
    rig = Rig()
    rig.hold(28, 100, 40.0, generation=0)
    rig.hold(30, 100, 50.0, generation=0)
    state = rig.engine.state
    assert state.exposure.total_e6 == 90 * E6
    assert state.exposure.cost_e6 == 90 * E6
    # The first moved to its market's row, and only that is told.
    rig.market()
    rig.world.put_position(rig.positions, 28, 0, 0.0, generation=0)
    rig.hold(0, 100, 40.0)
    assert state.exposure.total_e6 == 90 * E6
    assert state.exposure.holdings[0].shares_e6[0] == 100 * E6


# ------------------------------------------------------------------------------- equity
def test_three_breaches_in_two_seconds_halt():
    rig = Rig()
    rig.hold(0, 1_000, 390.0)
    rig.market(bids=((3900, 2_000),), asks=((4000, 1_000),))
    rig.turn(S)
    assert rig.engine.equity.equity_e6 == 1_390 * E6
    rig.world.put_book(0, [(2000, 2_000)], [(4000, 1_000)])
    rig.turn(S // 2)
    rig.turn(S // 2)
    assert rig.pulled == []
    rig.turn(S // 2)
    assert rig.pulled == [(int(Rule.DRAWDOWN), b"drawdown")]
    assert rule(rig.decide(0, 10, 4000)) == Rule.DRAWDOWN
    assert rig.decide(0, 10, 2000, action=1).approved
    rig.turn(S // 2)
    assert len(rig.pulled) == 1


def test_one_bad_mark_is_no_drawdown():
    rig = Rig()
    rig.hold(0, 1_000, 390.0)
    rig.market(bids=((3900, 2_000),), asks=((4000, 1_000),))
    rig.turn(S)
    for bid in (2000, 3900, 2000, 3900, 3900, 3900, 2000, 3900):
        rig.world.put_book(0, [(bid, 2_000)], [(4000, 1_000)])
        rig.turn(S // 2)
    assert rig.pulled == []


def test_a_complete_set_is_worth_its_payout_whatever_the_bids_say():
    rig = Rig()
    event = {"event_id": b"\x07" * 32, "neg_risk": 1, "event_market_count": 2}
    for market in range(2):
        rig.hold(2 * market, 100, 47.0)
        rig.market(market, bids=((100, 10),), asks=((9000, 10),), **event)
    rig.turn(S)
    assert rig.engine.equity.equity_e6 == 1_100 * E6
    assert rig.engine.state.exposure.total_e6 == 0


def test_bankroll_is_taken_at_midnight_and_capped():
    rig = Rig(limits=LimitsParams(**FREE, bankroll_cap_e6=800 * E6))
    assert rig.engine.state.bankroll_e6 == 800 * E6
    rig.world.put_cash(rig.cash, 500.0)
    rig.report(ReportKind.ACK)
    rig.turn(S)
    assert rig.engine.state.bankroll_e6 == 800 * E6
    rig.turn(24 * 3_600 * S)
    rig.turn(S)
    assert rig.engine.state.bankroll_e6 == 500 * E6


def test_exposure_is_published():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.turn(MS)
    total = rig.exposure.record.unpack(rig.exposure.images[0])
    assert (total.worst_loss_e6, total.limit_e6) == (41_600_000, 500 * E6)
    rows = [rig.exposure.record.unpack(raw) for raw in rig.exposure.images[1:] if raw]
    assert [(row.market, row.worst_loss_e6) for row in rows] == [(0, 41_600_000)]


def test_reload_tightens_at_once():
    rig = Rig()
    rig.market()
    assert rig.decide(0, 100, 4000).approved
    rig.engine.reload(LimitsParams(**FREE, bankroll_cap_e6=500 * E6), 4)
    decision = rig.decide(0, 100, 4000)
    assert (rule(decision), decision.limit) == (Rule.MARKET_LIMIT, 25 * E6)
    assert decision.config_generation == 4


def test_decision_and_slot_of_a_lone_signal_wait_for_settle_and_no_longer():
    rig = Rig()
    rig.market()
    rig.market(1)
    (gate,) = [reader for reader in rig.signals.readers if reader.gate]
    rig.turn()
    rig.signal(0, 10, 4000)
    before, released = len(rig.decisions.records), gate.released
    assert rig.engine.advance(rig.world.advance(0)) == 1
    assert len(rig.intents.records) == 1
    assert (len(rig.decisions.records), gate.released) == (before, released)
    rig.engine.settle()
    rig.engine.settle()
    assert rig.rules == [("APPROVED", 1)]
    assert len(rig.decisions.records) == before + 2
    assert gate.released == released + 1
    # Whoever forgets to settle is settled by the next turn before it takes anything.
    rig.signal(2, 10, 4000)
    assert rig.engine.advance(rig.world.advance(0)) == 1
    assert rig.rules == [("APPROVED", 1)]
    assert rig.turn() == 0
    assert rig.rules == [("APPROVED", 1)] * 2
    assert gate.released == released + 2
