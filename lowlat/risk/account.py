"""The account as the executor's tables and reports tell it: positions, cash, orders, groups.

Run by RiskEngine. The tables are the truth (the executor writes them before it reports); a report
says which row to look at. At a restart: the tables, then the reports from their position.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from lowlat.core.instruments import unlisted_markets
from lowlat.core.layout import (
    CASH_ROW,
    GROUP_ROW,
    ORDER_ROW,
    POSITION_ROW,
    REPORT,
    SLOT_HEAD_BYTES,
    Action,
    GroupState,
    OrderRow,
    PositionRow,
    ReportKind,
    Rule,
)
from lowlat.core.ports import READ_BUSY, Cell, StreamReader, TableReader, TableWriter
from lowlat.core.recovered import Owned
from lowlat.risk._reports import ReportReader
from lowlat.risk.exposure import Holding
from lowlat.risk.facts import MarketFacts
from lowlat.risk.reservations import TERMINAL, OwnOrder
from lowlat.risk.stakes import Moved, StakeBook
from lowlat.risk.state import RiskState

__all__ = ["Account", "AccountPorts"]

_HEAD: Final = struct.Struct("<QQQQ8x32x16xiIIHBBqqqqqqqBBBBI16s")
"""REPORT up to and with its module name; at_ns and the venue's ids are skipped."""
assert (_HEAD.size + SLOT_HEAD_BYTES) in [
    field.offset for field in REPORT.fields if field.name == "trade_text"
]

_MOVES_SHARES: Final = frozenset(
    {
        ReportKind.FILL,
        ReportKind.MINED,
        ReportKind.CONFIRMED,
        ReportKind.FAILED,
        ReportKind.REDEEMED,
        ReportKind.RECONCILED,
    }
)
_ABOUT_ORDERS: Final = frozenset(
    {
        ReportKind.SENDING,
        ReportKind.ACK,
        ReportKind.REJECT,
        ReportKind.FILL,
        ReportKind.MINED,
        ReportKind.CONFIRMED,
        ReportKind.FAILED,
        ReportKind.CANCELED,
        ReportKind.UNKNOWN,
        ReportKind.RESOLVED_UNKNOWN,
    }
)
_GROUP_ENDED: Final = frozenset(
    {GroupState.COMPLETE, GroupState.UNWOUND, GroupState.FLAT, GroupState.NAKED}
)
_FILLS: Final = frozenset({ReportKind.FILL, ReportKind.FAILED})
_SAYS_POSITION: Final = frozenset({ReportKind.REDEEMED, ReportKind.RECONCILED})
_SELL: Final = int(Action.SELL)
_NO_ROOM: Final = int(Rule.NO_ROOM)
_FULL_NS: Final = 1_000_000_000
"""How long nothing new is approved once the executor had no room: then one wish looks again."""


class AccountPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The executor's output, and the table of who owns what of it, which risk writes."""

    reports: StreamReader
    positions: TableReader
    cash: TableReader
    orders: TableReader
    groups: TableReader
    stakes: TableWriter
    cell: Callable[[str], Cell]


