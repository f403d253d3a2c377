"""Make a synthetic opportunity, send it down the path, follow what becomes of it. For commands.

Refused unless the config in force says sim or paper. The only writer of the stream *inject*, so
one at a time; ends with a Journey that holds every record that the opportunity left.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lowlat.app.armed import armed_generation
from lowlat.app.injector import INJECT
from lowlat.app.risk_check import asking
from lowlat.app.wish import Offer, Wish, offers, slug_of
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import ConfigError
from lowlat.core.layout import (
    DECISION,
    ORDER_ROW,
    SIGNAL,
    Action,
    DecisionRecord,
    MarketRow,
    OrderRow,
    OrderState,
    SignalRecord,
    Urgency,
    Writer,
    record_id,
)
from lowlat.core.signal import Identity, Signal, Stamps, encode_signal
from lowlat.risk.examine import Opinion
from lowlat.shm.attach import Attached, attach
from lowlat.shm.attachment import Attachment

if TYPE_CHECKING:
    from lowlat.app.generations import Generation

__all__ = ["Journey", "choose", "inject"]

_LIFE_NS: Final = 2_000_000_000
_POLL_S: Final = 0.005
_ASKED_MAX: Final = 64
"""Markets that risk is asked about: enough that one is free of what stops the tightest."""
_FINAL: Final = (
    int(OrderState.MATCHED),
    int(OrderState.UNMATCHED),
    int(OrderState.REJECTED),
    int(OrderState.CANCELED),
    int(OrderState.EXPIRED),
)


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
    row, price_e4 = _choose(attached, wish, generation)
    decisions = attached.streams["decisions"].reader
    with Attachment(instance, INJECT) as attachment:
        writer = attachment.open_stream_writer(INJECT)
        name = record_id(int(Writer.INJECT), writer.epoch, writer.cursor)
        now_ns = monotonic_ns()
        SIGNAL.pack(writer.buffer, _record(row, wish, price_e4, name, now_ns))
        writer.publish(SIGNAL.kind)
        journey = Journey(name, slug_of(row), wish.outcome, price_e4, wish.size_e6, now_ns)
        _follow(attached, decisions, journey, now_ns + int(wait_s * 1e9))
    return journey


def choose(
    found: Sequence[Offer], opinions_of: Callable[[MarketRow, int], Iterable[Opinion]]
) -> Offer:
    """Return the first offer that risk would let through, else the first of all.

    What a person wants to see is the path. When risk lets nothing through (halted, say), its
    answer on the first one says why.
    """
    for offer in found[:_ASKED_MAX]:
        if all(each.size_e6 and not each.missing for each in opinions_of(*offer)):
            return offer
    return found[0]


def _choose(attached: Attached, wish: Wish, generation: "Generation") -> Offer:
    """Return the market and the price to pay. Raises SegmentError when there is none."""
    found = offers(attached, wish, generation.config.limits)
    if len(found) == 1:
        return found[0]
    with asking(attached.instance, generation) as asked:
        return choose(
            found,
            lambda row, price_e4: asked.opinions(_record(row, wish, price_e4, 0, monotonic_ns()))[
                0
            ],
        )


def _record(row: MarketRow, wish: Wish, price_e4: int, name: int, now_ns: int) -> SignalRecord:
    token = row.no_token_id if wish.outcome else row.yes_token_id
    signal = Signal(
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
    identity = Identity(2 * row.market + wish.outcome, row.generation, row.condition_id, token)
    return encode_signal(signal, name, identity, Stamps(), now_ns, 1)


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
