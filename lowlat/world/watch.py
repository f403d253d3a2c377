"""What must hold, whatever happens: looked at after every step, when quiet, and at the end.

Reads the instance's streams and tables as any outsider would, the venue's own books, and every
request at the moment its bytes leave. Nothing here is shared with the engines.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.layout import (
    CASH_ROW,
    DECISION,
    INTENT,
    REPORT,
    SIGNAL,
    SLOT_HEAD_BYTES,
    STREAMS,
    DecisionRecord,
    GroupState,
    IntentFlag,
    IntentRecord,
    OrderState,
    ReportKind,
    ReportRecord,
    SignalRecord,
    Writer,
)
from lowlat.core.ports import EMPTY, OVERRUN, StreamReader
from lowlat.risk.limits import LimitsParams
from lowlat.sim.accounts import Account
from lowlat.sim.ladder import Order
from lowlat.sim.listener import Listener
from lowlat.sim.trades import Trade
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.store.journal_state import read_journal
from lowlat.world.departures import Departures
from lowlat.world.memory import Memory
from lowlat.world.recorder import Recorder
from lowlat.world.rows import Rows, Violation

__all__ = ["Books", "Watch"]

_WRITER_SHIFT: Final = 56
"""Of the number that a record's id begins with."""
_OPEN_GROUPS: Final = (GroupState.OPEN, GroupState.UNWINDING)
_GROUP_GRACE_NS: Final = 4_000_000_000
"""Two seconds to unwind, and what a look at the venue may take."""
_UNKNOWN_GRACE_NS: Final = 60_000_000_000
"""While a leg's outcome is unknown nobody can say more: canceled by id and looked up, 30 s."""
_COUNT_NS: Final = 1_000_000_000
_STREAMS: Final = tuple(name for name in STREAMS if not name.startswith("frames"))
_RECORDED: Final = {"reports": REPORT.kind, "decisions": DECISION.kind}
"""What the recorder's gate holds, by stream: the kind of record that must be written down."""
_GATED: Final = frozenset(name for name in STREAMS if STREAMS[name].gates)


class Books(msgspec.Struct, frozen=True):
    """One side's word about the account; only what is not zero."""

    cash_e6: int
    tokens_e6: dict[str, int]


