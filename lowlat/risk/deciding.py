"""Decide on one unit of signals: every check in order, one size for all legs, intents or a refusal.

Owned by the risk engine; also the oracle of the plain path. A unit is sent whole or not at all, and
each of its signals ends in one decision. Who comes before whom is the aggregator's business.
"""

from collections.abc import Callable
from math import lcm
from typing import Final

from lowlat.core.layout import IntentFlag, OrderType, Rule
from lowlat.core.ports import Cell, Recorder
from lowlat.core.units import E4, E6
from lowlat.risk._case import Case
from lowlat.risk._records import DecisionWriter, IntentSlot, Names
from lowlat.risk.account import Account
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.case import Unit
from lowlat.risk.checks import FINAL_CHECKS, LEG_CHECKS, UNIT_CHECKS
from lowlat.risk.checks.kelly import edge_e6
from lowlat.risk.limits import LimitsParams
from lowlat.risk.reservations import OwnOrder
from lowlat.risk.resting import Resting
from lowlat.risk.state import LEGS_MAX, RiskState, fee_bound_e6

__all__ = ["Decider"]

_CENT_E6: Final = 10_000
_FOK: Final = int(OrderType.FOK)
_FAK: Final = int(OrderType.FAK)
_GTC: Final = int(OrderType.GTC)
_POST_ONLY: Final = int(IntentFlag.POST_ONLY)
_REDUCE_ONLY: Final = int(IntentFlag.REDUCE_ONLY)


