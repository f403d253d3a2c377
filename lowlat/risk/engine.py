"""Turn signals into checked intents, and every signal into exactly one decision.

Run by the risk process, or fused between signals and executor. Per turn: market rows, reports,
then the signals there are: aggregated, ranked, checked in fixed order, sized, published. Never
waits; while the ledger is too far behind to take decisions, signals stay where they are.
"""

from collections import deque
from collections.abc import Callable, Collection
from math import lcm
from typing import Any, Final, TypeVar

import msgspec

from lowlat.core.directory import MarketDirectory
from lowlat.core.layout import (
    DECISION,
    INTENT,
    RESET,
    SIGNAL,
    STREAMS,
    IntentFlag,
    IntentRecord,
    MarketRow,
    OrderType,
    RecordType,
    Reset,
    Rule,
    Writer,
    record_id,
)
from lowlat.core.ports import (
    EMPTY,
    Cell,
    Clock,
    Recorder,
    StreamReader,
    StreamWriter,
    TableReader,
    TableWriter,
)
from lowlat.core.recovered import Recovered
from lowlat.core.units import E4, E6
from lowlat.risk._case import Case, CaseReader
from lowlat.risk._plain import PlainPath
from lowlat.risk._records import DecisionWriter, IntentSlot, Names
from lowlat.risk.account import Account, AccountPorts
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.board import Board
from lowlat.risk.case import Unit
from lowlat.risk.checks import FINAL_CHECKS, LEG_CHECKS, UNIT_CHECKS
from lowlat.risk.checks.kelly import edge_e6
from lowlat.risk.crossing import Crossing
from lowlat.risk.equity import Equity
from lowlat.risk.exits import Exits
from lowlat.risk.facts import END_UNKNOWN_NS, MarketFacts
from lowlat.risk.limits import LimitsParams
from lowlat.risk.reservations import OwnOrder
from lowlat.risk.resting import Resting
from lowlat.risk.state import LEGS_MAX, RiskState, fee_bound_e6

__all__ = ["RiskEngine", "RiskPorts"]

R = TypeVar("R", bound=tuple[Any, ...])

_SIGNALS_A_TURN: Final = 32
_CENT_E6: Final = 10_000
_S_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _S_NS
_HOUR_NS: Final = 3_600 * _S_NS
_SIGNAL_KIND: Final = SIGNAL.kind
_FOK: Final = int(OrderType.FOK)
_FAK: Final = int(OrderType.FAK)
_GTC: Final = int(OrderType.GTC)
_POST_ONLY: Final = int(IntentFlag.POST_ONLY)
_REDUCE_ONLY: Final = int(IntentFlag.REDUCE_ONLY)
_HALT_DRAWDOWN: Final = int(Rule.DRAWDOWN)


class RiskPorts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine touches."""

    signals: StreamReader
    reports: StreamReader
    metadata: StreamReader
    books: TableReader
    shards: TableReader
    markets: TableReader
    positions: TableReader
    cash: TableReader
    orders: TableReader
    groups: TableReader
    intents: StreamWriter
    decisions: StreamWriter
    exposure: TableWriter
    scores: TableWriter
    stakes: TableWriter
    clock: Clock
    halted: Callable[[], int]
    """Code of a halt cell that is set, 0 while none is."""
    pull_halt: Callable[[int, bytes], None]
    """Set risk's own halt cell: (code, reason)."""
    cell: Callable[[str], Cell]
    recorder: Callable[[str], Recorder]
    decided: StreamReader | None = None
    """The end of our own decisions, as an earlier life left them; read once, at the start."""
    intended: StreamReader | None = None
    """The end of our own intents, likewise."""
    decisions_reserve: int = STREAMS["decisions"].slots // 2


