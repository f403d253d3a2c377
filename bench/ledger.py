"""The ledger on SQLite beside the journal, at 2 000 orders and 10 000 decisions a second.

The recorder's own engines over real streams and tables, on a disk with every fsync; records are
published when they are due whatever the ledger does (open loop). A sample is the time from a
record's due time until its slot is given back, which is behind its commit. A regression means that
the ledger falls behind in a busy hour and new orders stop at half-full streams.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Row, progress
from lowlat.core import layout as lo
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.shm.private import PrivateStream, PrivateTable
from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.ledger.audit import audit
from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.writer import Ledger

ROWS = ("ledger",)
ORDERS_PER_S, DECISIONS_PER_S = 2_000, 10_000
SECONDS = 12
TOKENS = 400
_GATE = "ledger"
_POLL_S = 0.002
_STEP_S = 0.005
_E6 = 10**6
SIZE_E6, CASH_E6, FEE_E6 = 10 * _E6, 5 * _E6, 12_500
LAG_NS_MAX = 1_000_000_000


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the row."""
    del names
    folder = Path(tempfile.mkdtemp(prefix="lowlat-bench-", dir=Path.home()))
    try:
        return [Load(folder).run(SECONDS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Count:
    def __init__(self) -> None:
        self.value = 0

    def add(self, count: int) -> None:
        """Count."""
        self.value += count

    def set(self, value: int) -> None:
        """Overwrite."""
        self.value = value


class Load:
    """An executor that books by the clock, and the recorder's engines behind it."""

    def __init__(self, folder: Path) -> None:
        self._streams = {
            name: PrivateStream(name, gates=[_GATE]) for name in ("reports", "decisions")
        }
        tables = [PrivateTable(name) for name in ("orders", "positions", "cash")]
        self._orders, self._positions, self._cash = (each.writer for each in tables)
        self._database = open_database(f"sqlite:///{folder}/ledger.db")
        self.meters = JournalMeters(*(_Count() for _ in JournalMeters.__struct_fields__))
        self._journal = JournalEngine(
            str(folder),
            self._streams["reports"].reader(gate=_GATE),
            self._streams["decisions"].reader(gate=_GATE),
            tuple(each.reader() for each in tables),  # type: ignore[arg-type]
            RealClock(),
            self.meters,
            None,
            Ledger(self._database),
            "bench:1",
        )
        self._journal.start()
        self._held = [0] * TOKENS
        self._row_read = [0] * lo.TABLES["orders"].rows
        self._cash_e6 = 10**12
        self._seq = 0
        self._due: dict[str, list[int]] = {"reports": [], "decisions": []}
        self._free_least = dict.fromkeys(self._streams, 1 << 40)

    def run(self, seconds: int) -> Row:
        """Publish by the clock for so long; return what the ledger did meanwhile."""
        steps = round(seconds / _STEP_S)
        orders, decisions = round(ORDERS_PER_S * _STEP_S), round(DECISIONS_PER_S * _STEP_S)
        samples: dict[str, list[float]] = {name: [] for name in self._streams}
        begun_ns, step, cpu_s, spent_s = monotonic_ns(), 0, 0.0, 0.0
        while step < steps or self._waiting():
            now_ns = monotonic_ns()
            before_s = time.thread_time()
            while step < steps and now_ns - begun_ns >= step * _STEP_S * 1e9:
                self._step(begun_ns + round(step * _STEP_S * 1e9), orders, decisions)
                step += 1
                if step % 400 == 0:
                    progress(f"ledger: {step * _STEP_S:.0f} of {seconds} s")
            for name, stream in self._streams.items():
                free = stream.writer.free()
                self._free_least[name] = min(self._free_least[name], free)
            spent_s += time.thread_time() - before_s
            before_s = time.thread_time()
            worked = self._journal.turn(now_ns)
            cpu_s += time.thread_time() - before_s
            self._collect(samples)
            if not worked:
                time.sleep(_POLL_S)
        wall_s = (monotonic_ns() - begun_ns) / 1e9
        self._journal.close()
        wrong = audit(self._database)
        self._database.dispose()
        assert not wrong, wrong[:3]
        return self._row(samples, cpu_s, spent_s, wall_s, seconds)

    # ------------------------------------------------------------------ what the executor does
    def _step(self, due_ns: int, orders: int, decisions: int) -> None:
        for _ in range(orders):
            self._order(due_ns)
        stream = self._streams["decisions"].writer
        for _ in range(decisions):
            self._seq += 1
            record = _blank(lo.DECISION, id=self._seq, signal=self._seq, module=b"arbitrage")
            lo.DECISION.pack(stream.buffer, record._replace(rule=int(lo.Rule.APPROVED), approved=1))
            assert stream.publish(lo.DECISION.kind), "the decisions' stream is full"
            self._due["decisions"].append(due_ns)

    def _order(self, due_ns: int) -> None:
        """Send one; each second one is filled and confirmed, tokens are bought and sold in turn."""
        self._seq += 1
        seq = self._seq
        token = seq % TOKENS
        sells = self._held[token] > 0
        state = lo.OrderState
        row = _blank(
            lo.ORDER_ROW,
            id=seq,
            signal=seq,
            order_id=seq.to_bytes(32, "big"),
            token_id=(token + 1).to_bytes(32, "big"),
            size_e6=SIZE_E6,
            price_e4=5_000,
            instrument=token,
            generation=1,
            action=int(lo.Action.SELL if sells else lo.Action.BUY),
            state=int(state.SENDING),
            module=b"arbitrage",
        )
        at = seq % lo.TABLES["orders"].rows
        # As the executor: a finished order keeps its row until the ledger has read it.
        assert self._row_read[at] < self._read_to(), "no order's row is free: orders stop here"
        self._put(at, row, lo.ReportKind.SENDING, due_ns)
        if seq & 1:
            dead = row._replace(state=int(state.UNMATCHED))
            self._put(at, dead, lo.ReportKind.REJECT, due_ns)
            return
        sign = -1 if sells else 1
        self._held[token] += sign * SIZE_E6
        self._cash_e6 -= sign * CASH_E6 + FEE_E6
        filled = row._replace(
            state=int(state.MATCHED), filled_e6=SIZE_E6, cash_e6=CASH_E6, fee_e6=FEE_E6
        )
        held = _blank(
            lo.POSITION_ROW,
            id=seq,
            size_e6=self._held[token],
            token_id=row.token_id,
            instrument=token,
            generation=1,
        )
        self._hold(token, held)
        self._put(at, filled, lo.ReportKind.FILL, due_ns, self._held[token])
        self._hold(token, held._replace(confirmed_e6=self._held[token]))
        done = filled._replace(confirmed_e6=SIZE_E6)
        self._put(at, done, lo.ReportKind.CONFIRMED, due_ns, self._held[token])

    def _read_to(self) -> int:
        return max(self._streams["reports"].released(_GATE), 1)

    def _hold(self, token: int, held: Any) -> None:
        lo.POSITION_ROW.pack(self._positions.buffer, held)
        self._positions.write(token)

    def _put(self, at: int, row: Any, kind: lo.ReportKind, due_ns: int, held_e6: int = 0) -> None:
        lo.ORDER_ROW.pack(self._orders.buffer, row)
        self._orders.write(at)
        lo.CASH_ROW.pack(self._cash.buffer, _blank(lo.CASH_ROW, id=1, cash_e6=self._cash_e6))
        self._cash.write(0)
        stream = self._streams["reports"].writer
        self._row_read[at] = stream.cursor
        moved = kind in (lo.ReportKind.FILL, lo.ReportKind.CONFIRMED)
        report = _blank(
            lo.REPORT,
            id=stream.cursor,
            intent=row.id,
            order_id=row.order_id,
            trade_id=row.id.to_bytes(16, "big") if moved else bytes(16),
            price_e4=row.price_e4,
            instrument=row.instrument,
            generation=1,
            kind=int(kind),
            order_state=row.state,
            size_e6=SIZE_E6 if moved else 0,
            cash_e6=CASH_E6 if moved else 0,
            fee_e6=FEE_E6 if moved else 0,
            position_e6=held_e6,
            cash_after_e6=self._cash_e6,
            action=row.action,
            module=row.module,
            order_row=at,
        )
        lo.REPORT.pack(stream.buffer, report)
        assert stream.publish(lo.REPORT.kind), "the reports' stream is full"
        self._due["reports"].append(due_ns)

    # ------------------------------------------------------------------ what the ledger did
    def _waiting(self) -> int:
        return sum(len(due) for due in self._due.values())

    def _collect(self, samples: dict[str, list[float]]) -> None:
        now_ns = monotonic_ns()
        for name, stream in self._streams.items():
            due = self._due[name]
            held = stream.writer.cursor - max(stream.released(_GATE), 1)
            given_back = len(due) - held
            if given_back > 0:
                samples[name] += [now_ns - each for each in due[:given_back]]
                del due[:given_back]

    def _row(
        self,
        samples: dict[str, list[float]],
        cpu_s: float,
        spent_s: float,
        wall_s: float,
        seconds: int,
    ) -> Row:
        reports_ns = np.array(samples["reports"])
        late_ns = float(np.percentile(np.concatenate([*map(np.array, samples.values())]), 99))
        slots = {name: lo.STREAMS[name].slots for name in self._streams}
        row = Row(
            name="ledger",
            p50_ns=round(float(np.median(reports_ns))),
            p99_ns=round(late_ns),
            target="keeps up, p99 <= 1 s",
        )
        half = all(self._free_least[name] > slots[name] // 2 for name in slots)
        row.met = half and late_ns <= LAG_NS_MAX and wall_s < seconds + 1
        row.notes["orders"] = ORDERS_PER_S * seconds
        row.notes["reports"] = len(reports_ns)
        row.notes["decisions"] = len(samples["decisions"])
        row.notes["done after, s"] = round(wall_s, 2)
        row.notes["share of a core, ledger and journal"] = round(cpu_s / wall_s, 2)
        row.notes["share of a core, making the load"] = round(spent_s / wall_s, 2)
        for name, free in self._free_least.items():
            row.notes[f"{name} waiting at most"] = f"{slots[name] - free} of {slots[name]}"
        return row


def _blank(record: Any, **fields: Any) -> Any:
    found = _BLANKS.get(record.kind)
    if found is None:
        found = _BLANKS[record.kind] = record.unpack(bytes(record.size_bytes))
    return found._replace(**fields)


_BLANKS: dict[int, Any] = {}
