"""A risk engine over list-backed ports, with a hand on every input."""

from engine_fakes import MS, Counts, S, Stream, Table, World

from lowlat.core.layout import (
    CASH_ROW,
    DECISION,
    EXPOSURE_ROW,
    GROUP_ROW,
    INTENT,
    ORDER_ROW,
    POSITION_ROW,
    REPORT,
    SCORE_ROW,
    SIGNAL,
    STAKE_ROW,
    Category,
    Dispute,
    OrderRow,
    OrderState,
    ReportKind,
    ReportRecord,
    Rule,
    SignalRecord,
    Wording,
)
from lowlat.core.units import E6
from lowlat.risk.engine import RiskEngine
from lowlat.risk.limits import LimitsParams
from lowlat.risk.ports import RiskPorts

__all__ = ["CALM", "FREE", "WIDE", "Rig", "rule"]


CALM = {
    "wording": int(Wording.TEXT | Wording.OFFICIAL),
    "dispute": int(Dispute.NONE),
    "category": int(Category.SPORTS),
    "volume_e6": 10**12,
    "liquidity_e6": 10**12,
}
"""Facts of a market whose resolution nobody doubts."""
FREE = {"duplicate_window_ns": 0, "orders_per_s": 1_000, "kelly_ppm": 0}
"""Limits that leave size and pace to the test."""
WIDE = {**FREE, "bankroll_cap_e6": 1_000_000 * E6, "order_notional_e6_max": 100_000 * E6}


def rule(decision):
    return Rule(decision.rule)


