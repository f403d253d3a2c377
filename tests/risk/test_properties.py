"""Random signals, books, fills and time against an account kept by other code.

The oracle knows only what left on the streams: intents, decisions, and the reports the test wrote.
"""

from collections import defaultdict

from engine_fakes import MS, S
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_rig import Rig

from lowlat.core.layout import OrderState, ReportKind, Rule
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams

MARKETS = 4
RATE = 0.04

offsets = st.sampled_from([-1, 0, 0, 1, 1, 6])
"""Cents that a limit lies past the ask of its token."""
TIGHT = LimitsParams(duplicate_window_ns=0, bankroll_cap_e6=500 * E6, orders_per_s=1_000)
RUNGS = LimitsParams(
    duplicate_window_ns=50 * MS,
    orders_per_s=2,
    orders_burst=2,
    size_rungs_e6=(5 * E6, 10 * E6, 50 * E6),
)
CASH_ONLY = LimitsParams(
    duplicate_window_ns=0,
    orders_per_s=1_000,
    market_loss_max_ppm=1_000_000,
    correlated_loss_max_ppm=1_000_000,
    total_loss_max_ppm=1_000_000,
    cash_locked_max_ppm=1_000_000,
)
LIVE_REPORTS = {
    "sending": (ReportKind.SENDING, OrderState.SENDING),
    "ack": (ReportKind.ACK, OrderState.LIVE),
    "unknown": (ReportKind.UNKNOWN, OrderState.UNKNOWN),
}
signal_step = st.tuples(
    st.just("signal"),
    st.integers(0, 2 * MARKETS - 1),
    st.integers(4, 300),
    offsets,
    st.floats(0.5, 300) | st.floats(-1, 300),
    st.sampled_from([-5, 0, 20, 20, 20, 40]),
    st.sampled_from([2, 2, 2, 1, 0]),
    st.sampled_from([0, 1, 1, 1]),
)
group_step = st.tuples(
    st.just("group"),
    st.lists(st.integers(0, 2 * MARKETS - 1), min_size=2, max_size=4, unique=True),
    st.integers(4, 300),
    offsets,
    st.sampled_from([0, 0, 0, 1]),
)
book_step = st.tuples(
    st.just("book"), st.integers(0, MARKETS - 1), st.integers(4, 96), st.integers(1, 500)
)
report_step = st.tuples(
    st.just("report"), st.integers(0, 50), st.sampled_from(["fill", "part", "kill", *LIVE_REPORTS])
)
time_step = st.tuples(st.just("time"), st.sampled_from([1, MS, 50 * MS, S]))
steps = st.lists(
    st.one_of(signal_step, signal_step, signal_step, group_step, book_step, report_step, time_step),
    min_size=5,
    max_size=60,
)