class Watch(Listener):
    """All rules over one world."""

    def __init__(
        self, venue: Venue, now_ns: Callable[[], int], allowed: LimitsParams, bankroll_e6: int
    ) -> None:
        """``bankroll_e6``: the most it can be; limits are shares of it."""
        self.departures = Departures(allowed, bankroll_e6, lambda: venue.now_ns)
        self._venue = venue
        self._now_ns = now_ns
        self._hash = hashlib.blake2b(digest_size=16)
        self.counts: Counter[str] = Counter()
        self.rules: Counter[int] = Counter()
        self.owner = ""
        """API key of the account."""
        self._gated_taps: list[tuple[str, StreamReader]] = []
        self._market_taps: list[tuple[str, StreamReader]] = []
        self._undecided: dict[int, str] = {}
        self._decided: dict[int, int] = {}
        self._intended: dict[int, int] = {}
        """Of each intent that may become an order: its signal."""
        self._approved: dict[int, int] = {}
        """Of each signal that was approved: the intent that its decision names."""
        self._doubt_ns: dict[int, int] = {}
        """When each open group was last seen with an order nobody knows the fate of."""
        self._count_due_ns = 0
        self.due = True
        """Whether engines ran since the last look: only they publish."""
        self._memory: Memory | None = None
        self._recorder: Recorder | None = None
        self._unreleased: dict[str, deque[tuple[int, int]]] = {}
        """Of each stream the recorder reads: (position, id) of what its gate has not passed."""
        venue.exchange.listeners.append(self)

    # ------------------------------------------------------------------ boots
    def attach(self, memory: Memory, recorder: Recorder) -> None:
        """Watch the memory of a new boot: what the last one left undecided is gone with it."""
        self._memory = memory
        self._recorder = recorder
        self._unreleased = {name: deque() for name in _RECORDED}
        taps = [(name, memory.stream(name).reader()) for name in _STREAMS]
        self._gated_taps = [each for each in taps if each[0] in _GATED]
        self._market_taps = [each for each in taps if each[0] not in _GATED]
        self._orders = Rows(memory, "orders")
        self._groups = Rows(memory, "groups")
        self._positions = Rows(memory, "positions")
        self.departures.attach(memory, self._orders, self._positions)
        self._undecided.clear()
        self._decided.clear()
        self._intended.clear()
        self._approved.clear()
        self._doubt_ns.clear()

    @property
    def digest(self) -> str:
        """Hash of every record published and every request sent so far."""
        return self._hash.hexdigest()

    # ------------------------------------------------------------------ every step
    def look(self) -> None:
        """Take in what was published of money since the last look."""
        self.due = False
        for name, tap in self._gated_taps:
            kind = tap.poll()
            while kind != EMPTY:
                self._keep(name, kind, tap)
                self._take(kind, tap.buffer)
                if kind == _RECORDED.get(name):
                    number = int.from_bytes(
                        tap.buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + 8], "little"
                    )
                    self._unreleased[name].append((tap.position - 1, number))
                kind = tap.poll()

    def _look_at_markets(self) -> None:
        """Take in the rest, for the digest only: its streams hold far more than comes meanwhile."""
        for name, tap in self._market_taps:
            kind = tap.poll()
            while kind != EMPTY:
                self._keep(name, kind, tap)
                kind = tap.poll()

    def _keep(self, name: str, kind: int, tap: StreamReader) -> None:
        if kind == OVERRUN:
            raise Violation(f"stream {name} lapped the watcher by {tap.lost} records")
        self._hash.update(tap.buffer)

    def _take(self, kind: int, buffer: memoryview) -> None:
        if kind == SIGNAL.kind:
            signal: SignalRecord = SIGNAL.unpack(buffer)
            self.counts["signals"] += 1
            if signal.id in self._undecided or signal.id in self._decided:
                raise Violation(f"signal {signal.id:#x} was published twice")
            self._undecided[signal.id] = signal.module.rstrip(b"\0").decode()
        elif kind == DECISION.kind:
            self._take_decision(DECISION.unpack(buffer))
        elif kind == INTENT.kind:
            intent: IntentRecord = INTENT.unpack(buffer)
            if intent.id in self._intended:
                raise Violation(f"intent {intent.id:#x} was published twice")
            if not intent.intent_flags & IntentFlag.CANCEL:
                self._intended[intent.id] = intent.signal
        elif kind == REPORT.kind:
            report: ReportRecord = REPORT.unpack(buffer)
            if report.kind == ReportKind.SENDING:
                self._look_at_wish(report)
            self.counts[f"report {ReportKind(report.kind).name.lower()}"] += 1
            if report.kind == ReportKind.GROUP:
                self.counts[f"group {GroupState(report.group_state).name.lower()}"] += 1

    def _take_decision(self, decision: DecisionRecord) -> None:
        self.counts["decisions"] += 1
        self.rules[decision.rule] += 1
        first = self._decided.get(decision.signal)
        if first is not None:
            raise Violation(
                f"signal {decision.signal:#x} was decided twice: by rules {first} and "
                f"{decision.rule}"
            )
        if self._undecided.pop(decision.signal, None) is None:
            raise Violation(f"decision {decision.id:#x} names signal {decision.signal:#x}: none")
        self._decided[decision.signal] = decision.rule
        if decision.approved:
            self._approved[decision.signal] = decision.intent

    def _look_at_wish(self, report: ReportRecord) -> None:
        """Look that an order of risk's was wished for in this boot."""
        if report.intent >> _WRITER_SHIFT == Writer.RISK and report.intent not in self._intended:
            raise Violation(f"order {report.intent:#x} is sent and no intent is called so")

    # ------------------------------------------------------------------ every request
    def sent(self, raw: bytes, request: Request, urgent: bool) -> None:
        """Look at a request whose bytes leave now."""
        self._hash.update(raw)
        self.counts["requests"] += 1
        self.look()
        for row in self.departures.leave(request, urgent=urgent):
            self.counts["orders"] += 1
            self.counts["unwinds"] += bool(row.order_flags & IntentFlag.UNWIND)

    # ------------------------------------------------------------------ now and then
    def look_around(self, ready_since_ns: int) -> None:
        """Look at tables, gates and the venue's money. ``ready_since_ns`` 0: the engine is down."""
        self._count_money()
        self._look_at_markets()
        assert self._memory is not None, "watching nothing"
        for stream, gate, reader in self._memory.gates:
            if reader.lost:
                raise Violation(f"gate {gate} of {stream} lost {reader.lost} records")
        self._look_at_recorder()
        self.departures.losses.look(self._now_ns(), ready_since_ns)
        if ready_since_ns:
            self._look_at_groups(ready_since_ns)

    def _count_money(self) -> None:
        """Count the venue's money anew; after each event it has proven itself by what moved."""
        now_ns = self._now_ns()
        if now_ns < self._count_due_ns:
            return
        self._count_due_ns = now_ns + _COUNT_NS
        accounts = self._venue.exchange.accounts
        try:
            accounts.audit()
            accounts.audit_tokens()
        except AssertionError as error:
            raise Violation(f"money is not conserved: {error}") from error

    def _look_at_recorder(self) -> None:
        """Look that what the recorder's gates let go of is written down."""
        memory, recorder = self._memory, self._recorder
        assert memory is not None, "watching nothing"
        assert recorder is not None, "watching nobody"
        self.look()
        written = {
            "reports": recorder.shelf.reports(recorder.name),
            "decisions": recorder.shelf.decisions(recorder.name),
        }
        for name, waiting in self._unreleased.items():
            released = memory.stream(name).released("ledger")
            while waiting and waiting[0][0] < released:
                position, number = waiting.popleft()
                if number not in written[name]:
                    raise Violation(
                        f"the ledger's gate passed record {number:#x} of {name} at {position} "
                        f"before it was written down"
                    )

    def all_written(self) -> bool:
        """Look whether everything published is written down; what is refused comes to the last."""
        self._look_at_recorder()
        return not any(self._unreleased.values())

    def _look_at_groups(self, ready_since_ns: int) -> None:
        now_ns = self._now_ns()
        orders = self._orders.read()
        doubtful = (OrderState.SENDING, OrderState.UNKNOWN)
        unknown = {order.group for order in orders if order.state in doubtful}
        for row in self._groups.read():
            if row.state == GroupState.NAKED:
                # It goes on once its unwind that nobody heard of is known: not before.
                self._doubt_ns[row.id] = now_ns
            if row.state not in _OPEN_GROUPS:
                continue
            due_ns = max(row.deadline_ns, ready_since_ns)
            if row.id in unknown:
                self._doubt_ns[row.id] = now_ns
                grace_ns = _UNKNOWN_GRACE_NS
            else:
                # What became known late can be acted on no sooner.
                due_ns = max(due_ns, self._doubt_ns.get(row.id, 0))
                grace_ns = _GROUP_GRACE_NS
            late_ns = now_ns - due_ns
            if late_ns > grace_ns:
                raise Violation(
                    f"group {row.id:#x} is {GroupState(row.state).name} {late_ns / 1e9:.1f} s "
                    f"past its deadline"
                )

    # ------------------------------------------------------------------ quiet
    def engine_books(self) -> Books:
        """Return the account as the engine's tables say."""
        assert self._memory is not None, "watching nothing"
        cash = self._memory.open_table_reader("cash")
        if cash.read(0) <= 0:
            raise Violation("the engine is ready and has no cash row")
        tokens: dict[str, int] = {}
        for row in self._positions.read():
            if row.size_e6:
                token = str(int.from_bytes(row.token_id, "big"))
                tokens[token] = tokens.get(token, 0) + row.size_e6
        return Books(CASH_ROW.unpack(cash.buffer).cash_e6, tokens)

    def venue_books(self, account: Account) -> Books:
        """Return the account as the venue says, what is still to be mined included."""
        markets = self._venue.exchange.markets
        sums: Counter[int] = Counter(account.tokens_e6)
        sums.update(account.tokens_pending_e6)
        tokens = {markets[i >> 1].tokens[i & 1]: size for i, size in sums.items() if size}
        return Books(account.cash_e6 + account.cash_pending_e6, tokens)

    def compare(self, account: Account) -> None:
        """Both sides agree to the base unit."""
        ours, theirs = self.engine_books(), self.venue_books(account)
        if ours.cash_e6 != theirs.cash_e6:
            raise Violation(f"cash: engine {ours.cash_e6}, venue {theirs.cash_e6}")
        for token in sorted(ours.tokens_e6.keys() | theirs.tokens_e6.keys()):
            held, theirs_e6 = ours.tokens_e6.get(token, 0), theirs.tokens_e6.get(token, 0)
            if held != theirs_e6:
                raise Violation(f"token {token[:12]}…: engine {held}, venue {theirs_e6}")
        still_open = self._venue.exchange.open_of.get(self.owner, {})
        if still_open:
            raise Violation(f"at rest, but {len(still_open)} orders are open at the venue")

    def end(self) -> None:
        """Every signal has ended, and all that happened is written down and adds up."""
        self._look_at_recorder()
        for name, waiting in self._unreleased.items():
            if waiting:
                raise Violation(f"{len(waiting)} records of {name} were never written down")
        self._compare_ledger()
        for intent, signal in self._intended.items():
            if self._approved.get(signal) != intent:
                raise Violation(f"intent {intent:#x} left and signal {signal:#x} was not approved")
        if self._undecided:
            first = next(iter(self._undecided))
            raise Violation(
                f"{len(self._undecided)} signals were never decided, first {first:#x} of "
                f"{self._undecided[first]}"
            )

    def _compare_ledger(self) -> None:
        """Look that the journal says what the tables say, and that the ledger's sums hold."""
        assert self._recorder is not None, "watching nobody"
        kept = read_journal(self._recorder.directory)
        if kept is None or kept.cash is None:
            raise Violation("the engine is ready and the journal has no cash")
        ours = self.engine_books()
        tokens = {
            str(int.from_bytes(row.token_id, "big")): row.size_e6
            for row in kept.positions
            if row.size_e6
        }
        if (kept.cash.cash_e6, tokens) != (ours.cash_e6, ours.tokens_e6):
            raise Violation(
                f"journal: cash {kept.cash.cash_e6}, engine {ours.cash_e6}; tokens that differ: "
                f"{sorted(tokens.items() ^ ours.tokens_e6.items())[:4]}"
            )
        shelf = self._recorder.shelf
        self.counts["ledgers"] += shelf.database is not None
        for difference in shelf.differences():
            raise Violation(f"ledger: {difference}")

    # ------------------------------------------------------------------ the exchange's listener
    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """No trade has us on both sides."""
        del now_ns
        if trade.status == "MATCHED" and trade.taker.owner == self.owner:
            self.counts["fills"] += 1
            if any(fill.order.owner == self.owner for fill in trade.fills):
                raise Violation(f"trade {trade.id} crossed our own order")

    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """No order of ours that we did not send."""
        del kind, status, now_ns
        if order.owner == self.owner and order.id not in self.departures.known:
            raise Violation(f"the venue has order {order.id} of ours that never left")
