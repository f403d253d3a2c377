"""Make a synthetic opportunity, send it down the path, follow what becomes of it. For commands.

Refused unless the config in force says sim or paper. The only writer of the stream *inject*, so
one at a time; ends with a Journey that holds every record that the opportunity left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lowlat.app.armed import armed_generation
from lowlat.app.injector import INJECT
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import ConfigError, SegmentError
from lowlat.core.layout import (
    BOOK_ROW,
    DECISION,
    MARKET_ROW,
    ORDER_ROW,
    SIGNAL,
    Action,
    BookFlag,
    DecisionRecord,
    Known,
    MarketRow,
    MarketStatus,
    OrderRow,
    OrderState,
    Urgency,
    Writer,
    record_id,
)
from lowlat.core.resolution import assess
from lowlat.core.signal import Identity, Signal, Stamps, encode_signal
from lowlat.core.units import NO_PRICE_E4, ONE_E4
from lowlat.risk.limits import LimitsParams
from lowlat.shm.attach import Attached, attach
from lowlat.shm.attachment import Attachment

__all__ = ["Journey", "Wish", "choose_market", "inject"]

_LIFE_NS: Final = 2_000_000_000
_POLL_S: Final = 0.005
_UNHEALTHY: Final = 0xFFFF & ~int(BookFlag.TRUNCATED)
_FINAL: Final = (
    int(OrderState.MATCHED),
    int(OrderState.UNMATCHED),
    int(OrderState.REJECTED),
    int(OrderState.CANCELED),
    int(OrderState.EXPIRED),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to buy: the best offer of an outcome, or at another price."""

    market: str = ""
    """Part of a slug or a row number; '' chooses the tightest market that risk does not doubt."""
    outcome: int = 0
    """0 YES, 1 NO."""
    size_e6: int = 10_000_000
    price_e4: int = NO_PRICE_E4


@dataclass(slots=True)
class Journey:
    """What became of it, as far as it got."""

    record: int
    market: str
    outcome: int
    price_e4: int
    size_e6: int
    injected_ns: int
    decision: DecisionRecord | None = None
    order: OrderRow | None = None

    @property
    def arrived(self) -> bool:
        """Whether an order reached the venue and has its final word."""
        return self.order is not None and self.order.state in _FINAL


def inject(instance: str, wish: Wish, wait_s: float) -> Journey:
    """Send one and follow it for up to wait_s. Raises ConfigError in live, SegmentError else."""
    attached = attach(instance)
    generation = armed_generation(attached)
    mode = generation.config.mode
    if mode not in {"sim", "paper"}:
        raise ConfigError(f"mode is {mode!r}: nothing synthetic is sent with real money")
    row, price_e4 = choose_market(attached, wish, generation.config.limits)
    decisions = attached.streams["decisions"].reader
    with Attachment(instance, INJECT) as attachment:
        writer = attachment.open_stream_writer(INJECT)
        name = record_id(int(Writer.INJECT), writer.epoch, writer.cursor)
        now_ns = monotonic_ns()
        signal = _signal(row, wish, price_e4, now_ns, name)
        token = row.no_token_id if wish.outcome else row.yes_token_id
        identity = Identity(2 * row.market + wish.outcome, row.generation, row.condition_id, token)
        record = encode_signal(signal, name, identity, Stamps(), now_ns, 1)
        SIGNAL.pack(writer.buffer, record)
        writer.publish(SIGNAL.kind)
        journey = Journey(name, _slug(row), wish.outcome, price_e4, wish.size_e6, now_ns)
        _follow(attached, decisions, journey, now_ns + int(wait_s * 1e9))
    return journey