class Account:
    """Keeps RiskState's money in step with the executor."""

    def __init__(self, state: RiskState, ports: AccountPorts) -> None:
        self._state = state
        self._ports = ports
        self._own = state.own
        self._unplaced: dict[int, None] = {}
        """Instruments whose market is not known yet, and rows that were busy."""
        self._unlisted_rows = range(
            2 * unlisted_markets(ports.positions.rows // 2).start, ports.positions.rows, 2
        )
        self._unlisted: set[int] = set()
        """Rows of tokens that are held and whose market has no row."""
        self.stakes = StakeBook(state, ports.stakes, ports.cell)
        self._lost = ports.cell("risk.intents_never_sent")
        self._foreign = ports.cell("risk.orders_not_from_risk")
        self._gaps = ports.cell("risk.reports_lost")
        self.reports = ReportReader(
            ports.reports,
            ports.cash,
            state.own,
            state.exposure,
            terminal=TERMINAL,
            orders_only=_ABOUT_ORDERS - _MOVES_SHARES,
            take_report=self._take_report,
            read_cash=self._read_cash,
            lost=self._lost_reports,
        )
        self.reconciled = False
        self.epoch_seen = 0
        """The epoch of intents that the executor last spoke of, as the id of its record 0."""

    # ------------------------------------------------------------------------------- start
    def restore(self, owned: Iterable[Owned]) -> None:
        """Read the stakes, and whether the executor's tables can be trusted yet.

        ``owned``: what the journal says of before a reboot; used as tokens get rows again.
        """
        self.stakes.restore()
        for each in owned:
            self.stakes.owned.setdefault(each.token_id, []).append(each)
        self._read_cash()

    def level_stakes(self) -> None:
        """Let what modules own add up to the positions that are known."""
        self.stakes.level_all(self._unplaced)

    def _adopt(self, order: OrderRow, now_ns: int) -> None:
        """Count an order in that this life of risk has not sent."""
        own = OwnOrder(
            order.id,
            order.instrument,
            order.action,
            order.price_e4,
            max(0, order.size_e6 - order.filled_e6),
            order.reserved_e6,
            order.group,
            now_ns,
            self._holding(order.instrument >> 1),
            self._state.scores.score(order.module),
        )
        own.sent = True
        own.filled = order.filled_e6 > 0
        self.fly(own)

    # ------------------------------------------------------------------------------- reports
    def _lost_reports(self, now_ns: int) -> None:
        # Reports are gated by us, so only a wrong topology loses one: the tables decide.
        self._gaps.add(1)
        self.believe_tables(now_ns)

    def _take_report(self, now_ns: int) -> None:  # noqa: C901, PLR0912  one branch for each kind
        """Take the report in the buffer, whatever it is."""
        (
            report,
            _cause,
            intent,
            group,
            price_e4,
            instrument,
            generation,
            reason,
            kind,
            order_state,
            size_e6,
            cash_e6,
            fee_e6,
            filled_e6,
            position_e6,
            _cash_after_e6,
            reserved_e6,
            action,
            _order_type,
            _leg,
            _legs,
            group_state,
            module,
        ) = _HEAD.unpack_from(self._ports.reports.buffer, SLOT_HEAD_BYTES)
        if kind in _MOVES_SHARES:
            self._read_position(instrument)
            if self._unlisted:
                # One of them may have moved to its market's row, which is all that is told.
                for row in tuple(self._unlisted):
                    self._read_position(row)
        own = self._own.get(intent) if intent else None
        if kind in _FILLS:
            moved = Moved(report, module, instrument, generation, action, size_e6, cash_e6, fee_e6)
            promise_e6 = own.promise_e6 if own is not None else 0
            self.stakes.take(moved, promise_e6, failed=kind == ReportKind.FAILED)
            self.stakes.level(instrument, generation, position_e6)
        elif kind in _SAYS_POSITION and size_e6:
            self.stakes.level(instrument, generation, position_e6)
        if kind == ReportKind.DROPPED:
            if own is not None:
                self._land(own)
            if reason == _NO_ROOM:
                # Each refusal there takes a slot of the reserve that fills and cancels need.
                self._state.full_until_ns = now_ns + _FULL_NS
        elif kind in _ABOUT_ORDERS and intent:
            if own is None and order_state not in TERMINAL:
                # An order the executor made by itself: an unwind.
                self._foreign.add(1)
                holding, score = self._holding(instrument >> 1), self._state.scores.score(module)
                sent = (intent, instrument, action, price_e4, size_e6, 0, group, now_ns)
                own = OwnOrder(*sent, holding, score)
                self.fly(own)
            if own is not None:
                self._hear(own, order_state, reserved_e6, filled_e6)
        elif kind == ReportKind.EPOCH_SEEN:
            self.epoch_seen = intent
            self.look_for_lost(now_ns)
        if group and group_state in _GROUP_ENDED:
            self._own.close_group(group)

    def _hear(self, own: OwnOrder, order_state: int, reserved_e6: int, filled_e6: int) -> None:
        """Follow the executor's own count of what the order holds."""
        own.sent = True
        if filled_e6 > 0 and not own.filled:
            own.filled = True
            hold = self._own.groups.get(own.group)
            if hold is not None:
                hold.filled = True
        if order_state in TERMINAL and not reserved_e6:
            self._land(own)
            return
        if own.action != _SELL:
            own.score.in_flight_e6 += reserved_e6 - own.held_e6
            self._state.exposure.fly(own.holding, reserved_e6 - own.held_e6)
            own.held_e6 = reserved_e6

    # ------------------------------------------------------------------------------- orders
    def fly(self, own: OwnOrder) -> None:
        """Count a new intent in: its cash is gone until a report says otherwise."""
        self._own.add(own)
        if own.held_e6:
            own.score.in_flight_e6 += own.held_e6
            self._state.exposure.fly(own.holding, own.held_e6)
        if own.action == _SELL:
            own.holding.selling_e6[own.outcome] += own.size_e6

    def _holding(self, market: int) -> Holding:
        """Return a market's holding, also of one whose row has not come yet."""
        facts = self._state.facts.get(market)
        if facts is None:
            # The order is kept for self-cross, and its cash with it, under a market that checks
            # will refuse anyway.
            facts = self._state.facts[market] = MarketFacts.unknown(market)
        return self._state.exposure.holding(facts)

    def _land(self, own: OwnOrder) -> None:
        """Count an order out and give back what it still held."""
        self._own.remove(own)
        if own.held_e6:
            own.score.in_flight_e6 -= own.held_e6
            self._state.exposure.fly(own.holding, -own.held_e6)
        if own.action == _SELL:
            own.holding.selling_e6[own.outcome] -= own.size_e6
        hold = self._own.groups.get(own.group)
        if hold is not None:
            hold.legs_open -= 1
            if hold.legs_open <= 0 and not hold.filled:
                self._own.close_group(own.group)

    def look_for_lost(self, now_ns: int) -> None:
        """Count out intents that can no longer be sent and have no order row.

        The executor refuses what is expired and writes the row before bytes leave, so an intent
        without a row some seconds after its deadline was never sent (its life ended with it).
        """
        lag_ns = self._state.limits.reports_lag_ns_max
        late = [own for own in self._own if not own.sent and now_ns - own.expires_ns > lag_ns]
        if not late:
            return
        rows = self._order_rows()
        for own in late:
            order = rows.get(own.intent)
            if order is None:
                self._lost.add(1)
                self._land(own)
            else:
                self._hear(own, order.state, order.reserved_e6, order.filled_e6)

    def believe_tables(self, now_ns: int) -> None:
        """Count what the executor's tables hold: at the start, and after reports were lost."""
        ports = self._ports
        rows = self._order_rows()
        for own in list(self._own):
            order = rows.get(own.intent)
            if order is not None:
                self._hear(own, order.state, order.reserved_e6, order.filled_e6)
        for order in rows.values():
            if order.id not in self._own and (order.state not in TERMINAL or order.reserved_e6):
                self._adopt(order, now_ns)
        self._believe_groups()
        for row in range(ports.positions.rows):
            if ports.positions.version(row):
                self._read_position(row)

    def _believe_groups(self) -> None:
        """Keep the cash of every group that is open, and of no other."""
        groups = self._ports.groups
        for row in range(groups.rows):
            if not groups.version(row) or groups.read(row) <= 0:
                continue
            group = GROUP_ROW.unpack(groups.buffer)
            if group.state in _GROUP_ENDED:
                self._own.close_group(group.id)
            elif group.state and group.id not in self._own.groups:
                self._own.open_group(group.id, group.legs, group.unwind_reserve_e6)

    def _order_rows(self) -> dict[int, OrderRow]:
        orders = self._ports.orders
        found = {}
        for row in range(orders.rows):
            if orders.version(row) and orders.read(row) > 0:
                order = ORDER_ROW.unpack(orders.buffer)
                found[order.id] = order
        return found

    # ------------------------------------------------------------------------------- tables
    def take_market(self, facts: MarketFacts) -> None:
        """Place what was waiting for this market's row."""
        self._state.exposure.rebase(facts)
        for instrument in (2 * facts.market, 2 * facts.market + 1):
            if instrument in self._unplaced:
                del self._unplaced[instrument]
                self._read_position(instrument)

    def _read_position(self, instrument: int) -> None:
        positions = self._ports.positions
        version = positions.read(instrument)
        if version == READ_BUSY:
            self._unplaced[instrument] = None
            return
        if version <= 0:
            return
        row = POSITION_ROW.unpack(positions.buffer)
        state = self._state
        if instrument in self._unlisted_rows:
            self._hold_unlisted(row)
            return
        if self.stakes.owned:
            self.stakes.recall(row.token_id, instrument, row.generation)
        facts = state.facts.get(instrument >> 1)
        if facts is None or facts.generation != row.generation or state.exposure.occupied(facts):
            if row.size_e6:
                self._unplaced[instrument] = None
            return
        holding = state.exposure.holding(facts)
        state.exposure.hold(
            holding,
            instrument & 1,
            row.size_e6,
            row.confirmed_e6,
            row.cost_e6 if row.size_e6 else 0,
        )

    def _hold_unlisted(self, row: PositionRow) -> None:
        """Count a token whose market has no row: lost in the worst case, and locked for long."""
        if row.size_e6:
            self._unlisted.add(row.instrument)
        elif row.instrument in self._unlisted:
            self._unlisted.discard(row.instrument)
        else:
            return
        holding = self._holding(row.instrument >> 1)
        self._state.exposure.hold(
            holding, 0, row.size_e6, row.confirmed_e6, row.cost_e6 if row.size_e6 else 0
        )

    def _read_cash(self) -> None:
        cash = self._ports.cash
        version = cash.version(0)
        if version == self.reports.cash_version:
            return
        read = cash.read(0)
        if read <= 0:
            return
        self.reports.cash_version = read
        row = CASH_ROW.unpack(cash.buffer)
        self._state.cash_e6 = row.cash_e6
        self.reconciled = row.reconciled_ns > 0
