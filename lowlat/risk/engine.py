"""Turn signals into checked intents, and every signal into exactly one decision.

Run by the risk process, or fused between signals and executor. Per turn: market rows, reports,
then the signals there are: aggregated, ranked, checked in fixed order, sized, published. Never
waits; while the ledger is too far behind to take decisions, signals stay where they are.

Its parts::

    PlainPath  a turn, and signals that nothing stops    Decider    every other unit of signals
    Aggregator who wants what, whom it contradicts       LeftOvers  signals of before a restart
    Account    what is held and under way, from reports  Board      exposure and scores, published
    Exits      what is to be sold whatever modules say   Equity     marks, drawdown
"""

from collections.abc import Callable, Collection
from typing import Final

from lowlat.core.directory import MarketDirectory
from lowlat.core.layout import (
    RESET,
    SIGNAL,
    MarketRow,
    Reset,
    Rule,
    Writer,
    record_id,
)
from lowlat.core.ports import (
    EMPTY,
)
from lowlat.core.recovered import Recovered
from lowlat.risk._case import Case, CaseReader
from lowlat.risk._plain import PlainPath
from lowlat.risk._records import DecisionWriter, IntentSlot, Names
from lowlat.risk.account import Account, AccountPorts
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.board import Board
from lowlat.risk.crossing import Crossing
from lowlat.risk.deciding import Decide, Decider
from lowlat.risk.equity import Equity
from lowlat.risk.exits import Exits
from lowlat.risk.facts import END_UNKNOWN_NS, MarketFacts
from lowlat.risk.left_overs import LeftOvers
from lowlat.risk.limits import LimitsParams
from lowlat.risk.ports import RiskPorts
from lowlat.risk.resting import Resting
from lowlat.risk.state import RiskState

__all__ = ["RiskEngine"]

_SIGNALS_A_TURN: Final = 32
_S_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _S_NS
_HOUR_NS: Final = 3_600 * _S_NS
_SIGNAL_KIND: Final = SIGNAL.kind
_HALT_DRAWDOWN: Final = int(Rule.DRAWDOWN)


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
        self._decider = Decider(
            self.state,
            limits,
            config_generation,
            account=self.account,
            aggregator=self._aggregator,
            resting=self._resting,
            names=self._names,
            intents=self._intents,
            decisions=self._decisions,
            monotonic_ns=self._monotonic_ns,
            latency=self._latency,
            intents_sent=self._intents_sent,
        )
        self._decide: Decide = self._decider.decide
        self._second_ns = 0
        self._restarted = False
        self._recovered = recovered
        self._trusting = False
        self._left_overs = LeftOvers(
            ports, self.state, self._reader, self._decisions, self._aggregator
        )
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
        self._left_overs.read()
        # Intents of an older life may still be on their way: hear of them before adding to them.
        self._restarted = self._ports.intents.epoch > 1
        if self._restarted:
            self._ask_for_epoch(now_ns)
        self.account.restore(self._recovered.owned if self._recovered is not None else ())
        self._recovered = None
        if self.account.reconciled:
            self._trust_tables(now_ns)
        self._left_overs.drop(self._generation)
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
        self._decider.set_limits(limits, config_generation)
        self._generation = self._crossing.config_generation = config_generation
        self.equity.cap()

    def decide_through(self, around: Callable[[Decide], Decide]) -> None:
        """Leave no unit to the plain path; each goes through what ``around`` makes of the decider.

        For replays that ask what else could have been decided.
        """
        self.plain.plain = False
        self._decide = around(self._decide)

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
        if not aggregator.groups and not self._left_overs.left:
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

    # ------------------------------------------------------------------------------- the rest
    def _watch(self, now_ns: int, *, whole: bool = False) -> int:
        """Do what time asks for: marks, drawdown, orders nobody mentioned, exposure rows.

        Returns when there is more of it to do, though nothing changed.
        """
        state = self.state
        account = self.account
        equity = self.equity
        if self._left_overs.left:
            self._left_overs.end_some(self._generation)
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