def choose_market(attached: Attached, wish: Wish, limits: LimitsParams) -> tuple[MarketRow, int]:
    """Return the market and the price to pay. Raises SegmentError when there is none.

    A market nobody named is none of those that risk refuses or halves for how they may resolve,
    and one that locks money for long only when there is no other: what a person wants to see is
    the path.
    """
    found: list[tuple[bool, int, int, MarketRow]] = []
    wall_ns = time.time_ns()
    rows, versions = attached.tables["markets"].snapshot()
    for index in (versions > 0).nonzero()[0].tolist():
        row = MARKET_ROW.unpack(memoryview(rows[index].tobytes()))
        if wish.market and wish.market != str(row.market) and wish.market not in _slug(row):
            continue
        if not wish.market and assess(row, wall_ns).score > limits.resolution_score_full:
            continue
        touch = _touch(attached, row, wish.outcome)
        if touch is not None:
            bid_e4, ask_e4 = touch
            locks = not 0 < row.end_ns <= wall_ns + limits.long_horizon_ns
            found.append((locks, ask_e4 - bid_e4, ask_e4, row))
    if not found:
        which = f"no market like {wish.market!r}" if wish.market else "no market"
        raise SegmentError(
            f"{which} of {attached.instance!r} is tradeable now with a fresh, healthy book"
        )
    *_, ask_e4, row = min(found, key=lambda each: (*each[:2], each[3].market))
    return row, ask_e4 if wish.price_e4 == NO_PRICE_E4 else wish.price_e4


def _touch(attached: Attached, row: MarketRow, outcome: int) -> tuple[int, int] | None:
    """Return bid and ask of an outcome, None when the market cannot be traded now."""
    tradeable = row.known & Known.TRADEABLE == Known.TRADEABLE
    if not tradeable or row.status != MarketStatus.ACTIVE:
        return None
    reader: Any = attached.tables["book"].reader
    if reader.read(row.market) <= 0:
        return None
    book = BOOK_ROW.unpack(reader.buffer)
    if book.book_flags & _UNHEALTHY or book.generation != row.generation:
        return None
    if not book.bid_count or not book.ask_count:
        return None
    bid_e4, ask_e4 = book.bid_price_e4[0], book.ask_price_e4[0]
    # NO is the same ladder from the other side.
    return (ONE_E4 - ask_e4, ONE_E4 - bid_e4) if outcome else (bid_e4, ask_e4)


def _signal(row: MarketRow, wish: Wish, price_e4: int, now_ns: int, name: int) -> Signal:
    token = row.no_token_id if wish.outcome else row.yes_token_id
    return Signal(
        INJECT,
        "0x" + row.condition_id.hex(),
        str(int.from_bytes(token, "big")),
        Action.BUY,
        1.0,
        # As good as its size: no real opportunity is crowded out for long, none is outranked much.
        wish.size_e6 * price_e4 / 1e10,
        wish.size_e6,
        Urgency.IMMEDIATE,
        {"injected": True},
        limit_price_e4=price_e4,
        expires_ns=now_ns + _LIFE_NS,
        cause=name,
    )


def _follow(attached: Attached, decisions: Any, journey: Journey, end_ns: int) -> None:
    """Wait for the decision, then for the order's final word."""
    if not _wait(lambda: _is_decided(decisions, journey), end_ns):
        return
    if journey.decision is not None and journey.decision.approved:
        _wait(lambda: _has_ended(attached, journey), end_ns)


def _wait(look: Callable[[], bool], end_ns: int) -> bool:
    while not look():
        if monotonic_ns() >= end_ns:
            return False
        time.sleep(_POLL_S)
    return True


def _is_decided(decisions: Any, journey: Journey) -> bool:
    kind = decisions.poll()
    while kind:
        if kind == DECISION.kind:
            record = DECISION.unpack(decisions.buffer)
            if record.cause == journey.record:
                journey.decision = record
                return True
        kind = decisions.poll()
    return False


def _has_ended(attached: Attached, journey: Journey) -> bool:
    assert journey.decision is not None
    rows, versions = attached.tables["orders"].snapshot()
    mine = rows[(versions > 0) & (rows["id"] == journey.decision.intent)]
    if len(mine):
        journey.order = ORDER_ROW.unpack(memoryview(mine[0].tobytes()))
    return journey.arrived


def _slug(row: MarketRow) -> str:
    return row.slug.rstrip(b"\0").decode("utf-8", "replace")