class Decider:
    """Turns a unit into intents and decisions."""

    def __init__(
        self,
        state: RiskState,
        limits: LimitsParams,
        config_generation: int,
        *,
        account: Account,
        aggregator: Aggregator,
        resting: Resting,
        names: Names,
        intents: IntentSlot,
        decisions: DecisionWriter,
        monotonic_ns: Callable[[], int],
        latency: Recorder,
        intents_sent: Cell,
    ) -> None:
        """``latency`` records from a signal's decision to its check, ``intents_sent`` counts."""
        self._state = state
        self._limits = limits
        self._generation = config_generation
        self._account = account
        self._aggregator = aggregator
        self._resting = resting
        self._names = names
        self._intents = intents
        self._decisions = decisions
        self._monotonic_ns = monotonic_ns
        self._latency = latency
        self._intents_sent = intents_sent

    def set_limits(self, limits: LimitsParams, config_generation: int) -> None:
        """Decide under these from here on."""
        self._limits = limits
        self._generation = config_generation

    def decide(self, unit: Unit, now_ns: int) -> None:
        """Run every check in order; send the unit or refuse all of it."""
        state = self._state
        cases = unit.cases
        for case in cases:
            for check in LEG_CHECKS:
                if check(case, state):
                    self._refuse(unit, case, now_ns)
                    return
        refused = self._size(unit)
        if refused is None:
            for final in FINAL_CHECKS:
                if final(unit, state):
                    refused = next(case for case in cases if case.rule)
                    break
        if refused is not None:
            self._refuse(unit, refused, now_ns)
            return
        self._send(unit, now_ns)

    def _size(self, unit: Unit) -> Case | None:
        """Bring all legs to one size that the money allows, and walk it; a refused leg or None."""
        state = self._state
        cases = unit.cases
        first = cases[0]
        state.common_step_e6 = first.facts.step_e6
        state.common_min_e6 = first.facts.min_size_e6
        if len(cases) > 1:
            if len(cases) > LEGS_MAX:
                first.refuse(Rule.GROUP_INCOMPLETE, LEGS_MAX, len(cases))
                return first
            state.common_step_e6 = _common_step(cases)
            state.common_min_e6 = max(case.facts.min_size_e6 for case in cases)
            self._level(cases)
        for check in UNIT_CHECKS:
            if check(unit, state):
                return next(case for case in cases if case.rule)
        if len(cases) > 1:
            self._level(cases)
        for case in cases:
            if self._settle_size(case):
                return case
        return None

    def _settle_size(self, case: Case) -> int:
        """Walk the leg at its final size; refuse what became too small."""
        state = self._state
        if case.size_e6 < state.common_min_e6 or not case.size_e6:
            return case.refuse(Rule.MIN_SIZE, state.common_min_e6, case.size_e6)
        walk = case.walk
        if walk is not None and walk.filled_e6 != case.size_e6:
            walk = case.walk = state.walk(case, case.size_e6)
            if not walk.complete:
                return case.refuse(Rule.DEPTH, walk.filled_e6, case.size_e6)
        least_e6 = self._limits.order_notional_e6_min
        if case.buys and _spend_e6(case) < least_e6:
            return case.refuse(Rule.MIN_SIZE, least_e6, _spend_e6(case))
        return 0

    def _level(self, cases: list[Case]) -> None:
        """Give all legs the size of the smallest; each keeps the rule that cut it most."""
        smallest = min(cases, key=_size)
        size_e6 = self._state.floor_size(smallest.size_e6, self._state.common_step_e6)
        for case in cases:
            if case.size_e6 > size_e6:
                rule = smallest.cut_rule or Rule.CUT
                case.cut(size_e6, rule, smallest.cut_limit, smallest.cut_was)

    def _refuse(self, unit: Unit, refused: Case, now_ns: int) -> None:
        """End every leg: the refused one by its rule, its siblings with it."""
        for case in unit.cases:
            if case is not refused:
                case.refuse(Rule.GROUP_INCOMPLETE, case.legs, refused.leg)
            self._decisions.refuse(case, now_ns, self._generation)

    # ------------------------------------------------------------------------------- sending
    def _send(self, unit: Unit, now_ns: int) -> None:
        """Hold the cash, publish the intents, then their decisions."""
        state = self._state
        checked_ns = self._monotonic_ns()
        cases = unit.cases
        if unit.group:
            reserve_e6 = 0
            for case in cases:
                reserve_e6 += -(-case.unwind_unit_e6 * case.size_e6 // E6)
            state.own.open_group(unit.group, len(cases), reserve_e6)
        state.outlay.take(sum(-(-case.unit_cost_e6 * case.size_e6 // E6) for case in cases))
        intents = [self._publish_intent(case, unit.group, checked_ns) for case in cases]
        self._aggregator.approved(unit, now_ns)
        for case, intent in zip(cases, intents, strict=True):
            self._decisions.approve(case, intent, checked_ns, self._generation)
            self._latency.record(max(1, checked_ns - case.decided_ns))

    def _publish_intent(self, case: Case, group: int, checked_ns: int) -> int:
        limits = self._limits
        intent = self._names.next_id()
        size_e6 = case.size_e6
        spend_e6 = 0
        flags = 0 if case.buys else _REDUCE_ONLY
        if case.immediate:
            walk = case.walk
            assert walk is not None, "an immediate order was not walked"
            price_e4 = walk.worst_price_e4
            touch_e4 = walk.touch_price_e4
            order_type = _FOK if group or limits.single_fill_or_kill else _FAK
            if case.buys:
                spend_e6 = _spend_e6(case)
        else:
            price_e4 = case.limit_price_e4
            touch_e4 = (
                case.view.best_ask_e4(case.outcome)
                if case.buys
                else case.view.best_bid_e4(case.outcome)
            )
            order_type = _GTC
            flags |= 0 if case.urgency else _POST_ONLY
            if not group:
                # A leg is the executor's to take back: nobody would ever ask about it here.
                self._resting.add(case, intent)
        expires_ns = min(case.expires_ns, checked_ns + limits.intent_life_ns_max)
        unwind_e6 = -(-case.unwind_unit_e6 * size_e6 // E6) if group else 0
        published = self._intents.write(
            case,
            intent,
            group,
            checked_ns,
            expires_ns,
            spend_e6,
            unwind_e6,
            price_e4,
            touch_e4,
            self._generation,
            order_type,
            flags,
        )
        assert published, "the intents gate closed between its check and the write"
        self._intents_sent.add(1)
        held_e6 = 0
        if case.buys:
            cash_e6 = spend_e6 or -(-price_e4 * size_e6 // E4)
            held_e6 = cash_e6 + fee_bound_e6(cash_e6, case.facts.rate_e6)
        self._account.fly(
            OwnOrder(
                intent,
                case.instrument,
                case.action,
                price_e4,
                size_e6,
                held_e6,
                group,
                expires_ns,
                case.holding,
                case.score,
                edge_e6(case),
            )
        )
        return intent


def _spend_e6(case: Case) -> int:
    """Return the dollars a BUY signs: walked cost floored to the cent, or size times limit."""
    walk = case.walk
    cost_e6: int = case.limit_price_e4 * case.size_e6 // E4 if walk is None else walk.cost_e6
    return cost_e6 - cost_e6 % _CENT_E6


def _common_step(cases: list[Case]) -> int:
    """Return the ladder step that suits every leg."""
    return lcm(*(case.facts.step_e6 for case in cases))


def _size(case: Case) -> int:
    size_e6: int = case.size_e6
    return size_e6
