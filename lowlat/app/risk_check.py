"""Ask risk what it would do with an order now, without sending anything.

A second RiskEngine over the running instance's tables, read-only, with private streams and private
copies of the tables that risk writes: the same code, limits, books and positions, and nothing that
an order could leave by. What only the running engine knows is not asked: the order tokens left and
the cash of new orders within the window, duplicates, and other signals of the same turn.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lowlat.app.armed import armed_generation
from lowlat.app.halts import read_halts
from lowlat.app.wish import Wish
from lowlat.core.clock import RealClock
from lowlat.core.errors import SegmentError
from lowlat.core.layout import (
    DECISION,
    MARKET_ROW,
    SIGNAL,
    Action,
    DecisionRecord,
    MarketRow,
    Rule,
    SignalRecord,
    Urgency,
    Writer,
    record_id,
)
from lowlat.core.ports import TableWriter
from lowlat.core.resolution import ResolutionRisk, assess
from lowlat.core.units import E6
from lowlat.risk._case import Case, CaseReader
from lowlat.risk.engine import RiskEngine
from lowlat.risk.examine import Opinion, Use, examine, uses
from lowlat.risk.limits import LimitsParams
from lowlat.risk.ports import RiskPorts
from lowlat.shm.attach import attach
from lowlat.shm.attachment import Attachment
from lowlat.shm.private import PrivateStream, PrivateTable
from lowlat.wiring.reload import limits_on_rungs, modules_at_work

if TYPE_CHECKING:
    from lowlat.app.generations import Generation

__all__ = ["Answer", "Asked", "asking", "risk_check"]

_PROCESS: Final = "riskcheck"
_SLOTS: Final = 64
_LIFE_NS: Final = 1_000_000_000


class Answer(NamedTuple):
    """What risk would do, every check's opinion, the limits in use and the resolution risk."""

    row: MarketRow
    decision: DecisionRecord
    opinions: list[Opinion]
    uses: list[Use]
    resolution: ResolutionRisk
    generation: int
    judged_edge: bool
    """False when no expected value was given: then neither edge nor Kelly are judged."""


class _Null:
    """A cell and a recorder that keep nothing."""

    def add(self, count: int) -> None:
        """Forget it."""

    set = max = record = add