class Rig:
    def __init__(
        self,
        *,
        limits=None,
        cash=1_000.0,
        markets=16,
        start=True,
        intents_epoch=1,
        decision_slots=4096,
        recovered=None,
    ):
        self.world = World(markets)
        self.counts = Counts()
        self.signals = self.world.signals
        self.reports = Stream(320, slots=8192)
        self.intents = Stream(256, slots=256, epoch=intents_epoch)
        self.decisions = Stream(192, slots=decision_slots, epoch=intents_epoch)
        self.positions = Table(POSITION_ROW, 2 * markets)
        self.cash = Table(CASH_ROW, 1)
        self.orders = Table(ORDER_ROW, 32)
        self.groups = Table(GROUP_ROW, 16)
        self.exposure = Table(EXPOSURE_ROW, 32)
        self.scores = Table(SCORE_ROW, 8)
        self.stakes = Table(STAKE_ROW, 64)
        self.decided_before = self.intended_before = None
        self.recovered = recovered
        self.halt = 0
        self.modules = ("test", "other", "up", "down", "large", "small")
        self.pulled = []
        self.limits = limits or LimitsParams(duplicate_window_ns=0, orders_per_s=1_000, kelly_ppm=0)
        self.executor_gate = self.intents.reader(gate=True)
        self.ledger_gate = self.decisions.reader(gate=True)
        self._signal = 0
        self._report = 0
        if cash is not None:
            self.world.put_cash(self.cash, cash)
        if start:
            self.start()

    def start(self):
        world = self.world
        self.engine = RiskEngine(
            RiskPorts(
                signals=self.signals.reader(gate=True),
                reports=self.reports.reader(gate=True),
                metadata=world.metadata.reader(),
                books=world.books,
                shards=world.shards,
                markets=world.markets,
                positions=self.positions,
                cash=self.cash,
                orders=self.orders,
                groups=self.groups,
                intents=self.intents,
                decisions=self.decisions,
                exposure=self.exposure,
                scores=self.scores,
                stakes=self.stakes,
                clock=world.clock,
                halted=lambda: self.halt,
                pull_halt=lambda code, reason: self.pulled.append((code, reason)),
                cell=self.counts.cell,
                recorder=self.counts.recorder,
                decided=self.decided_before,
                intended=self.intended_before,
                decisions_reserve=8,
            ),
            self.limits,
            config_generation=3,
            modules=self.modules,
            recovered=self.recovered,
        )
        self.engine.start()

    def market(self, market=0, bids=((3900, 1_000),), asks=((4000, 1_000),), **changes):
        self.world.put_market(market, **CALM | changes)
        self.world.put_book(market, list(bids), list(asks), tick_e4=changes.get("tick_e4", 100))
        self.engine.turn(self.world.now)

    def signal(self, instrument=0, size=10.0, limit_e4=4000, **changes):
        self._signal += 1
        now = self.world.now
        fields = dict.fromkeys(SignalRecord._fields, 0)
        fields |= {
            "id": 5 << 56 | self._signal,
            "cause": 77,
            "event_ns": 1,
            "recv_ns": now,
            "decoded_ns": now,
            "published_ns": now,
            "decided_ns": now,
            "expires_ns": now + 20 * MS,
            "confidence": 0.6,
            "expected_value": 5.0,
            "size_suggestion_e6": round(size * E6),
            "market_id": bytes(32),
            "token_id": bytes(32),
            "module": b"test",
            "instrument": instrument,
            "generation": 1,
            "limit_price_e4": limit_e4,
            "urgency": 2,
            "legs": 1,
            "metadata_bytes": 2,
            "mode": 1,
            "metadata": b"{}",
        }
        record = SignalRecord(**(fields | changes))
        assert self.signals.send(SIGNAL, record)
        return record

    def group(self, *legs, group=900, **changes):
        return [
            self.signal(instrument, size, limit, group=group, leg=at, legs=len(legs), **changes)
            for at, (instrument, size, limit) in enumerate(legs)
        ]

    def turn(self, by_ns=0):
        return self.engine.turn(self.world.advance(by_ns))

    def decide(self, *args, **changes):
        self.signal(*args, **changes)
        self.turn()
        return self.decided[-1]

    @property
    def decided(self):
        return self.decisions.decoded(DECISION)

    @property
    def intended(self):
        return self.intents.decoded(INTENT)

    @property
    def rules(self):
        return [(Rule(each.rule).name, each.approved) for each in self.decided]

    def report(self, kind, intent=None, state=OrderState.NONE, **changes):
        self._report += 1
        fields = dict.fromkeys(ReportRecord._fields, 0)
        for name in ("order_id", "trade_id", "module", "trade_text"):
            fields[name] = b""
        fields |= {"id": 7 << 56 | self._report, "kind": int(kind), "order_state": int(state)}
        if isinstance(intent, int):
            fields["intent"] = intent
        elif intent is not None:
            fields |= {
                "intent": intent.id,
                "group": intent.group,
                "instrument": intent.instrument,
                "generation": intent.generation,
                "action": intent.action,
                "price_e4": intent.limit_price_e4,
                "legs": intent.legs,
                "leg": intent.leg,
                "module": intent.module,
            }
        self.reports.send(REPORT, ReportRecord(**(fields | changes)))

    def fill(self, intent, shares, cost, *, held=None):
        """Fill an intent wholly, as the executor would say it: rows first, then the report."""
        table = self.positions
        at = intent.instrument
        before_size = before_cost = 0
        if table.versions[at]:
            row = POSITION_ROW.unpack(table.images[at])
            before_size, before_cost = row.size_e6 / E6, row.cost_e6 / E6
        total, paid = before_size + shares, before_cost + cost
        self.world.put_position(table, at, int(total), paid, confirmed=0)
        cash = CASH_ROW.unpack(self.cash.images[0]).cash_e6 / E6
        self.world.put_cash(self.cash, cash - cost)
        self.report(
            ReportKind.FILL,
            intent,
            OrderState.MATCHED,
            filled_e6=round(shares * E6),
            size_e6=round(shares * E6),
            cash_e6=round(cost * E6),
            position_e6=int(total) * E6,
            reserved_e6=0,
        )

    def hold(self, instrument, size, cost, *, confirmed=None, generation=1):
        """Hold shares: the row, then the report that says to look."""
        self.world.put_position(
            self.positions, instrument, size, cost, confirmed=confirmed, generation=generation
        )
        self.report(
            ReportKind.RECONCILED,
            instrument=instrument,
            generation=generation,
            size_e6=size * E6,
            position_e6=size * E6,
        )
        self.turn()

    def put_order(self, row, **changes):
        fields = dict.fromkeys(OrderRow._fields, 0)
        for name in ("order_id", "token_id", "module"):
            fields[name] = b""
        self.orders.put(row, OrderRow(**(fields | changes)))


SECOND = S