class RiskEngine:
    """Signals in, intents and decisions out."""

    name = "risk"

    def __init__(
        self,
        ports: RiskPorts,
        limits: LimitsParams,
        config_generation: int = 0,
        *,
        modules: Collection[str] | None = None,
        recovered: Recovered | None = None,
    ) -> None:
        """``modules``: those that are not off; what others own is orphaned. None: not known.

        ``recovered``: what the journal says, for a start without shared memory.
        """
        limits.validate()
        self._ports = ports
        self._limits = limits
        self._generation = config_generation
        self._directory = MarketDirectory(ports.markets, ports.metadata)
        self._aggregator = Aggregator(self._hours_to_end, self._hand_over)
        self.state = RiskState(
            limits,
            ports.books,
            ports.shards,
            ports.intents.free,
            ports.decisions.free,
            ports.decisions_reserve,
        )
        self.account = Account(
            self.state,
            AccountPorts(
                reports=ports.reports,
                positions=ports.positions,
                cash=ports.cash,
                orders=ports.orders,
                groups=ports.groups,
                stakes=ports.stakes,
                cell=ports.cell,
            ),
        )
        self._resting = Resting(self.state.own)
        self.equity = Equity(self.state, self.account.stakes.worth_e6)
        self.board = Board(self.state, self.equity, ports.exposure, ports.scores, ports.cell)
        self.state.scores.set_at_work(modules)
        self._clock = ports.clock
        self._monotonic_ns = ports.clock.monotonic_ns
        self._signals = ports.signals
        self._reader = CaseReader(ports.signals.buffer)
        self._names = Names(ports.decisions.epoch)
        self._exits = Exits(self.state, self._names)
        self._intents = IntentSlot(ports.intents)
        self._decisions = DecisionWriter(ports.decisions, self._names, ports.cell)
        self._crossing = Crossing(
            self.state,
            self.account.stakes,
            self._decisions,
            self._monotonic_ns,
            ports.halted,
            self.board.publish_scores,
            config_generation,
        )
        self._latency = ports.recorder("risk.check_ns")
        self._intents_sent = ports.cell("risk.intents")
        self._second_ns = 0
        self._restarted = False
        self._recovered = recovered
        self._trusting = False
        self._left_overs: deque[Case] = deque()
        """Signals of before this life that are not ended yet. The gate stays shut for them."""
        self._decided_before: set[int] = set()
        self._intended_before: dict[int, IntentRecord] = {}
        self._epoch_id = record_id(Writer.RISK, ports.intents.epoch, 0)
        self._started_ns = 0
        self.plain = PlainPath(
            ports,
            self.state,
            limits,
            config_generation,
            aggregator=self._aggregator,
            directory=self._directory,
            names=self._names,
            intents=self._intents,
            decisions=self._decisions,
            reports=self.account.reports,
            reader=self._reader,
            latency=self._latency,
            intents_sent=self._intents_sent,
            take_markets=self._take_markets,
            take_more=self._take_more,
            watch=self._watch,
        )
        # Bound once: whoever pumps calls compiled code without a Python frame in between.
        self.turn: Callable[[int], int] = self.plain.turn
        """Take what is new and decide on it; return how much was done."""
        self.advance: Callable[[int], int] = self.plain.advance
        """Do what ``turn`` does but for records that no order has to wait for."""
        self.settle: Callable[[], None] = self.plain.settle
        """Write what ``advance`` left, before the next input is taken."""

    # ------------------------------------------------------------------------------- engine
    def start(self) -> None:
        """Rebuild from tables and reports as far as they go; drop what was left in the ring."""
        now_ns = self._clock.monotonic_ns()
        self._started_ns = self._second_ns = self.state.now_ns = now_ns
        self.state.wall_offset_ns = self._clock.wall_ns() - now_ns
        self.state.exposure.set_horizon(self.state.wall_ns + self._limits.long_horizon_ns)
        self.board.restore(self._recovered)
        self.state.halt_code = self._ports.halted()
        for row in self._directory.start():
            self._take_market(row)
        # Before anything is published: a full ring's oldest records go with the next one, and a
        # reader that was overtaken finds only the newest.
        self._decided_before = {each.signal for each in _records(self._ports.decided, DECISION)}
        self._intended_before = {
            each.signal: each for each in _records(self._ports.intended, INTENT)
        }
        # Intents of an older life may still be on their way: hear of them before adding to them.
        self._restarted = self._ports.intents.epoch > 1
        if self._restarted:
            self._ask_for_epoch(now_ns)
        self.account.restore(self._recovered.owned if self._recovered is not None else ())
        self._recovered = None
        if self.account.reconciled:
            self._trust_tables(now_ns)
        self._drop_left_overs()
        self._watch(now_ns, whole=True)

    def _trust_tables(self, now_ns: int) -> None:
        """Count in what the executor's tables hold, then the reports behind them.

        After a reboot that is not at the start: the executor fills its tables from the journal,
        without a report for what does not move, and only then says that it has reconciled.
        """
        self._trusting = True
        self.account.believe_tables(now_ns)
        self._resting.restore(self._ports.orders)
        while self.account.reports.take(now_ns):
            pass
        self.account.level_stakes()

    def _ask_for_epoch(self, now_ns: int) -> None:
        """Say that a new life begins: the executor answers once it took all that came before.

        With a full stream or a dead executor there is no answer: old intents expire then.
        """
        intents = self._ports.intents
        name = record_id(Writer.RISK, intents.epoch, intents.cursor)
        RESET.pack(intents.buffer, Reset(name, now_ns, intents.epoch - 1, 0))
        intents.publish(RESET.kind)

    def close(self) -> None:
        """Publish the exposure as it stands."""
        self.settle()
        while self.board.publish():
            pass
        self.board.publish_scores()

    def reload(
        self,
        limits: LimitsParams,
        config_generation: int,
        modules: Collection[str] | None = None,
    ) -> None:
        """Swap every limit at once; decisions carry the generation they were made under."""
        limits.validate()
        self.settle()
        self._limits = limits
        self.state.set_limits(limits)
        self.state.scores.set_at_work(modules)
        self.state.exposure.set_horizon(self.state.wall_ns + limits.long_horizon_ns)
        self.plain.set_limits(limits, config_generation)
        self._generation = self._crossing.config_generation = config_generation
        self.equity.cap()

    def resume(self) -> None:
        """Lift a drawdown halt because a person asked; the next drawdown counts from here."""
        self.state.drawdown_halted = False
        self.equity.rebase()

    # ------------------------------------------------------------------------------- inputs
    def _take_markets(self, kind: int) -> int:
        """Take the market rows that are due; return how many changed."""
        rows = self._directory.take(kind)
        for row in rows:
            self._take_market(row)
        return len(rows)

    def _hours_to_end(self, market: int) -> float:
        """Return for how long money in a market is locked; a minute at least."""
        facts = self.state.facts.get(market)
        end_ns = END_UNKNOWN_NS if facts is None else facts.end_ns
        return max(_MINUTE_NS, end_ns - self.state.wall_ns) / _HOUR_NS

    def _take_market(self, row: MarketRow) -> None:
        facts = MarketFacts(row, self.state.wall_ns)
        self.state.facts[row.market] = facts
        self.account.take_market(facts)

    def _take_more(self, kind: int, done: int, room: int, now_ns: int) -> int:
        """Take the rest of the batch, decide on all of it, give back slots that are decided."""
        signals = self._signals
        aggregator = self._aggregator
        most = min(room, _SIGNALS_A_TURN)
        while kind != EMPTY:
            if kind == _SIGNAL_KIND:
                aggregator.take(self._reader.case(), now_ns)
            done += 1
            if done >= most:
                break
            kind = signals.poll()
        if done:
            aggregator.drop_epochs(signals.epoch)
        if aggregator.take_backs:
            self._take_back()
        limits = self._limits
        units = aggregator.ranked(now_ns, limits)
        if units:
            self.state.halt_code = self._ports.halted()
            for unit in units:
                if not aggregator.veto(unit, now_ns, limits):
                    self._decide(unit, now_ns)
        done += self._end_refused(now_ns)
        if not aggregator.groups and not self._left_overs:
            signals.release()
        return done

    def _take_back(self) -> None:
        """Cancel what modules no longer want to rest; halts and limits are no reason not to."""
        for case in self._aggregator.take_backs:
            resting = self._resting.of(case)
            checked_ns = self._monotonic_ns()
            room = self._ports.intents.free()
            if room < len(resting):
                case.refuse(Rule.NO_ROOM, room, len(resting))
                self._decisions.refuse(case, checked_ns, self._generation)
                continue
            first = 0
            for target in resting:
                intent = self._names.next_id()
                first = first or intent
                self._intents.take_back(case, intent, target, checked_ns, self._generation)
                self._intents_sent.add(1)
            self._decisions.approve(case, first, checked_ns, self._generation)
        self._aggregator.take_backs.clear()

    def _hand_over(self, one: Case, two: Case) -> bool:
        return self._crossing.hand_over(one, two)

    def _end_refused(self, now_ns: int) -> int:
        """Write the decisions of what the aggregator refused; return how many."""
        refused = self._aggregator.refused
        if not refused:
            return 0
        for case in refused:
            self._decisions.refuse(case, now_ns, self._generation)
        done = len(refused)
        refused.clear()
        return done

    def _drop_left_overs(self) -> None:
        """End every signal that came before this life of risk, and that it had not ended.

        Those whose decisions find no room are ended as room comes, before anything else is judged.
        """
        signals = self._ports.signals
        while signals.poll() == _SIGNAL_KIND:
            self._left_overs.append(self._reader.case())
        self._end_left_overs()

    def _end_left_overs(self) -> None:
        """End as many as there is room for; their slots are given back behind the last."""
        left = self._left_overs
        while left and self._decisions.free(2) > 1:
            self._end_left_over(left.popleft())
        if not left and not self._aggregator.groups:
            self._ports.signals.release()

    def _end_left_over(self, case: Case) -> None:
        """End a signal of before as what it was: decided, sent, or neither."""
        if case.id in self._decided_before:
            # Its decision was published, then death came before the slot was given back.
            return
        intent = self._intended_before.get(case.id)
        if intent is None:
            case.refuse(Rule.DROPPED_EPOCH, self._ports.decisions.epoch, case.epoch)
            self._decisions.refuse(case, self.state.now_ns, self._generation)
            return
        # Death came between the intent and its decision: its order may have left.
        case.size_e6 = intent.size_e6
        self._decisions.approve(case, intent.id, intent.checked_ns, intent.config_generation)

    # ------------------------------------------------------------------------------- deciding
    def _decide(self, unit: Unit, now_ns: int) -> None:
        """Run every check in order; send the unit or refuse all of it."""
        state = self.state
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
        state = self.state
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
        state = self.state
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
        size_e6 = self.state.floor_size(smallest.size_e6, self.state.common_step_e6)
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
        state = self.state
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
        self.account.fly(
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

    # ------------------------------------------------------------------------------- the rest
    def _watch(self, now_ns: int, *, whole: bool = False) -> int:
        """Do what time asks for: marks, drawdown, orders nobody mentioned, exposure rows.

        Returns when there is more of it to do, though nothing changed.
        """
        state = self.state
        account = self.account
        equity = self.equity
        if self._left_overs:
            self._end_left_overs()
        elif state.waiting and account.reconciled:
            if not self._trusting:
                self._trust_tables(now_ns)
            self._open_gate(now_ns)
        if now_ns - self._second_ns >= _S_NS:
            self._second_ns = now_ns
            state.wall_offset_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
            state.exposure.set_horizon(state.wall_ns + state.limits.long_horizon_ns)
            account.look_for_lost(now_ns)
            self._sell_what_is_due(now_ns)
        next_ns = self._second_ns + _S_NS
        if account.reconciled:
            wall_ns = now_ns + state.wall_offset_ns
            passes = equity.passes
            if equity.step(now_ns, wall_ns, whole=whole or not equity.passes):
                self._halt_after_drawdown()
            next_ns = min(next_ns, equity.due_ns)
            if equity.passes != passes:
                self.board.publish_scores()
        self.board.publish()
        return next_ns

    def _sell_what_is_due(self, now_ns: int) -> None:
        """Decide on exits as on signals. What the plain path left is written first."""
        units = self._exits.due(now_ns)
        if not units:
            return
        self.settle()
        self.state.halt_code = self._ports.halted()
        for unit in units:
            if self._ports.intents.free() and self._decisions.free(2) > 1:
                self._decide(unit, now_ns)
                self._exits.ended(unit, now_ns)

    def _halt_after_drawdown(self) -> None:
        if not self.state.drawdown_halted:
            self.state.drawdown_halted = True
            self._ports.pull_halt(_HALT_DRAWDOWN, b"drawdown")

    def _open_gate(self, now_ns: int) -> None:
        """Open the gate once the account is known and old intents can no longer be sent."""
        heard = self.account.epoch_seen == self._epoch_id
        over = now_ns - self._started_ns > self._limits.intent_life_ns_max
        if not self._restarted or heard or over:
            self.state.waiting = False


def _records(reader: StreamReader | None, record: RecordType[R]) -> list[R]:
    """Return the records of one kind that a stream holds from where its reader stands."""
    found: list[R] = []
    kind = EMPTY if reader is None else reader.poll()
    while reader is not None and kind != EMPTY:
        if kind == record.kind:
            found.append(record.unpack(reader.buffer))
        kind = reader.poll()
    return found


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
