"""Decide on one unit of signals: judge it, then intents or a refusal.

Owned by the risk engine; also the oracle of the plain path. A unit is sent whole or not at all, and
each of its signals ends in one decision. Who comes before whom is the aggregator's business.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.layout import IntentFlag, OrderType, Rule
from lowlat.core.ports import Cell, Recorder
from lowlat.core.units import E4, E6
from lowlat.risk._case import Case
from lowlat.risk._records import DecisionWriter, IntentSlot, Names
from lowlat.risk.account import Account
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.case import Unit
from lowlat.risk.checks.kelly import edge_e6
from lowlat.risk.judging import judge, spend_e6
from lowlat.risk.limits import LimitsParams
from lowlat.risk.reservations import OwnOrder
from lowlat.risk.resting import Resting
from lowlat.risk.state import RiskState, fee_bound_e6

__all__ = ["Decide", "Decider"]

Decide = Callable[[Unit, int], None]
"""What ends a unit, at a time."""

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
        refused = judge(unit, self._state)
        if refused is None:
            self._send(unit, now_ns)
        else:
            self._refuse(unit, refused, now_ns)

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
        signed_e6 = 0
        flags = 0 if case.buys else _REDUCE_ONLY
        if case.immediate:
            walk = case.walk
            assert walk is not None, "an immediate order was not walked"
            price_e4 = walk.worst_price_e4
            touch_e4 = walk.touch_price_e4
            order_type = _FOK if group or limits.single_fill_or_kill else _FAK
            if case.buys:
                signed_e6 = spend_e6(case)
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
            signed_e6,
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
            cash_e6 = signed_e6 or -(-price_e4 * size_e6 // E4)
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