class Asked:
    """A risk engine of one's own over the running one's tables. Made by ``asking``."""

    def __init__(
        self, engine: RiskEngine, instance: str, signals: PrivateStream, decisions: PrivateStream
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._signals = signals
        self._decided = decisions.reader()

    def opinions(self, record: SignalRecord) -> tuple[list[Opinion], list[Use]]:
        """Return what each check says of a signal by itself, and the limits it counts against."""
        fresh = _cases(record)
        state = self._engine.state
        state.now_ns = RealClock().monotonic_ns()
        state.halt_code = int(Rule.HALTED) if read_halts(self._instance) else 0
        return examine(state, fresh), uses(state, fresh())

    def decide(self, record: SignalRecord) -> DecisionRecord:
        """Return the engine's own decision. It counts what it would send as sent."""
        SIGNAL.pack(self._signals.writer.buffer, record)
        self._signals.writer.publish(SIGNAL.kind)
        self._engine.turn(RealClock().monotonic_ns())
        while self._decided.poll() != DECISION.kind:
            pass
        return DECISION.unpack(self._decided.buffer)


@contextmanager
def asking(instance: str, generation: "Generation", *, judged: bool = True) -> Iterator[Asked]:
    """Open what risk knows now, until the block ends. Not judged: Kelly has no say."""
    limits = limits_on_rungs(generation.config)
    if not judged:
        limits = msgspec.structs.replace(limits, kelly_ppm=0)
    signals, decisions = PrivateStream("signals"), PrivateStream("decisions", slots=_SLOTS)
    with Attachment(instance, _PROCESS) as memory:
        engine = _engine(memory, limits, generation.number, signals, decisions, RealClock())
        engine.start()
        engine.state.scores.set_at_work(modules_at_work(generation.config))
        yield Asked(engine, instance, signals, decisions)


def risk_check(
    instance: str, wish: Wish, action: Action, module: str, value_usd: float | None
) -> Answer:
    """Decide on an order as risk would now. Raises SegmentError when there is no such market."""
    generation = armed_generation(attach(instance))
    row = _market(instance, wish.market)
    judged = value_usd is not None
    with asking(instance, generation, judged=judged) as asked:
        usd = value_usd if value_usd is not None else wish.size_e6 / E6
        record = _signal(row, wish, action, module, usd, RealClock().monotonic_ns())
        opinions, used = asked.opinions(record)
        decision = asked.decide(record)
    resolution = assess(row, RealClock().wall_ns())
    return Answer(row, decision, opinions, used, resolution, generation.number, judged)


def _engine(
    memory: Attachment,
    limits: LimitsParams,
    generation: int,
    signals: PrivateStream,
    decisions: PrivateStream,
    clock: RealClock,
) -> RiskEngine:
    null = _Null()
    instance = memory.instance
    return RiskEngine(
        RiskPorts(
            signals=signals.reader(),
            reports=PrivateStream("reports", slots=_SLOTS).reader(),
            metadata=memory.open_stream_reader("metadata"),
            books=memory.open_table_reader("book"),
            shards=memory.open_table_reader("shard"),
            markets=memory.open_table_reader("markets"),
            positions=memory.open_table_reader("positions"),
            cash=memory.open_table_reader("cash"),
            orders=memory.open_table_reader("orders"),
            groups=memory.open_table_reader("groups"),
            intents=PrivateStream("intents", slots=_SLOTS).writer,
            decisions=decisions.writer,
            exposure=_copy(memory, "exposure"),
            scores=_copy(memory, "scores"),
            stakes=_copy(memory, "stakes"),
            clock=clock,
            halted=lambda: int(Rule.HALTED) if read_halts(instance) else 0,
            pull_halt=lambda _code, _reason: None,
            cell=lambda _name: null,
            recorder=lambda _name: null,
            decisions_reserve=1,
        ),
        limits,
        generation,
    )


def _copy(memory: Attachment, name: str) -> TableWriter:
    """Return a private table with the rows of the running one."""
    found = memory.open_table_reader(name)
    copied = PrivateTable(name, rows=found.rows)
    for row in range(found.rows):
        if found.read(row) > 0:
            copied.writer.buffer[:] = found.buffer
            copied.writer.write(row)
    return copied.writer


def _market(instance: str, name: str) -> MarketRow:
    """Return the market of a number, a condition id or a part of a name. Raises SegmentError."""
    found = []
    with Attachment(instance, _PROCESS) as memory:
        table = memory.open_table_reader("markets")
        for index in range(table.rows):
            if table.read(index) <= 0:
                continue
            row = MARKET_ROW.unpack(table.buffer)
            slug = row.slug.rstrip(b"\0").decode("ascii", "replace")
            if name in (str(row.market), slug, "0x" + row.condition_id.hex()):
                return row
            if name.lower() in slug.lower():
                found.append((slug, row))
    if len(found) == 1:
        return found[0][1]
    some = ", ".join(slug for slug, _ in found[:5])
    raise SegmentError(
        f"{len(found)} markets of {instance!r} are like {name!r}"
        + (f" ({some} …): name one" if found else "; see lowlat markets")
    )


def _signal(
    row: MarketRow, wish: Wish, action: Action, module: str, value_usd: float, now_ns: int
) -> SignalRecord:
    blank = SIGNAL.unpack(bytes(SIGNAL.size_bytes))
    return blank._replace(
        id=record_id(Writer.NONE, 0, 1),
        recv_ns=now_ns,
        decoded_ns=now_ns,
        published_ns=now_ns,
        decided_ns=now_ns,
        expires_ns=now_ns + _LIFE_NS,
        confidence=1.0,
        expected_value=value_usd,
        size_suggestion_e6=wish.size_e6,
        market_id=row.condition_id,
        module=module.encode("ascii", "replace").ljust(16, b"\0"),
        instrument=2 * row.market + wish.outcome,
        generation=row.generation,
        limit_price_e4=wish.price_e4,
        action=int(action),
        urgency=int(Urgency.IMMEDIATE),
        legs=1,
        mode=2,
    )


def _cases(record: SignalRecord) -> Callable[[], Case]:
    buffer = memoryview(bytearray(SIGNAL.size_bytes))
    SIGNAL.pack(buffer, record)
    return CaseReader(buffer).case