class Oracle:
    """What may be lost, from the streams alone."""

    def __init__(self, cash):
        self.cash = cash
        self.open = {}
        self.cost = defaultdict(int)
        self.shares = defaultdict(int)

    def take(self, intent):
        spend = intent.spend_e6 or -(-intent.size_e6 * intent.limit_price_e4 // 10_000)
        held = 0 if intent.action else spend + int(spend * RATE)
        self.open[intent.id] = (intent, held)

    def loss(self, market):
        held = sum(held for intent, held in self.open.values() if intent.instrument >> 1 == market)
        paid = self.cost[2 * market] + self.cost[2 * market + 1]
        pairs = min(self.shares[2 * market], self.shares[2 * market + 1])
        return max(0, paid - pairs) + held


def rig_of(limits, *, slow):
    rig = Rig(markets=8, limits=limits, cash=400.0)
    rig.engine.plain.plain = not slow
    rig.engine.account.reports.plain = not slow
    return rig


def drive(plan, limits=TIGHT, *, slow=False):
    rig = rig_of(limits, slow=slow)
    asks = [40] * MARKETS

    def limit(instrument, offset):
        ask = asks[instrument >> 1]
        return 100 * min(99, max(1, (101 - ask if instrument & 1 else ask) + offset))

    for market in range(MARKETS):
        rig.market(market, correlation_id=9 if market < 2 else 0)
    oracle = Oracle(400 * E6)
    seen = 0
    sent = []
    group = 1
    for step in plan:
        kind = step[0]
        if kind == "signal":
            sent.append(wish(rig, step, limit(step[1], step[3])))
        elif kind == "group":
            group += 1
            sent += wish_group(rig, step, limit, group)
        elif kind == "book":
            _, market, ask, size = step
            asks[market] = ask
            rig.world.put_book(
                market, [((ask - 1) * 100, size)], [(ask * 100, size), ((ask + 1) * 100, size)]
            )
        elif kind == "report" and oracle.open:
            answer(rig, oracle, step)
        elif kind == "time":
            rig.world.advance(step[1])
            rig.world.shard()
        rig.turn()
        rig.executor_gate.at = len(rig.intents.records)
        rig.executor_gate.release()
        for intent in rig.intended[seen:]:
            oracle.take(intent)
        seen = len(rig.intended)
        yield rig, oracle, sent
    rig.turn(S)
    yield rig, oracle, sent


def wish(rig, step, limit_e4):
    _, instrument, size, _, value, life, urgency, mode = step
    return rig.signal(
        instrument,
        size,
        limit_e4,
        expected_value=value,
        expires_ns=rig.world.now + life * MS,
        urgency=urgency,
        mode=mode,
    )


def wish_group(rig, step, limit, group):
    _, legs, size, offset, missing = step
    each = rig.group(*((leg, size, limit(leg, offset)) for leg in legs), group=group)
    if missing:
        # The last leg never comes: its record is taken back.
        rig.signals.records.pop()
        each.pop()
    return each


def answer(rig, oracle, step):
    _, pick, what = step
    intent, held = list(oracle.open.values())[pick % len(oracle.open)]
    if what in LIVE_REPORTS:
        kind, state = LIVE_REPORTS[what]
        filled_e6 = E6 * (kind != ReportKind.SENDING)
        rig.report(kind, intent, state, reserved_e6=held, filled_e6=filled_e6)
        return
    del oracle.open[intent.id]
    if what == "kill" or intent.action:
        rig.report(ReportKind.REJECT, intent, OrderState.UNMATCHED)
        return
    share = 1.0 if what == "fill" else 0.5
    cost = int(held * share)
    size = int(intent.size_e6 * share) // E6
    oracle.cost[intent.instrument] += cost
    oracle.shares[intent.instrument] += size * E6
    oracle.cash -= cost
    rig.fill(intent, size, cost / E6)


@settings(max_examples=60)
@given(steps, st.sampled_from([TIGHT, CASH_ONLY]))
def test_no_limit_is_ever_exceeded_and_no_signal_forgotten(plan, limits):
    sent = []
    for rig, oracle, emitted in drive(plan, limits):
        sent = emitted
        bankroll = rig.engine.state.bankroll_e6
        losses = [oracle.loss(market) for market in range(MARKETS)]
        assert max(losses) <= bankroll * limits.market_loss_max_ppm // E6
        assert losses[0] + losses[1] <= bankroll * limits.correlated_loss_max_ppm // E6
        assert sum(losses) <= bankroll * limits.total_loss_max_ppm // E6
        held = sum(held for _, held in oracle.open.values())
        assert held + rig.engine.state.own.reserve_e6 <= oracle.cash
        # The engine's own books say the same as the oracle's.
        assert rig.engine.state.exposure.total_e6 == sum(losses)
    decisions = rig.decided
    assert sorted(each.signal for each in decisions) == sorted(each.id for each in sent)
    by_id = {each.id: each for each in sent}
    intents = {each.id: each for each in rig.intended}
    for decision in decisions:
        signal = by_id[decision.signal]
        if decision.approved:
            assert decision.checked_ns < signal.expires_ns
            assert signal.mode >= 1
            intent = intents.pop(decision.intent)
            assert intent.size_e6 == decision.size_e6 <= signal.size_suggestion_e6
            assert intent.size_e6 % E6 == 0
            assert intent.spend_e6 % 10_000 == 0
            if intent.action == 0:
                assert intent.limit_price_e4 <= signal.limit_price_e4
        else:
            assert decision.rule not in (Rule.APPROVED, Rule.CUT)
            assert decision.intent == 0
    assert intents == {}


@settings(max_examples=15)
@given(steps)
def test_same_inputs_same_bytes(plan):
    def run():
        for rig, _, _ in drive(plan):
            last = rig
        return last.intents.records, last.decisions.records, last.exposure.images

    assert run() == run()


@settings(max_examples=60)
@given(steps)
def test_groups_are_sent_whole_and_equal_or_not_at_all(plan):
    for rig, _, _ in drive(plan):
        last = rig
    groups = defaultdict(list)
    for intent in last.intended:
        if intent.group:
            groups[intent.group].append(intent)
    for legs in groups.values():
        assert [leg.leg for leg in legs] == list(range(legs[0].legs))
        assert len({leg.size_e6 for leg in legs}) == 1
        assert all(leg.unwind_reserve_e6 > 0 for leg in legs)


def account_of(rig):
    """All that risk counts, field by field."""
    exposure, own = rig.engine.state.exposure, rig.engine.state.own
    return {
        "sums": (exposure.total_e6, exposure.cost_e6, exposure.in_flight_e6, own.reserve_e6),
        "holdings": [
            (market, each.generation, each.cost_e6, each.held_loss_e6, each.in_flight_e6)
            for market, each in exposure.holdings.items()
        ],
        "shares": [
            (list(each.shares_e6), list(each.selling_e6), list(each.costs_e6))
            for _, each in exposure.holdings.items()
        ],
        "buckets": [
            (key, each.held_loss_e6, each.in_flight_e6) for key, each in exposure.buckets.items()
        ],
        "long": exposure.long_e6,
        "modules": [
            (each.module, each.cost_e6, each.in_flight_e6, each.damp_ppm, each.stopped)
            for each in rig.engine.state.scores.scores
        ],
        "stakes": [
            (key, each.size_e6, each.cost_e6, each.promised_e6)
            for key, each in rig.engine.state.scores.stakes.items()
        ],
        "promises": [(each.intent, each.promise_e6, each.score.module) for each in own],
        "room": rig.engine.state.outlay.room_e6(rig.world.now),
        "bets": [(key, each.loss_e6) for key, each in exposure.bets.items()],
        "orders": [
            (each.intent, each.price_e4, each.size_e6, each.held_e6, each.sent, each.filled)
            for each in own
        ],
        "groups": {key: (each.legs_open, each.filled) for key, each in own.groups.items()},
        "counts": rig.counts,
    }


@settings(max_examples=80)
@given(steps, st.sampled_from([TIGHT, CASH_ONLY, RUNGS]))
def test_the_plain_path_does_what_the_checks_and_the_account_do(plan, limits):
    for fast, slow in zip(drive(plan, limits), drive(plan, limits, slow=True), strict=True):
        assert fast[0].intents.records == slow[0].intents.records
        assert fast[0].decisions.records == slow[0].decisions.records
        assert fast[0].exposure.images == slow[0].exposure.images
        assert account_of(fast[0]) == account_of(slow[0])
